"""People with tokens of an OpenID Connect issuer, at an API server that reads the rendered files.

The issuer is a real one: https, discovery, keys. It is reached through a real tunnel with an agent that is the
tenant's node. In the control runs the guards are taken out of the same file.
"""

import base64
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object
from kubeception.plan.keys import RandomKeys
from kubeception.plan.offline import offline_facts
from kubeception.plan.secret import data_of
from tests.integration.operators import until
from tests.integration.rendered import Rendered
from tests.integration.servers import (
    ApiServer,
    api_server,
    binary,
    certificate,
    free_port,
    process,
)
from tests.plans import everything, tenant

AUDIENCE: Final = "kubernetes"
FLAGS: Final = ("--authentication-config", "--egress-selector-config-file")
"""What is taken of the flags that the control plane is rendered with."""
UNTUNNELLED: Final = "No agent available"
"""What the tunnel's server says while it has no agent: that it was asked, and nobody else."""
ANY: Final = "system:authenticated"
"""The group of whoever is somebody."""
SECONDS: Final = 60.0
"""kube-apiserver asks an issuer that didn't answer again every ten seconds."""
Entry = dict[str, Any]


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Issuer:
    """Discovery and keys by https, and tokens."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    url: str = ""
    authority: str = ""
    heard: int = 0
    """Connections, whatever became of them."""

    @contextmanager
    def listening(self) -> Iterator["Issuer"]:
        issuer = self
        self.folder.mkdir()
        self.authority = certificate(self.folder).decode()

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                said = issuer.documents().get(self.path)
                self.send_response(200 if said else 404)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(said).encode())

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            def get_request(self) -> tuple[Any, Any]:
                found = super().get_request()
                issuer.heard += 1
                return found

            def handle_error(self, *_: Any) -> None: ...

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "serving.crt", self.folder / "serving.key")
        with Server(("127.0.0.1", 0), Answer) as server:
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
            self.url = f"https://localhost:{server.server_address[1]}/people"
            Thread(target=server.serve_forever, daemon=True).start()
            yield self
            server.shutdown()

    def documents(self) -> Mapping[str, Object]:
        """What it publishes, by path."""
        numbers = self.key.public_key().public_numbers()
        x, y = (base64url(number.to_bytes(32)) for number in (numbers.x, numbers.y))
        key = {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "1", "alg": "ES256"}
        discovery = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        return {
            "/people/.well-known/openid-configuration": discovery,
            "/people/keys": {"keys": [{**key, "use": "sig"}]},
        }

    def token(self, *, signer: ec.EllipticCurvePrivateKey | None = None, **claims: Any) -> str:
        """Of alice, good for five minutes, with these claims or otherwise; one that is None is left out."""
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 300}
        said |= {"team": "blue", **claims}
        head = {"alg": "ES256", "kid": "1", "typ": "JWT"}
        parts = (head, {name: value for name, value in said.items() if value is not None})
        text = ".".join(base64url(json.dumps(part).encode()) for part in parts)
        signature = (signer or self.key).sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(signature)
        return f"{text}.{base64url(r.to_bytes(32) + s.to_bytes(32))}"

    def entry(self, name: str) -> Entry:
        """Of the spec."""
        return {
            "name": name,
            "url": self.url,
            "audiences": [AUDIENCE, "another"],
            "certificateAuthority": self.authority,
            "requiredClaims": {"team": "blue"},
        }


@dataclass(frozen=True)
class World:
    """An API server with the rendered files, and the issuers it trusts."""

    server: ApiServer
    corp: Issuer
    other: Issuer
    """A second one, called `other`."""
    before: int = 0
    """Connections to them while the tunnel had no agent."""

    def until_known(self) -> None:
        """Until people of both issuers are somebody."""
        for issuer in (self.corp, self.other):
            until(partial(self.knows, issuer), SECONDS)

    def knows(self, issuer: Issuer) -> bool:
        return bool(self.whoami(issuer.token()))

    def whoami(self, token: str) -> Object:
        """Who the API server takes somebody for; nobody where it doesn't."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        found = self.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", token, review)
        user: Object = found["status"]["userInfo"] if found else {}
        return user

    def may_everything(self, token: str) -> bool:
        """Whether somebody is an administrator."""
        everything = {"verb": "*", "group": "*", "resource": "*"}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": everything},
        }
        found = self.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", token, review)
        return bool(found and found["status"]["allowed"])

    def post(self, path: str, token: str, body: Object) -> Object | None:
        url = self.server.kubeconfig["clusters"][0]["cluster"]["server"] + path
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        context = ssl.create_default_context(cafile=self.server.folder / "serving.crt")
        request = Request(url, json.dumps(body).encode(), headers)
        try:
            with urlopen(request, timeout=30, context=context) as answer:
                found: Object = json.load(answer)
                return found
        except HTTPError as error:
            if error.code == 401:
                return None
            raise

    def log(self) -> str:
        return (self.server.folder / "kube-apiserver.log").read_text()


