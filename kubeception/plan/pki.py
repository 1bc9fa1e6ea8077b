"""A tenant's certificates and keys: which there are, and when each is kept, renewed or refused.

    serving          kube-apiserver's certificate; and its client certificate for kubelets, because `kubeadm join`
                     makes the CA of cluster-info the one by which kubelets trust clients
    client           everybody who shows kube-apiserver a certificate, kubelets included
    kubelet-serving  the kubelets' own API
    etcd             etcd and its only client
    front-proxy      kube-apiserver towards aggregated API servers
    tunnel           konnectivity server and agents

Material lives in Secrets of the control plane's namespace: one for each CA, and one for each reader of leaf
certificates, so that mounting a Secret hands out nothing beyond what its reader needs. CAs, the signing key and
the encryption keys are roots: what depends on them is lost with them. Their Secrets are immutable, so that not
even two engines at once replace one, and a root that can't be read is an error. A new encryption key is a Secret
of its own beside the old one, which goes once nothing depends on it (components/encryption.py). A leaf is issued
anew after two thirds of its life, or when it lacks a name it must cover. What people get is in no Secret: each of
their certificates is issued when one of them asks for it, for hours.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from kubeception import names
from kubeception.errors import KubeceptionError
from kubeception.plan import encryption, x509
from kubeception.plan.encryption import ENTRY, KEY_SIZE, EncryptionKey
from kubeception.plan.endpoint import API_SERVICE, ETCD_SERVICE, Endpoint, cluster_ip
from kubeception.plan.facts import Object
from kubeception.plan.kubeconfig import kubeconfig
from kubeception.plan.secret import data_of, opaque
from kubeception.plan.x509 import Pair, Profile

if TYPE_CHECKING:
    from kubeception.plan.context import PlanContext

CAS: Final = ("serving", "client", "kubelet-serving", "etcd", "front-proxy", "tunnel")
SERVICE_ACCOUNT: Final = "service-account"
"""The Secret with the key that signs service account tokens, `sa.key`, and its public half, `sa.pub`."""


@dataclass(frozen=True)
class Leaf:
    """A certificate: files `<name>.crt` and `<name>.key` of Secret `secret`, signed by `ca`."""

    secret: str
    name: str
    ca: str
    profile: Profile


def _client(name: str, *groups: str) -> Profile:
    return Profile(name, groups, client=True)


LEAVES: Final = (
    Leaf("kube-apiserver", "serving", "serving", Profile("kube-apiserver", server=True)),
    Leaf("kube-apiserver", "kubelet-client", "serving", _client("kube-apiserver-kubelet-client")),
    Leaf("kube-apiserver", "etcd-client", "etcd", _client("kube-apiserver")),
    Leaf("kube-apiserver", "front-proxy-client", "front-proxy", _client("front-proxy-client")),
    Leaf("kube-controller-manager", "client", "client", _client("system:kube-controller-manager")),
    Leaf("kube-scheduler", "client", "client", _client("system:kube-scheduler")),
    Leaf("konnectivity-server", "tunnel", "tunnel", Profile("konnectivity-server", server=True)),
    Leaf("konnectivity-agent", "tunnel", "tunnel", _client("konnectivity-agent")),
    Leaf("etcd", "etcd", "etcd", Profile("etcd", server=True, client=True)),
    Leaf("metrics-server", "serving", "serving", Profile("metrics-server", server=True)),
    Leaf("storage-controller", "client", "client", _client(names.STORAGE)),
    Leaf("engine", "client", "client", _client("kubeception", "system:masters")),
)
"""Every leaf certificate of a tenant that is kept. `engine` is this program's own."""

PERSON: Final = _client("kubernetes-admin", "kubeadm:cluster-admins")
PERSON_LIFE: Final = timedelta(hours=12)
"""How long a person's certificate is good for, unless another time is asked for."""

TRUST: Final[Mapping[str, tuple[str, ...]]] = {
    "kube-apiserver": ("client", "kubelet-serving", "etcd", "front-proxy"),
    "kube-controller-manager": ("serving", "client", "kubelet-serving"),
    "kube-scheduler": ("serving",),
    "konnectivity-server": ("tunnel",),
    "konnectivity-agent": ("tunnel",),
    "etcd": ("etcd",),
    "metrics-server": ("serving", "kubelet-serving"),
    "storage-controller": ("serving",),
    "engine": ("serving",),
}
"""The CAs each reader checks its peers by: files `<ca>-ca.crt` beside its own certificates."""


