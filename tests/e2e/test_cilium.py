"""A lab on Cilium: what a NetworkPolicy forbids doesn't happen, and a tenant has the ways it lives by and no others."""

import os
import socketserver
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest

from kubeception import names
from kubeception.engine.probe import CONDITION
from kubeception.lab import state
from kubeception.plan.endpoint import API_PORT, TUNNEL_PORT
from tests.e2e.conftest import ECHO_SERVICE, Lab
from tests.e2e.connections import (
    ITSELF,
    NO,
    YES,
    Address,
    Connections,
    Dial,
    differences,
    measured,
    read,
    table,
)
from tests.e2e.tenant import (
    ECHO,
    Tenant,
    assert_pods_exchange_64_kib,
    assert_the_service_reaches_all,
    eventually,
    tenant_in,
    uid_of,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BUSYBOX = "docker.io/library/busybox:1.36"
NAMES = ("guarded", "guarded-too")
"""Two tenants, with pods as nodes."""
PODS = f"""\
apiVersion: v1
kind: Pod
metadata: {{name: server, labels: {{app: server}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: server
      image: {BUSYBOX}
      command: [busybox, httpd, -f, -p, "8080"]
---
apiVersion: v1
kind: Pod
metadata: {{name: client, labels: {{app: client}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: client
      image: {BUSYBOX}
      command: [sleep, "3600"]
"""
METADATA = "169.254.169.254"
STAND_INS = f"""\
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: stand-ins}}
spec:
  selector: {{matchLabels: {{app: stand-ins}}}}
  template:
    metadata: {{labels: {{app: stand-ins}}}}
    spec:
      hostNetwork: true
      terminationGracePeriodSeconds: 0
      tolerations: [{{operator: Exists}}]
      containers:
        - name: stand-ins
          image: {BUSYBOX}
          securityContext: {{capabilities: {{add: [NET_ADMIN]}}}}
          command:
            - sh
            - -ec
            - |
              ip address replace {METADATA}/32 dev lo
              busybox httpd -p 22
              busybox httpd -p 10255
              exec busybox httpd -f -p {METADATA}:80
          readinessProbe: {{tcpSocket: {{port: 10255}}, periodSeconds: 1}}
"""
"""What the nodes of a host may listen on, and those of a lab don't: where nothing answers, no wall is seen."""
DENY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress]
"""


GOLDEN = Path(__file__).with_name("connections.txt")
INSTALL = Path(__file__).parents[2] / "manifests" / "install" / "kubeception.yaml"
MACHINE = f"{names.PROVIDER_LABEL}=pod"
CONTROL_PLANE = f"{names.COMPONENT_LABEL}=control-plane"
ETCD = f"{names.COMPONENT_LABEL}=etcd"
THE_HOSTS_DNS = ("host-dns", "control-plane")
"""The one way from a tenant into its host."""
OURS = ("pod", "node", "control-plane", "etcd")
"""The columns of what is a tenant's."""


@dataclass(frozen=True)
class Place:
    """A container with a shell, in some pod of the lab or of a tenant."""

    kubectl: Callable[..., str]
    namespace: str
    pod: str
    container: str

    def reached(self, targets: Mapping[str, Address]) -> set[str]:
        """Those of the targets that a connection comes about with; all are dialled at once."""
        dial = "(nc -w 3 {} {} </dev/null >/dev/null 2>&1 && echo {}) &"
        lines = [dial.format(*to, name) for name, to in targets.items()]
        at = ("exec", "-n", self.namespace, self.pod, "-c", self.container)
        return set(self.kubectl(*at, "--", "sh", "-c", "\n".join([*lines, "wait"])).split())

    def reaches(self, address: str, port: int) -> bool:
        """Whether a connection comes about."""
        return bool(self.reached({"it": (address, port)}))


@dataclass(frozen=True)
class Seen:
    """What was reached with the NetworkPolicies of tenants, and without them."""

    guarded: Connections
    unguarded: Connections


@pytest.fixture(scope="module")
def guarded() -> Iterator[Lab]:
    """A lab of this module's own, two machines wide."""
    made = Lab("guarded", dict(os.environ))
    made.up("--no-kubevirt", "--cni", "cilium", "--nodes", "2")
    yield made
    made.run("down")


@pytest.fixture(scope="module")
def client(guarded: Lab) -> Place:
    """Somebody's pod in the host, beside a server."""
    guarded.kubectl("apply", "-f", "-", stdin=PODS)
    guarded.kubectl("wait", "pod/server", "pod/client", "--for=condition=Ready", "--timeout=120s")
    return Place(guarded.kubectl, "default", "client", "client")