@contextmanager
def two(folder: Path) -> Iterator[tuple[Issuer, Issuer]]:
    with (
        Issuer(folder / "corp").listening() as corp,
        Issuer(folder / "other").listening() as other,
    ):
        yield corp, other


def context(issuers: tuple[Issuer, Issuer]) -> PlanContext:
    """A tenant that trusts them, with certificates that are good now."""
    listed = [issuer.entry(name) for issuer, name in zip(issuers, ("corp", "other"), strict=True)]
    cluster = tenant({"controlPlane": {"authentication": {"issuers": listed}}})
    return PlanContext(cluster, (), offline_facts(cluster, datetime.now(UTC)), RandomKeys())


@contextmanager
def tunnel(rendered: Rendered) -> Iterator[int]:
    """The tunnel's server; the port for agents."""
    ports = ("--agent-port", "--health-port", "--admin-port")
    flags = rendered.flags("konnectivity-server", without=ports)
    agents, *others = (free_port() for _ in ports)
    flags += [f"{name}={port}" for name, port in zip(ports, (agents, *others), strict=True)]
    with process(rendered.folder, binary("konnectivity-server"), *flags):
        yield agents


@contextmanager
def agent(rendered: Rendered, port: int) -> Iterator[None]:
    """A node's end of the tunnel, on this machine."""
    (secret,) = (
        obj
        for obj in rendered.objects
        if obj["metadata"]["name"] == "konnectivity-agent"
        and (obj["kind"], obj["metadata"]["namespace"]) == ("Secret", "kube-system")
    )
    folder = rendered.folder
    for name, data in data_of(secret).items():
        (folder / name).write_bytes(data)
    with process(
        folder,
        binary("konnectivity-agent"),
        "--proxy-server-host=127.0.0.1",
        f"--proxy-server-port={port}",
        "--ca-cert=tunnel-ca.crt",
        "--agent-cert=tunnel.crt",
        "--agent-key=tunnel.key",
        "--agent-id=node",
        f"--admin-server-port={free_port()}",
        f"--health-server-port={free_port()}",
        "--sync-interval=1s",
    ):
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, etcd: str) -> Iterator[World]:
    """As it is rendered. The agent comes when kube-apiserver has asked for the issuers in vain."""
    folder = tmp_path_factory.mktemp("tunnelled")
    with two(folder) as issuers:
        rendered = Rendered(folder, everything(context(issuers)))
        flags = [f for f in rendered.flags("kube-apiserver") if f.partition("=")[0] in FLAGS]
        with (
            tunnel(rendered) as port,
            api_server(folder / "api", etcd, f"/{folder.name}", *flags) as server,
        ):
            alone = World(server, *issuers)
            until(lambda: alone.log().count(UNTUNNELLED) >= len(issuers), SECONDS)
            assert alone.whoami(alone.corp.token()) == {}
            made = World(server, *issuers, before=alone.corp.heard + alone.other.heard)
            with agent(rendered, port):
                made.until_known()
                yield made


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory, etcd: str) -> Iterator[World]:
    """No tunnel; people of corp without prefix and rules, those of the other one without prefix."""
    folder = tmp_path_factory.mktemp("unguarded")
    with two(folder) as issuers:
        rendered = Rendered(folder, everything(context(issuers)))
        flags = [f for f in rendered.flags("kube-apiserver") if f.partition("=")[0] in FLAGS]
        file = rendered.file("kube-apiserver", "authentication.yaml")
        config = yaml.safe_load(file.read_text())
        for entry in config["jwt"]:
            del entry["issuer"]["egressSelectorType"]
            for mapped in entry["claimMappings"].values():
                mapped["prefix"] = ""
        del config["jwt"][0]["userValidationRules"]
        file.write_text(yaml.safe_dump(config))
        with api_server(folder / "api", etcd, f"/{folder.name}", *flags) as server:
            made = World(server, *issuers)
            made.until_known()
            yield made


def test_a_token_of_the_issuer_is_somebody(world: World) -> None:
    found = world.whoami(world.corp.token(groups=["developers", "auditors"]))
    assert found["username"] == "corp:alice"
    assert found["groups"] == ["corp:developers", "corp:auditors", ANY]
    assert not world.may_everything(world.corp.token(groups=["developers"]))
    assert world.whoami(world.corp.token(groups="one"))["groups"] == ["corp:one", ANY]
    assert world.whoami(world.corp.token(aud="another"))["groups"] == [ANY]


