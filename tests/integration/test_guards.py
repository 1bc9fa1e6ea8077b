"""A tenant's administrator wants kube-apiserver to dial the host: without the guards of a control plane, and with them.

The flags and files of the guards are those the control plane is rendered with. Without them each attack must come
through, or it would prove nothing.
"""

import json
import socket
import ssl
import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
import yaml

from kubeception.kube.kinds import KINDS
from kubeception.plan.facts import Object
from tests.integration.operators import until
from tests.integration.rendered import Rendered
from tests.integration.servers import (
    TOKEN,
    ApiServer,
    api_server,
    binary,
    certificate,
    free_port,
    process,
)
from tests.plans import everything, find, plan

GUARDS: Final = (
    "--admission-control-config-file",
    "--egress-selector-config-file",
    "--enable-admission-plugins",
    "--feature-gates",
    "--kubelet-preferred-address-types",
    "--profiling",
)
"""What is taken of the flags that the control plane is rendered with."""
TUNNEL: Final = "No agent available"
"""What the tunnel's server says while it has no agent: that it was asked, and nobody else."""
NOWHERE: Final = "no-url-is-dialled"
WITHOUT_POLICIES: Final = "v1.35.4"
PATIENCE_SECONDS: Final = 20.0
FLOOD: Final = 4000
"""Events: more than what is let in at once and, until they are written, by and by."""
WAYS: Final = 8


class Refused(Exception):  # noqa: N818 - what happened
    """The API server took a request of the attacker's, and said no."""


@dataclass
class Victim:
    """Something of the host that answers whoever comes, on all addresses of this machine."""

    folder: Path
    port: int = 0
    authority: str = ""
    heard: int = 0
    """Connections, whatever became of them."""

    @contextmanager
    def listening(self) -> Iterator["Victim"]:
        victim = self
        self.authority = b64encode(certificate(self.folder, "*.default.svc")).decode()

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"of the host")

            do_POST = do_GET  # noqa: N815 - its name in the library

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            def get_request(self) -> tuple[Any, Any]:
                found = super().get_request()
                victim.heard += 1
                return found

            def handle_error(self, *_: Any) -> None: ...

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "serving.crt", self.folder / "serving.key")
        with Server(("", 0), Answer) as server:
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
            self.port = server.server_address[1]
            Thread(target=server.serve_forever, daemon=True).start()
            yield self
            server.shutdown()


@dataclass
class Attacker:
    """The tenant's administrator, and where the victim is."""

    server: ApiServer
    victim: Victim
    address: str
    """Of this machine, and none of its loopback."""

    def ask(self, method: str, path: str, body: Any = None, *, node: str = "") -> str:
        """What the API server answers, to whoever may do everything, or to the kubelet of a node."""
        url = self.server.kubeconfig["clusters"][0]["cluster"]["server"] + path
        data = body.encode() if isinstance(body, str) else body and json.dumps(body).encode()
        request = Request(url, data, method=method)
        request.add_header("Authorization", f"Bearer {TOKEN}")
        request.add_header("Content-Type", "application/json")
        if node:
            request.add_header("Impersonate-User", f"system:node:{node}")
            request.add_header("Impersonate-Group", "system:nodes")
        context = ssl.create_default_context(cafile=self.server.folder / "serving.crt")
        try:
            with urlopen(request, timeout=60, context=context) as answer:
                return str(answer.read().decode())
        except HTTPError as error:
            raise Refused(f"{error.code}: {error.read().decode()}") from None

    def make(self, path: str, kind: str, **body: Any) -> str:
        """Create an object with a name of its own, and without: its name."""
        name = body.pop("name", "") or fresh()
        parts = path.split("/")
        version = "/".join(parts[2:4]) if parts[1] == "apis" else parts[2]
        meta = {"name": name, **body.pop("metadata", {})}
        self.ask("POST", path, {"apiVersion": version, "kind": kind, "metadata": meta, **body})
        return name


def fresh() -> str:
    return f"n{uuid.uuid4().hex[:8]}"


def by_url(attacker: Attacker) -> Object:
    url = f"https://127.0.0.1:{attacker.victim.port}/"
    return {"url": url, "caBundle": attacker.victim.authority}


