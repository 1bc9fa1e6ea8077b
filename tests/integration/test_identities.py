"""What a tenant's administrator can have signed, and where else it is of use: nowhere.

Of each refusal there is a control run, in which one CA signs for all, or two tenants share what each has of its own.
"""

import base64
import json
import socket
import ssl
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubeception.engine.observe import observe_host
from kubeception.kube.client import Cluster, Object
from kubeception.plan.context import PlanContext
from kubeception.plan.keys import RandomKeys
from kubeception.plan.offline import offline_facts
from kubeception.plan.pki import CAS
from tests.integration.rendered import Rendered
from tests.integration.servers import ApiServer, api_server, binary, free_port, process
from tests.plans import everything, tenant

CLIENT: Final = "kubernetes.io/kube-apiserver-client"
KUBELET: Final = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING: Final = "kubernetes.io/kubelet-serving"
IDENTITY: Final = (
    "--client-ca-file",
    "--requestheader-allowed-names",
    "--requestheader-client-ca-file",
    "--requestheader-extra-headers-prefix",
    "--requestheader-group-headers",
    "--requestheader-username-headers",
    "--service-account-issuer",
    "--service-account-key-file",
    "--service-account-signing-key-file",
)
"""Those flags of kube-apiserver that say who somebody is."""
SECONDS: Final = 20.0
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


@dataclass(frozen=True)
class World:
    """A tenant: what is rendered for it, and its API server."""

    rendered: Rendered
    server: ApiServer
    cluster: Cluster

    def ca(self, name: str) -> Path:
        """The certificate of a CA, in a file."""
        file = self.rendered.folder / f"{name}.crt"
        file.write_bytes(self.secret(f"ca-{name}")["tls.crt"])
        return file

    def secret(self, name: str) -> dict[str, bytes]:
        (found,) = (
            o
            for o in self.rendered.objects
            if (o["kind"], o["metadata"]["name"]) == ("Secret", name)
            and o["metadata"]["namespace"] != "kube-system"
        )
        return {key: base64.b64decode(value) for key, value in found["data"].items()}

    def own(self, secret: str, name: str) -> Path:
        """A certificate that the tenant's control plane has for itself, with its key, in a file."""
        data, file = self.secret(secret), self.rendered.folder / f"{secret}-{name}.pem"
        file.write_bytes(data[f"{name}.crt"] + data[f"{name}.key"])
        return file

    def whoami(
        self, certificate: Path | None = None, headers: Mapping[str, str] | None = None
    ) -> Object:
        """Who the API server takes somebody for; nobody where it doesn't."""
        server = self.server.kubeconfig["clusters"][0]["cluster"]["server"]
        context = ssl.create_default_context(cafile=self.server.folder / "serving.crt")
        if certificate:
            context.load_cert_chain(certificate)
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        said = {"Content-Type": "application/json", **(headers or {})}
        request = Request(server + path, json.dumps(review).encode(), said)
        try:
            with urlopen(request, timeout=30, context=context) as answer:
                user: Object = json.load(answer)["status"]["userInfo"]
                return user
        except HTTPError as error:
            if error.code == 401:
                return {}
            raise


def plan_of(name: str, host: Cluster | None = None) -> list[Object]:
    """What is rendered for a tenant of this name, of this host, with certificates that are good now."""
    cluster = tenant(name=name)
    facts = offline_facts(cluster, datetime.now(UTC))
    if host is not None:
        facts = replace(facts, host=observe_host(host))
    return everything(PlanContext(cluster, (), facts, RandomKeys()))


@contextmanager
def world(
    folder: Path, etcd: str, name: str, *other: str, host: Cluster | None = None
) -> Iterator[World]:
    rendered = Rendered(folder, plan_of(name, host))
    flags = [f for f in rendered.flags("kube-apiserver") if f.partition("=")[0] in IDENTITY]
    given = {flag.partition("=")[0] for flag in other}
    flags = [flag for flag in flags if flag.partition("=")[0] not in given]
    with (
        api_server(folder / "api", etcd, f"/{folder.name}", *flags, *other) as server,
        server.cluster(name) as cluster,
    ):
        yield World(rendered, server, cluster)


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory, etcd: str) -> Iterator[World]:
    """The attacker's tenant, with its signers."""
    with world(tmp_path_factory.mktemp("mine"), etcd, "mine") as made, signers(made):
        yield made