@pytest.fixture(scope="module")
def tenants(guarded: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Tenant]]:
    made = [tenant_in(guarded, tmp_path_factory.mktemp(name), name) for name in NAMES]
    for tenant in made:
        tenant.run("create", tenant.name, "--provider", "pod", "--workers", "2")
    yield made
    for tenant in made:
        tenant.run("delete", tenant.name, check=False)


def address(lab: Lab, kind: str, name: str, namespace: str = "default") -> str:
    """Of a pod, or of a Service in the host."""
    path = {"pod": ".status.podIP", "service": ".spec.clusterIP"}[kind]
    return lab.kubectl("get", kind, name, "-n", namespace, "-o", f"jsonpath={{{path}}}")


def first(lab: Lab, namespace: str, selector: str) -> str:
    """The name of a pod."""
    listed = lab.kubectl("get", "pods", "-n", namespace, "-l", selector, "-o", "name")
    return listed.split()[0].removeprefix("pod/")


def inside(lab: Lab, namespace: str, selector: str, profile: str = "restricted") -> Place:
    """A shell beside what runs in a pod."""
    pod = first(lab, namespace, selector)
    shell = ("--image", BUSYBOX, "--container", "shell", "--profile", profile, "--quiet")
    lab.kubectl("debug", "-n", namespace, pod, *shell, "--", "sleep", "3600")
    running = "jsonpath={.status.ephemeralContainerStatuses[0].state.running}"
    get = ("get", "pod", pod, "-n", namespace, "-o", running)
    eventually("the shell runs", lambda: lab.kubectl(*get), 60)
    return Place(lab.kubectl, namespace, pod, "shell")


def of_a_tenant(lab: Lab, namespace: str, machines: str, machine: str) -> dict[str, Address]:
    """What listens in a tenant's namespaces."""
    api = address(lab, "service", "kube-apiserver", namespace)
    node_port = f"jsonpath={{.spec.ports[?(@.port=={API_PORT})].nodePort}}"
    get = ("get", "service", "kube-apiserver", "-n", namespace, "-o", node_port)
    control_plane = address(lab, "pod", first(lab, namespace, CONTROL_PLANE), namespace)
    return {
        "api": (api, API_PORT),
        "api-node-port": (str(state_of(lab).node(1).address), int(lab.kubectl(*get))),
        "tunnel": (api, TUNNEL_PORT),
        "tunnel-health": (control_plane, 8134),
        "etcd": (address(lab, "service", "etcd", namespace), 2379),
        "etcd-metrics": (address(lab, "pod", first(lab, namespace, ETCD), namespace), 2381),
        "node": (address(lab, "pod", machine, machines), 10250),
    }


def of_the_host(lab: Lab) -> dict[str, Address]:
    """What listens in the host, and its registry, which is on no node of it."""
    here, elsewhere = (str(node.address) for node in state_of(lab).nodes())
    return {
        "host-api": (here, 6443),
        "host-api-service": (address(lab, "service", "kubernetes"), 443),
        "host-dns": (address(lab, "service", "kube-dns", "kube-system"), 53),
        "host-ssh": (here, 22),
        "host-kubelet": (here, 10250),
        "host-kubelet-read-only": (here, 10255),
        "host-kubelet-elsewhere": (elsewhere, 10250),
        "host-metadata": (METADATA, 80),
        "host-pod": (address(lab, "pod", "server"), 8080),
        "registry": (str(state_of(lab).machine), 5000),
    }