def by_service(attacker: Attacker) -> Object:
    """A Service that stands for this machine's loopback."""
    spec = {"type": "ExternalName", "externalName": "localhost"}
    name = attacker.make("/api/v1/namespaces/default/services", "Service", spec=spec)
    service = {"namespace": "default", "name": name, "port": attacker.victim.port}
    return {"service": service, "caBundle": attacker.victim.authority}


def webhook(label: str, client: Object) -> Object:
    """Is asked about ConfigMaps of this label."""
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["configmaps"],
    }
    return {
        "name": f"{label}.example.com",
        "clientConfig": client,
        "rules": [rule],
        "objectSelector": {"matchLabels": {"asks": label}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }


def ask_about(attacker: Attacker, label: str) -> None:
    meta = {"labels": {"asks": label}}
    attacker.make("/api/v1/namespaces/default/configmaps", "ConfigMap", metadata=meta)


def again(attacker: Attacker, attempt: Callable[[], None]) -> None:
    """Until the victim hears of it, or a guard is in the way: what was configured counts a moment later."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            attempt()
        except Refused as refused:
            if attacker.victim.heard:
                return
            if TUNNEL in str(refused) or NOWHERE in str(refused):
                raise
        time.sleep(0.05)
    pytest.fail("nothing came of it")


def admission(attacker: Attacker, kind: str, client: Object) -> None:
    label, path = fresh(), f"/apis/admissionregistration.k8s.io/v1/{kind.lower()}s"
    attacker.make(path, kind, webhooks=[webhook(label, client)])
    again(attacker, lambda: ask_about(attacker, label))


def validating_by_url(attacker: Attacker) -> None:
    admission(attacker, "ValidatingWebhookConfiguration", by_url(attacker))


def mutating_by_url(attacker: Attacker) -> None:
    admission(attacker, "MutatingWebhookConfiguration", by_url(attacker))


def validating_by_service(attacker: Attacker) -> None:
    admission(attacker, "ValidatingWebhookConfiguration", by_service(attacker))


def turned_to_url(attacker: Attacker) -> None:
    """A webhook that was a Service's at first."""
    label = fresh()
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    nobody = {"service": {"namespace": "default", "name": "nobody"}}
    hooks = [webhook(label, nobody)]
    name = attacker.make(path, "ValidatingWebhookConfiguration", webhooks=hooks)
    made = json.loads(attacker.ask("GET", f"{path}/{name}"))
    made["webhooks"][0]["clientConfig"] = by_url(attacker)
    attacker.ask("PUT", f"{path}/{name}", made)
    again(attacker, lambda: ask_about(attacker, label))


def conversion_by_url(attacker: Attacker) -> None:
    conversion(attacker, by_url(attacker))


def conversion_by_service(attacker: Attacker) -> None:
    conversion(attacker, by_service(attacker))


def conversion(attacker: Attacker, client: Object) -> None:
    """A kind of two versions, and an object of the one that isn't stored."""
    plural = fresh()
    group, kind = f"{plural}.example.com", plural.title()
    versions = [
        {
            "name": version,
            "served": True,
            "storage": version == "v1",
            "schema": {"openAPIV3Schema": {"type": "object"}},
        }
        for version in ("v1", "v2")
    ]
    webhook = {"clientConfig": client, "conversionReviewVersions": ["v1"]}
    attacker.make(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "CustomResourceDefinition",
        name=f"{plural}.{group}",
        spec={
            "group": group,
            "scope": "Cluster",
            "names": {"plural": plural, "singular": plural, "kind": kind},
            "versions": versions,
            "conversion": {"strategy": "Webhook", "webhook": webhook},
        },
    )

    def attempt() -> None:
        attacker.make(f"/apis/{group}/v2/{plural}", kind)

    again(attacker, attempt)


def a_node(attacker: Attacker) -> str:
    """A node whose kubelet is the victim."""
    name = attacker.make("/api/v1/nodes", "Node")
    node = json.loads(attacker.ask("GET", f"/api/v1/nodes/{name}"))
    node["status"] = {
        "addresses": [{"type": "InternalIP", "address": attacker.address}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": attacker.victim.port}},
    }
    attacker.ask("PUT", f"/api/v1/nodes/{name}/status", node)
    return name


def a_pod(attacker: Attacker, node: str) -> str:
    path = "/api/v1/namespaces/default/pods"
    account = attacker.make("/api/v1/namespaces/default/serviceaccounts", "ServiceAccount")
    containers = [{"name": "c", "image": "none"}]
    spec = {"nodeName": node, "serviceAccountName": account, "containers": containers}
    name = attacker.make(path, "Pod", spec=spec)
    pod = json.loads(attacker.ask("GET", f"{path}/{name}"))
    pod["status"] = {
        "phase": "Running",
        "podIP": attacker.address,
        "podIPs": [{"ip": attacker.address}],
    }
    attacker.ask("PUT", f"{path}/{name}/status", pod)
    return name


def nodes_proxy(attacker: Attacker) -> None:
    name, port = a_node(attacker), attacker.victim.port
    answer = attacker.ask("GET", f"/api/v1/nodes/https:{name}:{port}/proxy/")
    assert answer == "of the host"


def pods_proxy(attacker: Attacker) -> None:
    name, port = a_pod(attacker, a_node(attacker)), attacker.victim.port
    answer = attacker.ask("GET", f"/api/v1/namespaces/default/pods/https:{name}:{port}/proxy/")
    assert answer == "of the host"


def services_proxy(attacker: Attacker) -> None:
    """A Service whose endpoint is a pod that is said to be there."""
    port = {"name": "p", "port": attacker.victim.port}
    name = attacker.make("/api/v1/namespaces/default/services", "Service", spec={"ports": [port]})
    pod = {"kind": "Pod", "namespace": "default", "name": a_pod(attacker, a_node(attacker))}
    subset = {"addresses": [{"ip": attacker.address, "targetRef": pod}], "ports": [port]}
    place = "/api/v1/namespaces/default/endpoints"
    attacker.make(place, "Endpoints", name=name, subsets=[subset])
    answer = attacker.ask("GET", f"/api/v1/namespaces/default/services/https:{name}:p/proxy/")
    assert answer == "of the host"


def kubelet(attacker: Attacker) -> None:
    """The log of a container, and with it the API server's client certificate for kubelets."""
    name = a_pod(attacker, a_node(attacker))
    assert attacker.ask("GET", f"/api/v1/namespaces/default/pods/{name}/log") == "of the host"


def aggregated_api(attacker: Attacker) -> None:
    """A group that a Service of type ExternalName is said to serve."""
    version, service = fresh(), by_service(attacker)["service"]
    path = "/apis/apiregistration.k8s.io/v1/apiservices"
    name = attacker.make(
        path,
        "APIService",
        name=f"v1.{version}.example.com",
        spec={
            "group": f"{version}.example.com",
            "version": "v1",
            "service": service,
            "insecureSkipTLSVerify": True,
            "groupPriorityMinimum": 1,
            "versionPriority": 1,
        },
    )

    def attempt() -> None:
        status = json.loads(attacker.ask("GET", f"{path}/{name}")).get("status", {})
        raise Refused(str(status))

    again(attacker, attempt)


Attack = Callable[[Attacker], None]
URLS: Final[dict[Attack, str]] = dict.fromkeys(
    (validating_by_url, mutating_by_url, turned_to_url, conversion_by_url), "A02"
)
TUNNELLED: Final[dict[Attack, str]] = {
    validating_by_service: "A02",
    conversion_by_service: "A02",
    nodes_proxy: "A01",
    pods_proxy: "A01",
    services_proxy: "A01",
    kubelet: "A01",
    aggregated_api: "A03",
}


def cases(attacks: Mapping[Attack, str], *, control: bool = False) -> list[Any]:
    """Each as a test of its own."""
    return [
        pytest.param(attack, id=attack.__name__, marks=pytest.mark.attack(which, control=control))
        for attack, which in attacks.items()
    ]


@pytest.fixture(scope="module")
def address() -> str:
    """An address of this machine that is not of its loopback, which proxies refuse by themselves."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect(("192.0.2.1", 9))
        return str(asked.getsockname()[0])


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    with Victim(tmp_path).listening() as listening:
        yield listening


@contextmanager
def control_plane(folder: Path, etcd: str, version: str) -> Iterator[ApiServer]:
    """An API server with the guards of this version, and its tunnel, at which no node has called."""
    rendered = Rendered(folder, everything(plan({"version": version})))
    guards = [flag for flag in rendered.flags("kube-apiserver") if flag.partition("=")[0] in GUARDS]
    ports = ("--agent-port", "--health-port", "--admin-port")
    tunnel = rendered.flags("konnectivity-server", without=ports)
    tunnel += [f"{port}={free_port()}" for port in ports]
    flags = ("--allow-privileged=true", *guards)
    with (
        process(folder, binary("konnectivity-server"), *tunnel),
        api_server(folder / "api", etcd, f"/{folder.name}", *flags) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory, etcd: str) -> Iterator[ApiServer]:
    """An API server as upstream has it."""
    folder = tmp_path_factory.mktemp("unguarded")
    with api_server(folder / "api", etcd, f"/{folder.name}", "--allow-privileged=true") as server:
        yield server


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, etcd: str) -> Iterator[ApiServer]:
    """With the guards of the newest version."""
    version = str(plan().spec.version)
    with control_plane(tmp_path_factory.mktemp("guarded"), etcd, version) as server:
        yield server


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory, etcd: str) -> Iterator[ApiServer]:
    """With the guards of a version that reads no policies from its disk."""
    with control_plane(tmp_path_factory.mktemp("older"), etcd, WITHOUT_POLICIES) as server:
        yield server


@pytest.mark.parametrize("attack", cases({**URLS, **TUNNELLED}, control=True))
def test_without_guards_the_attack_comes_through(
    unguarded: ApiServer, victim: Victim, address: str, attack: Attack
) -> None:
    attack(Attacker(unguarded, victim, address))
    assert victim.heard > 0


@pytest.mark.parametrize("attack", cases(URLS))
def test_what_is_called_by_url_is_refused(
    guarded: ApiServer, victim: Victim, address: str, attack: Attack
) -> None:
    with pytest.raises(Refused, match="not by URL"):
        attack(Attacker(guarded, victim, address))
    assert victim.heard == 0


@pytest.mark.parametrize("attack", cases(URLS))
def test_without_policies_nothing_is_dialled_by_url(
    older: ApiServer, victim: Victim, address: str, attack: Attack
) -> None:
    with pytest.raises(Refused, match=NOWHERE):
        attack(Attacker(older, victim, address))
    assert victim.heard == 0


@pytest.mark.parametrize("attack", cases(TUNNELLED))
def test_everything_else_goes_through_the_tunnel(
    guarded: ApiServer, victim: Victim, address: str, attack: Attack
) -> None:
    with pytest.raises(Refused, match=TUNNEL):
        attack(Attacker(guarded, victim, address))
    assert victim.heard == 0


def external_ips(attacker: Attacker) -> None:
    """A Service that takes the traffic to somebody else's address."""
    spec = {"ports": [{"port": 443}], "externalIPs": ["198.51.100.1"]}
    attacker.make("/api/v1/namespaces/default/services", "Service", spec=spec)


def louder_log(attacker: Attacker) -> None:
    """At this level kube-apiserver writes whole answers of webhooks and proxies into its log."""
    attacker.ask("PUT", "/debug/flags/v", "10")


def profile(attacker: Attacker) -> None:
    attacker.ask("GET", "/debug/pprof/goroutine?debug=1")


def flood(attacker: Attacker) -> None:
    """As many Events as some connections take."""
    asked = urlsplit(attacker.server.kubeconfig["clusters"][0]["cluster"]["server"])
    context = ssl.create_default_context(cafile=attacker.server.folder / "serving.crt")
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    event = {
        "metadata": {"generateName": "flood-"},
        "involvedObject": {"namespace": "default"},
        "reason": "Flood",
    }

    def pour(_: int) -> None:
        with closing(HTTPSConnection(asked.hostname or "", asked.port, context=context)) as way:
            for _ in range(FLOOD // WAYS):
                way.request("POST", "/api/v1/namespaces/default/events", json.dumps(event), headers)
                answer = way.getresponse()
                text = answer.read().decode()
                if answer.status >= HTTPStatus.BAD_REQUEST:
                    raise Refused(f"{answer.status}: {text}")

    with ThreadPoolExecutor(WAYS) as pool:
        list(pool.map(pour, range(WAYS)))


def anothers_address(attacker: Attacker) -> None:
    """A kubelet says where another's node is."""
    name = a_node(attacker)
    node = json.loads(attacker.ask("GET", f"/api/v1/nodes/{name}"))
    node["status"]["addresses"] = [{"type": "InternalIP", "address": "198.51.100.1"}]
    attacker.ask("PUT", f"/api/v1/nodes/{name}/status", node, node="thief")


def label_of_trust(attacker: Attacker) -> None:
    """A kubelet gives its own node a label by which pods are kept for better ones."""
    name = a_node(attacker)
    node = json.loads(attacker.ask("GET", f"/api/v1/nodes/{name}"))
    node["metadata"].setdefault("labels", {})["node-restriction.kubernetes.io/trusted"] = "yes"
    attacker.ask("PUT", f"/api/v1/nodes/{name}", node, node=name)


def anothers_pod(attacker: Attacker) -> None:
    """A kubelet ends a pod of another node."""
    name = a_pod(attacker, a_node(attacker))
    attacker.ask("DELETE", f"/api/v1/namespaces/default/pods/{name}", node="thief")


SETTINGS: Final[dict[Attack, str]] = {
    external_ips: "A12",
    louder_log: "A09",
    profile: "A09",
    flood: "A08",
    anothers_address: "A18",
    label_of_trust: "A18",
    anothers_pod: "A18",
}
SAID: Final[dict[Attack, str]] = {
    external_ips: "external IPs",
    louder_log: "404",
    profile: "404",
    flood: "429",
    anothers_address: "is not allowed to modify node",
    label_of_trust: "is not allowed to modify labels",
    anothers_pod: "can only delete pods with spec.nodeName set to itself",
}


@pytest.mark.parametrize("attack", cases(SETTINGS, control=True))
def test_without_guards_the_setting_is_taken(
    unguarded: ApiServer, victim: Victim, address: str, attack: Attack
) -> None:
    attack(Attacker(unguarded, victim, address))


@pytest.mark.parametrize("attack", cases(SETTINGS))
def test_what_only_harms_is_refused(
    guarded: ApiServer, victim: Victim, address: str, attack: Attack
) -> None:
    with pytest.raises(Refused, match=SAID[attack]):
        attack(Attacker(guarded, victim, address))


POLICIES: Final = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
POLICY: Final = "no-urls.kubeception.static.k8s.io"


@pytest.mark.attack("A20")
def test_the_policies_are_in_nobodys_reach(
    guarded: ApiServer, victim: Victim, address: str
) -> None:
    attacker = Attacker(guarded, victim, address)
    listed = json.loads(attacker.ask("GET", POLICIES))["items"]
    assert POLICY not in [policy["metadata"]["name"] for policy in listed]
    for method in ("GET", "DELETE"):
        with pytest.raises(Refused, match="404"):
            attacker.ask(method, f"{POLICIES}/{POLICY}")
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["configmaps"],
    }
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "true"}],
    }
    with pytest.raises(Refused, match=r"static\.k8s\.io"):
        attacker.make(POLICIES, "ValidatingAdmissionPolicy", name=POLICY, spec=spec)
    attacker.make(POLICIES, "ValidatingAdmissionPolicy", name="allow-all.example.com", spec=spec)
    with pytest.raises(Refused, match="not by URL"):
        validating_by_url(attacker)


@pytest.mark.attack("A20", control=True)
def test_a_policy_within_reach_is_taken_away(
    unguarded: ApiServer, victim: Victim, address: str
) -> None:
    """The same policy, as an object of the tenant's own API."""
    attacker = Attacker(unguarded, victim, address)
    files = find(everything(plan()), "ConfigMap", "control-plane")["data"]
    name, made = "no-urls.example.com", yaml.safe_load(files["policies.yaml"])["items"]
    places = [KINDS[policy["kind"]].path() for policy in made]
    assert places[0] == POLICIES
    for place, policy in zip(places, made, strict=True):
        reference = {"policyName": name} if "policyName" in policy["spec"] else {}
        attacker.make(place, policy["kind"], name=name, spec={**policy["spec"], **reference})

    def comes_through() -> bool:
        victim.heard = 0
        try:
            validating_by_url(attacker)
        except Refused as refused:
            assert "not by URL" in str(refused)  # noqa: PT017 - of others the test is to fail
        return victim.heard > 0

    until(lambda: not comes_through())
    for place in places:
        attacker.ask("DELETE", f"{place}/{name}")
    until(comes_through)