@pytest.fixture(scope="module")
def sibling(tmp_path_factory: pytest.TempPathFactory, etcd: str) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("sibling"), etcd, "sibling") as made:
        yield made


@pytest.fixture(scope="module")
def inner(tmp_path_factory: pytest.TempPathFactory, etcd: str, mine: World) -> Iterator[World]:
    """A tenant of the attacker's tenant, with its signers; planned by what that one's API tells of it."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}}
    mine.cluster.apply(node)
    addresses = [{"type": "InternalIP", "address": "203.0.113.77"}]
    ready = [{"type": "Ready", "status": "True"}]
    status = {"status": {"addresses": addresses, "conditions": ready}}
    mine.cluster.patch("Node", "one", status, subresource="status")
    folder = tmp_path_factory.mktemp("inner")
    with world(folder, etcd, "inner", host=mine.cluster) as made, signers(made):
        yield made


def between(attack: str) -> list[Any]:
    """Of whom something is stolen, and where it is tried; a tenant's tenant and its host among them."""
    pairs = {
        ("mine", "sibling"): attack,
        ("mine", "inner"): "A22",
        ("inner", "mine"): "A22",
    }
    return [
        pytest.param(*pair, marks=pytest.mark.attack(which, control="within"))
        for pair, which in pairs.items()
    ]


@contextmanager
def signers(made: World) -> Iterator[None]:
    """The tenant's controllers that sign, with the keys they are rendered with."""
    flags = made.rendered.flags("kube-controller-manager")
    (made.server.folder / "signers").write_text(json.dumps(made.server.kubeconfig))
    with process(
        made.server.folder,
        binary("kube-controller-manager"),
        *(flag for flag in flags if flag.startswith("--cluster-signing-")),
        "--kubeconfig=signers",
        "--controllers=certificatesigningrequest-signing-controller",
        "--leader-elect=false",
        "--secure-port=0",
    ):
        yield


def signed(made: World, signer: str, name: str, *groups: str) -> Path:
    """What the administrator has signed, with its key in a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    oids = [(x509.NameOID.ORGANIZATION_NAME, group) for group in groups]
    oids += [(x509.NameOID.COMMON_NAME, name)]
    subject = x509.Name([x509.NameAttribute(*each) for each in oids])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if signer == SERVING:
        request = request.add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
        )
    text = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    usage = "server auth" if signer == SERVING else "client auth"
    called = f"r-{uuid.uuid4().hex[:8]}"
    csr = made.cluster.create(
        {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": called},
            "spec": {
                "request": base64.b64encode(text).decode(),
                "signerName": signer,
                "usages": ["digital signature", usage],
            },
        }
    )
    approved = {"type": "Approved", "status": "True", "reason": "Mine", "message": "mine"}
    csr["status"] = {"conditions": [approved]}
    made.cluster.replace(csr, subresource="approval")
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = made.cluster.get("CertificateSigningRequest", called) or {}
        if cert := found.get("status", {}).get("certificate"):
            file = made.rendered.folder / f"{called}.pem"
            private = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            file.write_bytes(base64.b64decode(cert) + private)
            return file
        time.sleep(0.05)
    pytest.fail("nobody signed it")


def signers_of(made: World, file: Path) -> set[str]:
    """Which of the tenant's CAs signed a certificate."""
    cert = x509.load_pem_x509_certificate(file.read_bytes())
    found = set()
    for name in CAS:
        ca = x509.load_pem_x509_certificate(made.ca(name).read_bytes())
        try:
            cert.verify_directly_issued_by(ca)
        except Exception:  # noqa: BLE001 - of another name, or of another key
            continue
        found.add(name)
    return found