class Pki:
    """The material of one tenant: what the host's Secrets hold where that is good, else made."""

    def __init__(self, ctx: "PlanContext") -> None:
        self._ctx = ctx
        self._made: dict[tuple[str, str], Pair] = {}

    def ca(self, name: str) -> Pair:
        """The CA `name` of `CAS`.

        Raises KubeceptionError when its Secret exists and can't be read.
        """
        if (name, "") not in self._made:
            self._made[name, ""] = self._existing_ca(name) or x509.self_signed(
                f"{name}-ca.{self._ctx.id}",
                self._ctx.keys,
                f"ca-{name}",
                self._ctx.facts.now,
            )
        return self._made[name, ""]

    def leaf(self, secret: str, name: str = "client") -> Pair:
        """The certificate `name` of Secret `secret`."""
        if (secret, name) not in self._made:
            row = next(leaf for leaf in LEAVES if (leaf.secret, leaf.name) == (secret, name))
            self._made[secret, name] = self._issue(row)
        return self._made[secret, name]

    @cached_property
    def service_account_key(self) -> bytes:
        """The private key that signs service account tokens, PEM.

        Raises KubeceptionError when its Secret exists and can't be read.
        """
        if (held := self._held(SERVICE_ACCOUNT)) is not None:
            key = held.get("sa.key", b"")
            if x509.public_key(key) is None:
                raise self._broken(SERVICE_ACCOUNT, "sa.key is no private key")
            return key
        return x509.private_key_pem(self._ctx.keys.private_key(SERVICE_ACCOUNT))

    @cached_property
    def encryption_keys(self) -> tuple[EncryptionKey, ...]:
        """The keys Secrets are encrypted with at rest, the newest last: the one the spec asks for.

        Raises KubeceptionError when one can't be read, or is in use and its Secret isn't there.
        """
        held = sorted(encryption.held(self._ctx), key=lambda key: key.number)
        for key in held:
            if len(key.value) != KEY_SIZE:
                raise self._broken(key.secret, f"{ENTRY} has {len(key.value)} octets")
        if missing := {*(encryption.known(self._ctx) or ())} - {key.name for key in held}:
            raise self._broken(encryption.secret_of(min(missing)), "it is in use, and not there")
        rotation = self._ctx.spec.encryption.rotation
        if held and held[-1].rotation == rotation:
            return tuple(held)
        new = EncryptionKey(held[-1].number + 1 if held else 1, rotation, b"")
        value = self._ctx.keys.random_bytes(new.secret, KEY_SIZE)
        return (*held, replace(new, value=value))

    def api_server_names(self) -> tuple[str, ...]:
        """The names and addresses by which the API server is dialled."""
        return self._sans("kube-apiserver")

    def roots(self) -> Iterator[Object]:
        """The Secrets that are never replaced."""
        for name in CAS:
            pair = self.ca(name)
            yield self._root(f"ca-{name}", {"tls.crt": pair.cert, "tls.key": pair.key})
        key = self.service_account_key
        yield self._root(SERVICE_ACCOUNT, {"sa.key": key, "sa.pub": x509.public_key(key) or b""})
        for each in self.encryption_keys:
            secret = self._root(each.secret, {ENTRY: each.value})
            if each.rotation:
                secret["metadata"]["annotations"] = {names.ROTATION_ANNOTATION: each.rotation}
            yield secret

    @property
    def rooted(self) -> bool:
        """Whether the host holds all roots: what is handed out before would be nobody's."""
        return all(self._held(root["metadata"]["name"]) is not None for root in self.roots())

    def leaves(self, *readers: str) -> Iterator[Object]:
        """The Secrets of these readers: their own certificates, and those of the CAs they check by."""
        for reader in readers:
            data = {f"{ca}-ca.crt": self.ca(ca).cert for ca in TRUST[reader]}
            for row in LEAVES:
                if row.secret == reader:
                    pair = self.leaf(reader, row.name)
                    data |= {f"{row.name}.crt": pair.cert, f"{row.name}.key": pair.key}
            yield opaque(self._ctx.namespace, reader, data)

    def engine_kubeconfig(self) -> dict[str, Any]:
        """What this program talks to the tenant with: group system:masters, which needs no binding."""
        return self._kubeconfig(self.leaf("engine"), "kubeception")

    def admin_kubeconfig(self, name: str = "", *, life: timedelta = PERSON_LIFE) -> dict[str, Any]:
        """What a person gets: administrator by the binding kubeadm:cluster-admins, for as long as `life`.

        `name` is what the cluster is called in it: where not its own name, the path to it.
        """
        name, now = name or self._ctx.cluster.name, self._ctx.facts.now
        pair = x509.issue(PERSON, self.ca("client"), self._ctx.keys, "admin", now, life=life)
        return self._kubeconfig(pair, f"{name}-admin", name)

    def nobodys_kubeconfig(self) -> dict[str, Any]:
        """Where the API server is and its CA, without a user: what kubeadm's discovery wants."""
        whole = kubeconfig(name="", server=self._endpoint().url, ca=self.ca("serving").cert)
        return {**whole, "users": [], "contexts": []}

    def bootstrap_kubeconfig(self, token: str) -> dict[str, Any]:
        """For a kubelet without a certificate, or `kubeadm join` by file, at the endpoint's `internal_url`."""
        return kubeconfig(
            name=self._ctx.cluster.name,
            server=self._endpoint().internal_url,
            ca=self.ca("serving").cert,
            user="kubelet-bootstrap",
            token=token,
        )

    def _kubeconfig(self, pair: Pair, user: str, name: str = "") -> dict[str, Any]:
        return kubeconfig(
            name=name or self._ctx.cluster.name,
            server=self._endpoint().url,
            ca=self.ca("serving").cert,
            user=user,
            cert=pair.cert,
            key=pair.key,
        )

    def _endpoint(self) -> Endpoint:
        if self._ctx.endpoint is None:
            raise KubeceptionError(
                f"the API server of {self._ctx.cluster.name} has no address yet",
                hint="Create the cluster first, or wait until its Service has one.",
            )
        return self._ctx.endpoint

    def _existing_ca(self, name: str) -> Pair | None:
        secret = f"ca-{name}"
        held = self._held(secret)
        if held is None:
            return None
        pair = Pair(held.get("tls.crt", b""), held.get("tls.key", b""))
        now, judged = self._ctx.facts.now, self._ctx.judged
        if (pair, now) not in judged:
            if problem := x509.ca_problem(pair, now):
                raise self._broken(secret, problem)
            judged.add((pair, now))
        return pair

    def _issue(self, row: Leaf) -> Pair:
        """The leaf as it is held if that still serves, else a new one."""
        ca, now = self.ca(row.ca), self._ctx.facts.now
        profile = replace(row.profile, sans=self._sans(row.secret) if row.profile.server else ())
        held = self._held(row.secret) or {}
        pair = Pair(held.get(f"{row.name}.crt", b""), held.get(f"{row.name}.key", b""))
        looked_at = (pair, profile, ca.cert, now)
        if looked_at in self._ctx.judged:
            return pair
        if x509.still_good(pair, profile, ca, now):
            self._ctx.judged.add(looked_at)
            return pair
        return x509.issue(profile, ca, self._ctx.keys, f"{row.secret}-{row.name}", now)

    def _sans(self, secret: str) -> tuple[str, ...]:
        """The names and addresses by which a server is dialled."""
        ctx = self._ctx
        if secret == "metrics-server":
            return ("metrics-server.kube-system.svc",)
        service, addresses = API_SERVICE, self._endpoint().sans
        if secret == "etcd":
            service = ETCD_SERVICE
            addresses = (cluster_ip(ctx.facts, ctx.namespace, ETCD_SERVICE),)
        if secret == "konnectivity-server":  # only machines inside the host dial it
            addresses = (self._endpoint().cluster_ip,)
        sans = ["localhost", "127.0.0.1", service, f"{service}.{ctx.namespace}.svc", *addresses]
        if secret == "kube-apiserver":
            inside = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
            domain = ctx.network.dns_domain
            sans += [*inside, f"kubernetes.default.svc.{domain}", ctx.network.api_ip]
        return tuple(dict.fromkeys(filter(None, sans)))

    def _held(self, secret: str) -> dict[str, bytes] | None:
        """What a Secret of the host holds, or None when there is no such Secret."""
        seen = self._ctx.seen("Secret", secret)
        return None if seen is None else data_of(seen)

    def _root(self, name: str, data: Mapping[str, bytes]) -> Object:
        return opaque(self._ctx.namespace, name, data) | {"immutable": True}

    def _broken(self, secret: str, problem: str) -> KubeceptionError:
        return KubeceptionError(
            f"Secret {self._ctx.namespace}/{secret} of {self._ctx.cluster.name} can't be used: {problem}",
            hint="It is never replaced, since all that was signed with it would be lost. Restore it from a backup, "
            "or delete the cluster.",
        )
