"""A lab on Cilium: what a NetworkPolicy forbids doesn't happen, and a tenant has the ways it lives by and no others."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from kubeception import names
from kubeception.lab import state
from kubeception.plan.endpoint import API_PORT, TUNNEL_PORT
from tests.e2e.conftest import ECHO_SERVICE, Lab
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
DENY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress]
"""


@dataclass(frozen=True)
class Place:
    """A container with a shell, in some pod of the lab."""

    lab: Lab
    namespace: str
    pod: str
    container: str

    def reaches(self, address: str, port: int) -> bool:
        """Whether a connection comes about."""
        dial = f"nc -w 3 {address} {port} </dev/null >/dev/null 2>&1 && echo yes || echo no"
        at = ("exec", "-n", self.namespace, self.pod, "-c", self.container)
        return self.lab.kubectl(*at, "--", "sh", "-c", dial) == "yes\n"


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
    return Place(guarded, "default", "client", "client")


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


def inside(lab: Lab, namespace: str, selector: str, profile: str = "restricted") -> Place:
    """A shell beside what runs in a pod."""
    listed = lab.kubectl("get", "pods", "-n", namespace, "-l", selector, "-o", "name")
    pod = listed.split()[0].removeprefix("pod/")
    shell = ("--image", BUSYBOX, "--container", "shell", "--profile", profile, "--quiet")
    lab.kubectl("debug", "-n", namespace, pod, *shell, "--", "sleep", "3600")
    running = "jsonpath={.status.ephemeralContainerStatuses[0].state.running}"
    get = ("get", "pod", pod, "-n", namespace, "-o", running)
    eventually("the shell runs", lambda: lab.kubectl(*get), 60)
    return Place(lab, namespace, pod, "shell")


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


@pytest.mark.attack("A15", control="within")
def test_a_tenant_has_the_ways_it_lives_by_and_no_others(
    guarded: Lab,
    client: Place,
    tenants: list[Tenant],
    record_property: Callable[[str, object], None],
) -> None:
    uids = {tenant.name: uid_of(guarded, tenant.name) for tenant in tenants}
    mine, other = (names.control_plane_namespace(uids[name], name) for name in NAMES)
    machines, others = (names.nodes_namespace(uids[name], name) for name in NAMES)
    of_a_machine = f"{names.PROVIDER_LABEL}=pod"
    machine = inside(guarded, machines, of_a_machine, "general")
    control = inside(guarded, mine, f"{names.COMPONENT_LABEL}=control-plane")
    etcd = inside(guarded, mine, f"{names.COMPONENT_LABEL}=etcd")
    listed = (
        "get",
        "pods",
        "-n",
        others,
        "-l",
        of_a_machine,
        "-o",
        "jsonpath={.items[*].status.podIP}",
    )
    foreign = guarded.kubectl(*listed).split()[0]
    first, second = (str(place.address) for place in state_of(guarded).nodes())
    registry = str(state_of(guarded).machine)
    server = address(guarded, "pod", "server")
    dns = address(guarded, "service", "kube-dns", "kube-system")
    api = address(guarded, "service", "kube-apiserver", mine)
    data = address(guarded, "service", "etcd", mine)
    kubelet = address(guarded, "pod", machine.pod, machines)
    ways = {
        "a machine: its API server": (machine, api, API_PORT),
        "a machine: its tunnel": (machine, api, TUNNEL_PORT),
        "a machine: the registry": (machine, registry, 5000),
        "the control plane: its etcd": (control, data, 2379),
        "the control plane: the host's DNS": (control, dns, 53),
        "a client: the API server": (client, api, API_PORT),
    }
    walls = {
        "a machine: its etcd": (machine, data, 2379),
        "a machine: somebody's pod": (machine, server, 8080),
        "a machine: the host's API server": (machine, first, 6443),
        "a machine: the same by its Service": (
            machine,
            address(guarded, "service", "kubernetes"),
            443,
        ),
        "a machine: a kubelet of the host": (machine, first, 10250),
        "a machine: another kubelet of the host": (machine, second, 10250),
        "a machine: the host's DNS": (machine, dns, 53),
        "a machine: another's API server": (
            machine,
            address(guarded, "service", "kube-apiserver", other),
            API_PORT,
        ),
        "a machine: another's machine": (machine, foreign, 10250),
        "the control plane: its machines": (control, kubelet, 10250),
        "the control plane: somebody's pod": (control, server, 8080),
        "the control plane: the host's API server": (control, first, 6443),
        "the control plane: the world": (control, registry, 5000),
        "the control plane: another's etcd": (
            control,
            address(guarded, "service", "etcd", other),
            2379,
        ),
        "etcd: the API server": (etcd, api, API_PORT),
        "etcd: the world": (etcd, registry, 5000),
        "a client: its etcd": (client, data, 2379),
        "a client: its machine": (client, kubelet, 10250),
    }
    record_property("cases", len(walls))
    assert [name for name, (at, to, port) in ways.items() if not at.reaches(to, port)] == []
    assert [name for name, (at, to, port) in walls.items() if at.reaches(to, port)] == []
    for namespace in (mine, other, machines, others):
        guarded.kubectl("delete", "networkpolicies", "--all", "-n", namespace)
    for name, (at, to, port) in walls.items():  # else it may be no wall of ours that stopped it
        eventually(name, partial(at.reaches, to, port), 30)


def state_of(lab: Lab) -> state.Lab:
    """Its addresses."""
    found = state.load(lab.name)
    assert found
    return found