@pytest.mark.attack("A05")
@pytest.mark.parametrize(
    ("signer", "subject", "ca"),
    [
        (CLIENT, ("kube-apiserver",), "client"),
        (CLIENT, ("front-proxy-client",), "client"),
        (KUBELET, ("system:node:n", "system:nodes"), "client"),
        (SERVING, ("system:node:n", "system:nodes"), "kubelet-serving"),
    ],
)
def test_a_signer_signs_by_one_ca(
    mine: World, signer: str, subject: tuple[str, ...], ca: str
) -> None:
    assert signers_of(mine, signed(mine, signer, *subject)) == {ca}


def accepts(address: tuple[str, int], authority: Path, credential: Path, *protocols: str) -> bool:
    """Whether a server talks to somebody with this client certificate."""
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False
    context.load_cert_chain(credential)
    context.set_alpn_protocols(protocols)
    said = PREFACE if protocols else b"GET /version HTTP/1.0\r\n\r\n"
    with socket.create_connection(address, timeout=10) as plain:
        try:
            with context.wrap_socket(plain) as secured:
                secured.sendall(said)
                return bool(secured.recv(1))
        except (ssl.SSLError, ConnectionError):
            return False


def listening(port: int) -> tuple[str, int]:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return "127.0.0.1", port
        time.sleep(0.05)
    pytest.fail("nothing listens")


@contextmanager
def datastore(made: World, authority: Path) -> Iterator[tuple[str, int]]:
    """The tenant's etcd, which trusts clients of this CA."""
    ports = ("client-urls", "peer-urls", "metrics-urls")
    own = [f"--listen-{each}" for each in ports]
    own += ["--advertise-client-urls", "--initial-advertise-peer-urls", "--initial-cluster"]
    flags = made.rendered.flags("etcd", without=("--data-dir", "--trusted-ca-file", *own))
    client, peer, metrics = (free_port() for _ in range(3))
    with process(
        made.rendered.folder,
        binary("etcd"),
        *flags,
        f"--data-dir={made.rendered.folder / uuid.uuid4().hex}",
        f"--trusted-ca-file={authority}",
        f"--listen-client-urls=https://127.0.0.1:{client}",
        f"--advertise-client-urls=https://127.0.0.1:{client}",
        f"--listen-peer-urls=https://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=https://127.0.0.1:{peer}",
        f"--initial-cluster=etcd-0=https://127.0.0.1:{peer}",
        f"--listen-metrics-urls=http://127.0.0.1:{metrics}",
    ):
        yield listening(client)


@contextmanager
def tunnel(made: World, authority: Path) -> Iterator[tuple[str, int]]:
    """The server of the tenant's tunnel, which trusts agents of this CA."""
    ports = ("--agent-port", "--health-port", "--admin-port")
    given = (*ports, "--cluster-ca-cert", "--uds-name")
    flags = made.rendered.flags("konnectivity-server", without=given)
    agents, health, admin = (free_port() for _ in ports)
    with process(
        made.rendered.folder,
        binary("konnectivity-server"),
        *flags,
        f"--cluster-ca-cert={authority}",
        f"--uds-name={made.rendered.folder / 'tunnel.sock'}",
        f"--agent-port={agents}",
        f"--health-port={health}",
        f"--admin-port={admin}",
    ):
        yield listening(agents)


@pytest.mark.attack("A07", control="within")
def test_what_is_signed_opens_no_etcd(mine: World) -> None:
    stolen = signed(mine, CLIENT, "kube-apiserver")
    genuine = mine.own("kube-apiserver", "etcd-client")
    with datastore(mine, mine.ca("etcd")) as etcd:
        assert accepts(etcd, mine.ca("etcd"), genuine)
        assert not accepts(etcd, mine.ca("etcd"), stolen)
    with datastore(mine, mine.ca("client")) as etcd:
        assert accepts(etcd, mine.ca("etcd"), stolen), "with one CA for both it would"