def test_the_same_name_at_another_issuer_is_somebody_else(world: World) -> None:
    assert world.whoami(world.other.token())["username"] == "other:alice"


def test_what_the_tenant_grants_them_they_may(world: World) -> None:
    api = "rbac.authorization.k8s.io"
    with world.server.cluster() as admin:
        admin.apply(
            {
                "apiVersion": f"{api}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": "admins-of-corp"},
                "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"apiGroup": api, "kind": "Group", "name": "corp:admins"}],
            }
        )
    until(lambda: world.may_everything(world.corp.token(groups=["admins"])))
    assert not world.may_everything(world.other.token(groups=["admins"]))


def spliced(token: str, other: str) -> str:
    """The claims of another one."""
    head, _, signature = token.split(".")
    return f"{head}.{other.split('.')[1]}.{signature}"


def unsigned(token: str) -> str:
    head = base64url(json.dumps({"alg": "none", "typ": "JWT"}).encode())
    return f"{head}.{token.split('.')[1]}."


Forged = Callable[[World], str]
STRANGER: Final = ec.generate_private_key(ec.SECP256R1())
FORGED: Final[Mapping[str, Forged]] = {
    "of somebody else's key": lambda w: w.corp.token(signer=STRANGER),
    "of the other issuer's key": lambda w: w.corp.token(signer=w.other.key),
    "in another issuer's name": lambda w: w.corp.token(iss="https://stranger.example.com"),
    "in its name with a slash": lambda w: w.corp.token(iss=f"{w.corp.url}/"),
    "without an issuer": lambda w: w.corp.token(iss=None),
    "for another audience": lambda w: w.corp.token(aud="others"),
    "for no audience": lambda w: w.corp.token(aud=None),
    "expired": lambda w: w.corp.token(exp=int(time.time()) - 60),
    "without an end": lambda w: w.corp.token(exp=None),
    "not yet good": lambda w: w.corp.token(nbf=int(time.time()) + 3600),
    "without a user": lambda w: w.corp.token(sub=None),
    "with a user that is no text": lambda w: w.corp.token(sub=["alice"]),
    "without what is required": lambda w: w.corp.token(team=None),
    "with another than what is required": lambda w: w.corp.token(team="red"),
    "changed afterwards": lambda w: spliced(w.corp.token(), w.corp.token(sub="bob")),
    "unsigned": lambda w: unsigned(w.corp.token()),
}


@pytest.mark.attack("A27")
@pytest.mark.parametrize("name", FORGED)
def test_no_other_token_is_anybody(world: World, name: str) -> None:
    assert world.whoami(FORGED[name](world)) == {}
    assert world.whoami(world.corp.token()), "while its own are taken"


CLAIMED: Final = (
    {"sub": "system:admin"},
    {"sub": "kubernetes-admin", "groups": ["kubeadm:cluster-admins"]},
    {"sub": "system:kube-controller-manager"},
    {"sub": "system:serviceaccount:kube-system:default"},
    {"groups": ["system:masters"]},
    {"groups": "system:masters"},
    {"groups": ["developers", "system:masters", "system:nodes"], "sub": "system:node:n"},
)


@pytest.mark.attack("A27")
@pytest.mark.parametrize("claims", CLAIMED, ids=str)
def test_nobody_is_one_of_kubernetes_own(world: World, claims: dict[str, Any]) -> None:
    found = world.whoami(world.corp.token(**claims))
    assert found["username"].startswith("corp:")
    assert all(group.startswith("corp:") for group in found["groups"] if group != ANY)
    assert not world.may_everything(world.corp.token(**claims))


@pytest.mark.attack("A27", control=True)
def test_without_prefix_and_rules_somebody_would_be(unguarded: World) -> None:
    token = unguarded.corp.token(sub="system:admin", groups=["system:masters"])
    assert unguarded.whoami(token)["username"] == "system:admin"
    assert unguarded.may_everything(token)


@pytest.mark.attack("A27")
@pytest.mark.parametrize("claims", [c for c in CLAIMED if ":" in str(c)], ids=str)
def test_without_the_prefix_the_rules_hold(unguarded: World, claims: dict[str, Any]) -> None:
    assert unguarded.whoami(unguarded.other.token(**claims)) == {}
    assert unguarded.whoami(unguarded.other.token())["username"] == "alice"


@pytest.mark.attack("A01")
def test_issuers_are_dialled_through_the_tunnel_alone(world: World) -> None:
    """Before an agent came nothing was heard; then it was (or the world would not be there)."""
    assert world.before == 0
    assert world.corp.heard > 0


@pytest.mark.attack("A01", control=True)
def test_without_the_selector_they_are_dialled_from_the_host(unguarded: World) -> None:
    """There is no tunnel."""
    assert unguarded.corp.heard > 0