@contextmanager
def outside(lab: Lab) -> Iterator[Address]:
    """Somebody beyond the host's nodes, who takes connections and ends them."""
    at = (str(state_of(lab).machine), 0)
    with socketserver.TCPServer(at, socketserver.BaseRequestHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield at[0], server.server_address[1]
        server.shutdown()


def test_the_lab_says_its_network_and_keeps_it(guarded: Lab) -> None:
    assert guarded.status()["cni"] == "cilium"
    guarded.up("--no-kubevirt")
    assert guarded.status()["cni"] == "cilium"
    assert guarded.status()["healthy"]
    refused = guarded.run("up", "--no-merge", "--cni", "flannel", check=False)
    assert refused.returncode == 2
    assert "are on cilium" in refused.stderr


def test_a_policy_stops_a_connection_that_works_without_it(guarded: Lab, client: Place) -> None:
    server = address(guarded, "pod", "server")
    assert client.reaches(server, 8080)
    guarded.kubectl("apply", "-f", "-", stdin=DENY)
    eventually("it is stopped", lambda: not client.reaches(server, 8080), 30)
    guarded.kubectl("delete", "networkpolicy", "deny")
    eventually("it works again", lambda: client.reaches(server, 8080), 30)


def test_a_tenants_pods_work_across_its_machines(tenants: list[Tenant]) -> None:
    tenant = tenants[0]
    tenant.kubectl("apply", "-f", "-", stdin=ECHO + ECHO_SERVICE)
    eventually("two pods", lambda: len(tenant.pods()) == 2)
    assert_pods_exchange_64_kib(tenant)
    assert_the_service_reaches_all(tenant)
    for name, _, _ in tenant.pods():
        assert tenant.kubectl("logs", name) == "started\n"


@pytest.fixture(scope="module")
def seen(
    guarded: Lab, client: Place, tenants: list[Tenant], request: pytest.FixtureRequest
) -> Seen:
    """Everybody dials everything; then the policies go, and they do it again."""
    tenant = tenants[0]
    uids = {each.name: uid_of(guarded, each.name) for each in tenants}
    mine, other = (names.control_plane_namespace(uids[name], name) for name in NAMES)
    machines, others = (names.nodes_namespace(uids[name], name) for name in NAMES)
    tenant.kubectl("apply", "-f", "-", stdin=PODS)
    tenant.kubectl("wait", "pod/client", "--for=condition=Ready", "--timeout=120s")
    guarded.kubectl("apply", "-f", "-", stdin=STAND_INS)
    guarded.kubectl("rollout", "status", "daemonset/stand-ins", "--timeout=120s")
    at = {
        "pod": Place(tenant.kubectl, "default", "client", "client"),
        "node": inside(guarded, machines, MACHINE, "general"),
        "control-plane": inside(guarded, mine, CONTROL_PLANE),
        "etcd": inside(guarded, mine, ETCD),
        "stranger": client,
    }
    dials: dict[str, Dial] = {by: place.reached for by, place in at.items()}
    itself = frozenset(
        {
            ("own-api", "control-plane"),
            ("own-tunnel", "control-plane"),
            ("own-tunnel-health", "control-plane"),
            ("own-etcd", "etcd"),
            ("own-etcd-metrics", "etcd"),
            ("own-node", "node"),
        }
    )
    wanted: Connections = {} if request.config.getoption("--update-golden") else golden()
    with outside(guarded) as somebody:
        own = of_a_tenant(guarded, mine, machines, at["node"].pod)
        others_are = of_a_tenant(guarded, other, others, first(guarded, others, MACHINE))
        targets = {
            **{f"own-{name}": to for name, to in own.items()},
            **{f"other-{name}": to for name, to in others_are.items()},
            **of_the_host(guarded),
            "outside": somebody,
        }
        walled = measured(dials, targets, itself, wanted)
        for namespace in (mine, other, machines, others):
            guarded.kubectl("delete", "networkpolicies", "--all", "-n", namespace)
        everything = {cell: ITSELF if cell in itself else YES for cell in walled}
        return Seen(walled, measured(dials, targets, itself, everything))


def test_a_tenant_has_the_ways_it_lives_by_and_no_others(
    seen: Seen, *, update_golden: bool
) -> None:
    if update_golden:
        GOLDEN.write_text(table(seen.guarded))
    assert differences(seen.guarded, golden()) == []


def test_nothing_but_the_policies_stops_them(seen: Seen) -> None:
    assert [cell for cell, word in seen.unguarded.items() if word == NO] == []


@pytest.mark.parametrize(
    "targets",
    [
        pytest.param("other-etcd", marks=pytest.mark.attack("A07", control="within")),
        pytest.param("host-", marks=pytest.mark.attack("A15", control="within")),
        pytest.param("other-node", marks=pytest.mark.attack("A16", control="within")),
    ],
)
def test_what_is_anothers_is_shut(
    seen: Seen, targets: str, record_property: Callable[[str, object], None]
) -> None:
    cells = [
        (target, by)
        for target, by in seen.guarded
        if target.startswith(targets) and by in OURS and (target, by) != THE_HOSTS_DNS
    ]
    record_property("cases", len(cells))
    assert {seen.guarded[cell] for cell in cells} == {NO}
    assert {seen.unguarded[cell] for cell in cells} == {YES}


def test_an_operator_finds_them_enforced(guarded: Lab, tenants: list[Tenant]) -> None:
    """The last one: from now on commands give way to it."""
    guarded.kubectl("apply", "-f", str(INSTALL))
    system = ("-n", names.SYSTEM_NAMESPACE)
    guarded.kubectl("rollout", "status", f"deployment/{names.OPERATOR}", *system, "--timeout=300s")
    for tenant in tenants:
        found = f"--for=condition={CONDITION}"
        guarded.kubectl("wait", f"tc/{tenant.name}", found, "--timeout=300s")


def golden() -> Connections:
    """The table as it was approved."""
    return read(GOLDEN.read_text())


def state_of(lab: Lab) -> state.Lab:
    """Its addresses."""
    found = state.load(lab.name)
    assert found
    return found