@pytest.mark.attack("A04", control="within")
def test_what_is_signed_joins_no_tunnel(mine: World, sibling: World) -> None:
    stolen = signed(mine, CLIENT, "konnectivity-agent")
    genuine = mine.own("konnectivity-agent", "tunnel")
    with tunnel(mine, mine.ca("tunnel")) as server:
        assert accepts(server, mine.ca("tunnel"), genuine, "h2")
        assert not accepts(server, mine.ca("tunnel"), stolen, "h2")
        theirs = sibling.own("konnectivity-agent", "tunnel")
        assert not accepts(server, mine.ca("tunnel"), theirs, "h2"), "nor does a sibling's"
    with tunnel(mine, mine.ca("client")) as server:
        assert accepts(server, mine.ca("tunnel"), stolen, "h2"), "with one CA for both it would"


HEADERS: Final = {"X-Remote-User": "somebody-else", "X-Remote-Group": "system:masters"}


@pytest.mark.attack("A05", control="within")
def test_what_is_signed_speaks_for_nobody_else(
    mine: World, tmp_path_factory: pytest.TempPathFactory, etcd: str
) -> None:
    stolen = signed(mine, CLIENT, "front-proxy-client")
    genuine = mine.own("kube-apiserver", "front-proxy-client")
    assert mine.whoami(genuine, HEADERS)["username"] == "somebody-else"
    assert mine.whoami(stolen, HEADERS)["username"] == "front-proxy-client"
    one = f"={mine.ca('client')}"
    same = (f"--client-ca-file{one}", f"--requestheader-client-ca-file{one}")
    with world(tmp_path_factory.mktemp("one-ca"), etcd, "mine", *same) as unguarded:
        found = unguarded.whoami(stolen, HEADERS)
    assert "system:masters" in found["groups"], "with one CA for both it would"


@pytest.mark.parametrize(("of", "at"), between("A05"))
def test_a_certificate_is_of_no_use_elsewhere(
    of: str,
    at: str,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    etcd: str,
) -> None:
    mine, sibling = request.getfixturevalue(of), request.getfixturevalue(at)
    stolen = signed(mine, CLIENT, "kubernetes-admin", "kubeadm:cluster-admins")
    assert mine.whoami(stolen)["username"] == "kubernetes-admin"
    assert sibling.whoami(stolen) == {}
    trust = f"--client-ca-file={mine.ca('client')}"
    with world(tmp_path_factory.mktemp("same-ca"), etcd, "other", trust) as other:
        assert other.whoami(stolen)["username"] == "kubernetes-admin", "with one CA it would be"


def token(made: World) -> str:
    """Of a ServiceAccount that has the same name in each cluster."""
    account = {"name": "robot", "namespace": "default"}
    made.cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    config = made.server.folder / "kubectl"
    config.write_text(json.dumps(made.server.kubeconfig))
    kubectl = (binary("kubectl"), f"--kubeconfig={config}", "create", "token", "robot")
    return subprocess.run(kubectl, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(("of", "at"), between("A06"))
def test_a_token_is_of_no_use_elsewhere(
    of: str,
    at: str,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    etcd: str,
) -> None:
    mine, sibling = request.getfixturevalue(of), request.getfixturevalue(at)
    token(sibling)
    stolen = {"Authorization": f"Bearer {token(mine)}"}
    assert mine.whoami(None, stolen)["username"] == "system:serviceaccount:default:robot"
    assert sibling.whoami(None, stolen) == {}
    # Even a sibling that had the same key would not take it: another issuer, and with it another audience.
    key = f"--service-account-key-file={mine.rendered.file('kube-apiserver', 'sa.pub')}"
    (issuer,) = (
        flag
        for flag in mine.rendered.flags("kube-apiserver")
        if flag.startswith("--service-account-issuer=")
    )
    folder = tmp_path_factory.mktemp("same-key")
    with world(folder, etcd, "other", key, f"--etcd-prefix=/{mine.rendered.folder.name}") as other:
        assert other.whoami(None, stolen) == {}
    same = (key, issuer, f"--etcd-prefix=/{mine.rendered.folder.name}")
    with world(tmp_path_factory.mktemp("same"), etcd, "other", *same) as other:
        assert other.whoami(None, stolen)["username"] == "system:serviceaccount:default:robot"
