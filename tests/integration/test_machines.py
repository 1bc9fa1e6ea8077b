"""Machines and their nodes: the host and the tenant are real API servers, the test is KubeVirt and the kubelet.

KubeVirt's kinds are there without its controllers: what these would do, each test writes itself.
"""

import base64
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubeception import names
from kubeception.api.lifecycle import Health, duration
from kubeception.engine import nodes, pods
from kubeception.engine.autoscale import starved
from kubeception.engine.changes import Changes
from kubeception.engine.machines import DRAIN_LIMIT
from kubeception.engine.reconcile import UNPLACED, Engine, now
from kubeception.engine.report import Report
from kubeception.errors import ApiError
from kubeception.kube.client import Cluster, Object
from kubeception.plan.bootstrap import BOOTSTRAP
from kubeception.providers.base import Machine
from kubeception.providers.kubevirt import VM_NAMESPACE
from tests.integration.conftest import serve
from tests.integration.operators import until
from tests.integration.servers import ApiServer
from tests.integration.standins import Straight, report_ready

ADDRESS = "10.244.0.9"
JOIN_LIMIT = duration(Health().join_timeout)
UNREADY_LIMIT = duration(Health().unready_timeout)
BARE = {
    "datastore": {"storage": "Ephemeral"},
    "networking": {"cni": "none"},
    "addons": {"coreDNS": False, "kubeProxy": False, "localPath": False, "metricsServer": False},
}
"""A tenant with nothing in it that its nodes don't need."""


class Firm(Straight):
    """A way that may not be lost."""

    def lost(self) -> None:
        pytest.fail("the tenant's API server was taken for lost")


class World:
    """One TenantCluster with a pool, and hands for what isn't there."""

    def __init__(self, host: Cluster, tenant: Cluster, **spec: Any) -> None:
        self.host, self.tenant = host, tenant
        self.name = f"m-{uuid.uuid4().hex[:8]}"
        self.pool = f"{self.name}-workers"
        self.later = timedelta()
        made = host.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": "TenantCluster",
                "metadata": {"name": self.name, "namespace": "default"},
                "spec": {**BARE, **spec},
            }
        )
        uid = made["metadata"]["uid"]
        self.namespace = names.nodes_namespace(uid, self.name)
        self.control_plane = names.control_plane_namespace(uid, self.name)

    def scale(self, replicas: int, **spec: Any) -> None:
        self.host.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": "NodePool",
                "metadata": {"name": self.pool, "namespace": "default"},
                "spec": {"clusterRef": {"name": self.name}, "replicas": replicas, **spec},
            }
        )

    def status(self) -> Any:
        """What the pool says of itself."""
        found = self.host.get("NodePool", self.pool, "default")
        assert found
        return found["status"]

    def condition(self, name: str) -> tuple[str, str]:
        """Status and reason of one of the pool's conditions."""
        (found,) = [c for c in self.status()["conditions"] if c["type"] == name]
        return found["status"], found["reason"]

    def clock(self) -> datetime:
        return now() + self.later

    def step(self, times: int = 1) -> Report:
        report = self.look()
        for _ in range(times - 1):
            report = self.look()
        assert report.failures == []
        return report

    def look(self) -> Report:
        """One pass, whatever comes of it."""
        with Engine(self.host, "default", self.name, clock=self.clock) as engine:
            engine.link = Firm(self.tenant)  # type: ignore[assignment]
            return engine.step()

    def vms(self) -> list[str]:
        found = self.host.list("VirtualMachine", self.namespace)
        return sorted(vm["metadata"]["name"] for vm in found)

    def tokens(self) -> dict[str, Object]:
        """Bootstrap tokens by machine."""
        found = self.tenant.list("Secret", "kube-system", labels=names.MACHINE_LABEL)
        mine = [
            s for s in found if s["metadata"]["labels"][names.MACHINE_LABEL].startswith(self.pool)
        ]
        return {s["metadata"]["labels"][names.MACHINE_LABEL]: s for s in mine}

    def boot(self, machine: str, address: str = ADDRESS) -> None:
        """KubeVirt starts the machine."""
        meta = {"name": machine, "namespace": self.namespace}
        body = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "metadata": meta}
        self.host.apply({**body, "spec": {}}, manager="kubevirt")
        status = {
            "phase": "Running",
            "nodeName": "host-1",
            "interfaces": [{"name": "default", "ipAddress": address}],
        }
        self.host.patch(
            "VirtualMachineInstance",
            machine,
            {"status": status},
            self.namespace,
            subresource="status",
        )

    def join(self, machine: str) -> None:
        """The kubelet registers, and is ready."""
        taint = {"key": nodes.UNINITIALIZED, "value": "true", "effect": "NoSchedule"}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": machine}}
        self.tenant.apply({**body, "spec": {"taints": [taint]}}, manager="kubelet")
        status = {
            "addresses": [{"type": "InternalIP", "address": "10.0.2.2"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        self.tenant.patch("Node", machine, {"status": status}, subresource="status")

    def node(self, machine: str) -> Object:
        found = self.tenant.get("Node", machine)
        assert found
        return found

    def ready_machine(self) -> str:
        """One machine that became a node."""
        (machine,) = self.ready_machines(1)
        return machine

    def ready_machines(self, replicas: int, **spec: Any) -> list[str]:
        """Machines that became nodes."""
        self.scale(replicas, **spec)
        self.step(2)
        self.start()
        self.step(2)
        return self.vms()

    def tell(self, kind: str, name: str, **status: Any) -> None:
        """KubeVirt says more of an object of its own."""
        self.host.patch(kind, name, {"status": status}, self.namespace, subresource="status")

    def start(self) -> None:
        """All machines boot and join."""
        joined = {node["metadata"]["name"] for node in self.tenant.list("Node")}
        for number, machine in enumerate(self.vms()):
            if machine not in joined:
                self.boot(machine, f"10.244.0.{number + 9}")
                self.join(machine)

    def settle(self) -> None:
        """The control plane is ready, as its spec says."""
        found = self.host.get("Deployment", "control-plane", self.control_plane)
        assert found
        report_ready(self.host, found)

    def ready(self, machine: str, status: str, since: datetime) -> None:
        """The node's Ready condition, since then."""
        moment = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        ready = {
            "type": "Ready",
            "status": status,
            "message": "as the test wants it",
            "lastTransitionTime": moment,
        }
        patch = {"status": {"conditions": [ready]}}
        self.tenant.patch("Node", machine, patch, subresource="status")

    def pod(self, name: str, machine: str, **spec: Any) -> None:
        """A pod that runs and is ready."""
        labels = {"app": self.name}
        meta: Object = {"name": f"{name}-{self.name}", "namespace": "default", "labels": labels}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta}
        containers = [{"name": "c", "image": "i"}]
        self.tenant.apply({**body, "spec": {"nodeName": machine, "containers": containers, **spec}})
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        self.tenant.patch("Pod", meta["name"], {"status": status}, "default", subresource="status")

    def has_pod(self, name: str) -> bool:
        """Whether the pod is there and hasn't been told to go."""
        found = self.tenant.get("Pod", f"{name}-{self.name}", "default")
        return found is not None and "deletionTimestamp" not in found["metadata"]


@pytest.fixture
def world(virtual_host: Cluster, tenant: Cluster) -> Iterator[World]:
    yield World(virtual_host, tenant)
    for node in tenant.list("Node"):
        tenant.delete("Node", node["metadata"]["name"])
    for pod in tenant.list("Pod", "default"):
        tenant.delete("Pod", pod["metadata"]["name"], "default", grace=0)


def user_data(world: World, machine: str) -> Any:
    secret = world.host.get("Secret", machine, world.namespace)
    assert secret
    return yaml.safe_load(base64.b64decode(secret["data"]["userdata"]))


def test_a_pool_gets_its_machines_each_with_a_token_of_its_own(world: World) -> None:
    world.scale(2)
    world.step(2)
    machines = world.vms()
    tokens = world.tokens()
    assert len(machines) == 2
    assert sorted(tokens) == machines
    for machine in machines:
        data = {k: base64.b64decode(v).decode() for k, v in tokens[machine]["data"].items()}
        token = f"{data['token-id']}.{data['token-secret']}"
        assert data["token-secret"] not in data["description"]
        expires = datetime.fromisoformat(data["expiration"])
        assert expires - world.clock() <= JOIN_LIMIT
        files = {f["path"]: f["content"] for f in user_data(world, machine)["write_files"]}
        assert token in files[BOOTSTRAP]
    world.step()
    assert world.vms() == machines


def test_a_node_that_somebody_else_changed_is_not_ready_before_it_was_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = nodes.node_patch

    def too_late(node: Object, machine: Machine, *args: Any, **options: Any) -> Object | None:
        monkeypatch.setattr(nodes, "node_patch", told)
        patch = told(node, machine, *args, **options)
        world.tenant.patch("Node", machine.name, {"metadata": {"labels": {"quicker": "yes"}}})
        return patch

    world.scale(1)
    world.step(2)
    world.start()
    monkeypatch.setattr(nodes, "node_patch", too_late)
    assert [found.state for found in world.step().machines] == ["Joined"]
    assert [found.state for found in world.step().machines] == ["Ready"]
    taints = world.node(world.vms()[0])["spec"]["taints"]
    assert nodes.UNINITIALIZED not in [taint["key"] for taint in taints]


@pytest.mark.attack("A17")
def test_a_node_is_told_what_its_machine_is_and_its_token_goes(world: World) -> None:
    machine = world.ready_machine()
    node = world.node(machine)
    assert node["status"]["addresses"] == [
        {"type": "InternalIP", "address": ADDRESS},
        {"type": "Hostname", "address": machine},
    ]
    assert node["spec"]["providerID"] == f"kubevirt://{machine}"
    assert node["metadata"]["annotations"][VM_NAMESPACE] == world.namespace
    assert node["metadata"]["labels"][names.PROVIDER_LABEL] == "kubevirt"
    assert node["metadata"]["annotations"][nodes.FLANNEL_ADDRESS] == ADDRESS
    assert nodes.UNINITIALIZED not in [t["key"] for t in node["spec"].get("taints", ())]
    assert world.tokens() == {}
    report = world.step()
    assert [(s.machine.name, s.state) for s in report.machines] == [(machine, "Ready")]
    assert report.nodes.ok
    assert world.step().writes == 0


def who(server: ApiServer, token: str) -> str:
    """Whom the tenant takes for the bearer of a token; nobody where it doesn't."""
    document = {**server.kubeconfig, "users": [{"name": "it", "user": {"token": token}}]}
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    with Cluster(document, "tenant") as thief:
        try:
            said = thief.create({**review, "metadata": {}})
        except ApiError as error:
            if error.status != 401:
                raise
            return ""
    return str(said["status"]["userInfo"]["username"])


@pytest.mark.attack("A17", control="within")
def test_a_token_out_of_user_data_opens_nothing_once_its_machine_has_joined(
    world: World, tenant_server: ApiServer
) -> None:
    world.scale(1)
    world.step(2)
    (machine,) = world.vms()
    files = {f["path"]: f["content"] for f in user_data(world, machine)["write_files"]}
    config = yaml.safe_load(files[BOOTSTRAP])
    (stolen,) = (user["user"]["token"] for user in config["users"])
    name = f"system:bootstrap:{stolen.partition('.')[0]}"
    until(lambda: who(tenant_server, stolen) == name)  # until then it is good for a join
    world.start()
    world.step(2)
    until(lambda: who(tenant_server, stolen) == "")


@pytest.mark.attack("A18")
def test_others_nodes_are_left_alone(world: World) -> None:
    world.join("somebody-elses")
    before = world.node("somebody-elses")
    world.ready_machine()
    assert world.node("somebody-elses") == before


def request_for(machine: str, address: str) -> str:
    subject = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, f"system:node:{machine}"),
        ]
    )
    sans = x509.SubjectAlternativeName([x509.DNSName(machine), x509.IPAddress(ip_address(address))])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    request = builder.add_extension(sans, critical=False)
    signed = request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


@pytest.mark.parametrize(("address", "approved"), [(ADDRESS, True), ("10.244.0.10", False)])
def test_a_serving_certificate_is_approved_for_the_machines_address_only(
    world: World, tenant_server: ApiServer, address: str, approved: bool
) -> None:
    machine = world.ready_machine()
    with kubelet_of(tenant_server, machine) as kubelet:
        csr = kubelet.create(
            {
                "apiVersion": "certificates.k8s.io/v1",
                "kind": "CertificateSigningRequest",
                "metadata": {"name": f"csr-{machine}"},
                "spec": {
                    "signerName": nodes.SERVING_SIGNER,
                    "usages": ["digital signature", "server auth"],
                    "request": request_for(machine, address),
                },
            }
        )
    world.step()
    found = world.tenant.get("CertificateSigningRequest", csr["metadata"]["name"])
    assert found
    decided = [c["type"] for c in found["status"].get("conditions", ())]
    assert decided == (["Approved"] if approved else [])


def kubelet_of(server: ApiServer, machine: str) -> Cluster:
    """The tenant's API server as the machine's kubelet uses it."""
    kubelet = server.cluster("tenant")
    kubelet._api.set_default_header("Impersonate-User", f"system:node:{machine}")  # type: ignore[no-untyped-call]
    kubelet._api.set_default_header("Impersonate-Group", "system:nodes")  # type: ignore[no-untyped-call]
    return kubelet


def test_scaling_down_drains_then_removes_machine_node_and_user_data(world: World) -> None:
    machine = world.ready_machine()
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"app-{world.name}", "namespace": "default"},
        "spec": {"nodeName": machine, "containers": [{"name": "c", "image": "i"}]},
    }
    world.tenant.apply(pod)
    world.scale(0)
    report = world.step()
    assert report.machines[0].state in ("Draining", "Ready")
    assert world.node(machine)["spec"]["unschedulable"] is True
    evicted = world.tenant.get("Pod", f"app-{world.name}", "default")
    assert evicted is None or "deletionTimestamp" in evicted["metadata"]
    assert world.vms() == [machine]
    world.tenant.delete("Pod", f"app-{world.name}", "default", grace=0)
    world.step()
    assert world.vms() == []
    assert world.tenant.get("Node", machine) is None
    assert world.host.get("Secret", machine, world.namespace) is None


def test_a_drain_that_does_not_end_is_ended(world: World) -> None:
    machine = world.ready_machine()
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": world.name, "namespace": "default"},
        "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": world.name}}},
    }
    world.tenant.apply(budget)
    world.pod("app", machine)
    world.scale(0)
    world.step(3)
    assert world.vms() == [machine]
    assert world.has_pod("app")
    assert world.condition("Ready") == ("False", "NodesNotReady")
    world.later = timedelta(seconds=12)
    report = world.step()
    assert report.due is not None
    assert report.due <= 2
    assert world.condition("Ready") == ("False", "DrainBlocked")
    assert f"pod default/app-{world.name}: The disruption budget {world.name}" in str(
        world.status()["conditions"]
    )
    assert "Warning DrainBlocked" in pool_events(world)
    world.later = DRAIN_LIMIT + timedelta(seconds=5)
    world.step()
    assert world.vms() == []
    assert "Warning DrainEnded" in pool_events(world)


def test_a_pools_own_time_ends_its_drains(world: World) -> None:
    machine = world.ready_machine()
    world.pod("app", machine, terminationGracePeriodSeconds=600)
    world.scale(0, drainTimeout="5s")
    world.step(2)
    assert world.vms() == [machine]
    world.later = timedelta(seconds=7)
    world.step()
    assert world.vms() == []


def test_a_pod_that_would_come_back_holds_no_drain(world: World) -> None:
    machine = world.ready_machine()
    world.pod("stays", machine, tolerations=[{"key": pods.CORDONED["key"], "operator": "Exists"}])
    world.scale(0)
    world.step()
    assert world.vms() == []
    assert world.has_pod("stays")


def test_a_changed_pool_rolls_one_by_one_and_never_lacks_a_ready_node(world: World) -> None:
    old = set(world.ready_machines(3))
    world.settle()
    world.scale(3, kubevirt={"cpus": 2})
    for _ in range(12):
        report = world.step()
        assert len(world.vms()) <= 4
        assert sum(s.ready for s in report.machines) >= 3
        if report.nodes.ok and not old & set(world.vms()):
            break
        world.start()
    assert len(world.vms()) == 3
    assert not old & set(world.vms())
    assert world.condition("UpToDate") == ("True", "Ready")
    for vm in world.host.list("VirtualMachine", world.namespace):
        assert vm["spec"]["template"]["spec"]["domain"]["cpu"] == {"cores": 2}
    assert world.step().writes == 0


def test_a_pool_whose_drain_is_forbidden_does_not_go_on(world: World) -> None:
    """The control run of the one above: no second node is touched while the first can't go."""
    old = world.ready_machines(3)
    world.settle()
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": world.name, "namespace": "default"},
        "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": world.name}}},
    }
    world.tenant.apply(budget)
    for machine in old:
        world.pod(f"on-{machine}", machine)
    world.scale(3, kubevirt={"cpus": 2})
    for _ in range(6):
        world.step()
        world.start()
    assert set(old) < set(world.vms())
    assert len(world.vms()) == 4
    cordoned = [m for m in old if world.node(m)["spec"].get("unschedulable")]
    assert len(cordoned) == 1
    assert world.condition("UpToDate") == ("False", "InProgress")
    assert (world.status()["updatedReplicas"], world.status()["replicas"]) == (1, 4)


def test_a_pool_waits_for_its_control_plane(world: World) -> None:
    machines = world.ready_machines(1)
    world.scale(1, version="v1.35.4")
    world.step(2)
    assert world.vms() == machines
    assert world.condition("UpToDate") == ("False", "InProgress")
    world.settle()
    world.step()
    assert len(world.vms()) == 2


def test_what_is_no_part_of_a_machine_rolls_nothing(world: World) -> None:
    machines = world.ready_machines(1)
    life = {"strategy": {"maxSurge": "50%"}, "drainTimeout": "1h", "health": {"maxUnhealthy": 1}}
    world.scale(1, **life)
    world.step(2)
    assert world.vms() == machines
    assert world.step().writes == 0


def test_a_paused_pool_is_left_alone(world: World) -> None:
    machines = world.ready_machines(2)
    world.scale(3, paused=True, kubevirt={"cpus": 2})
    world.step(3)
    assert world.vms() == machines
    assert world.condition("Paused") == ("True", "Paused")
    assert world.condition("Ready") == ("False", "Paused")
    world.scale(1, paused=True)
    world.host.delete("VirtualMachineInstance", machines[0], world.namespace)
    world.later = timedelta(minutes=10)
    world.step(2)
    assert world.vms() == machines
    assert world.step().writes == 0
    world.scale(1, paused=False)
    world.step()
    assert world.vms() == machines[1:]


def test_a_pool_of_a_version_that_can_not_be_gains_nothing(world: World) -> None:
    world.scale(1, version="v1.36.9")
    world.step(2)
    assert world.vms() == []
    assert world.condition("Ready") == ("False", "VersionSkew")
    world.scale(1, version="v1.35.4")
    world.step()
    (machine,) = world.vms()
    vm = world.host.get("VirtualMachine", machine, world.namespace)
    assert vm
    (root,) = [v for v in vm["spec"]["template"]["spec"]["volumes"] if v["name"] == "root"]
    assert root["containerDisk"]["image"].endswith(":v1.35.4")
    assert world.status()["version"] == "v1.35.4"


def test_a_node_that_stays_unready_is_replaced(world: World) -> None:
    machine = world.ready_machine()
    world.ready(machine, "Unknown", world.clock())
    report = world.step()
    assert world.vms() == [machine]
    assert report.due is not None
    assert report.due <= UNREADY_LIMIT.total_seconds()
    world.later = UNREADY_LIMIT + timedelta(seconds=5)
    world.step()
    assert machine not in world.vms()
    assert world.tenant.get("Node", machine) is None
    world.step()
    assert len(world.vms()) == 1
    assert "Warning MachineDiscarded" in pool_events(world)


def test_when_too_many_fail_at_once_none_is_replaced(world: World) -> None:
    machines = world.ready_machines(3)
    for machine in machines[:2]:
        world.ready(machine, "Unknown", world.clock())
    world.later = UNREADY_LIMIT + timedelta(seconds=5)
    world.step(2)
    assert world.vms() == machines
    assert world.condition("Ready") == ("False", "TooManyUnhealthy")
    assert world.condition("Healthy") == ("False", "TooManyUnhealthy")
    assert world.status()["unhealthyReplicas"] == 2
    assert "Warning TooManyUnhealthy" in pool_events(world)
    assert world.step().writes == 0
    world.ready(machines[0], "True", world.clock())
    world.step(2)
    assert machines[1] not in world.vms()
    assert len(world.vms()) == 3


def test_a_machine_whose_node_was_deleted_is_replaced(world: World) -> None:
    machine = world.ready_machine()
    world.later = timedelta(minutes=2)
    world.tenant.delete("Node", machine)
    world.step(2)
    assert machine not in world.vms()
    assert len(world.vms()) == 1


def test_a_machine_its_host_is_to_lose_is_drained_and_made_elsewhere(world: World) -> None:
    machine = world.ready_machine()
    world.pod("app", machine)
    evicted = {"status": {"evacuationNodeName": "host-1"}}
    world.host.patch(
        "VirtualMachineInstance", machine, evicted, world.namespace, subresource="status"
    )
    world.step()
    assert len(world.vms()) == 2
    assert world.node(machine)["spec"]["unschedulable"] is True
    assert not world.has_pod("app")
    world.tenant.delete("Pod", f"app-{world.name}", "default", grace=0)
    world.step()
    (successor,) = world.vms()
    assert successor != machine
    assert "Normal NodeLeaving" in pool_events(world)


MIGRATION = "VirtualMachineInstanceMigration"
MIGRATABLE = {"type": "LiveMigratable", "status": "True"}


def to_be_emptied(world: World, condition: Object, pods: int = 1) -> str:
    """A machine of a pool that moves, on a host node that is to be emptied."""
    (machine,) = world.ready_machines(1, kubevirt={"eviction": "LiveMigrate"})
    for number in range(pods):
        world.pod(f"app-{number}", machine)
    said = {"evacuationNodeName": "host-1", "conditions": [condition]}
    world.tell("VirtualMachineInstance", machine, **said)
    return machine


def test_a_machine_moves_as_it_runs_and_its_node_goes_on(world: World) -> None:
    machine = to_be_emptied(world, MIGRATABLE)
    flannel = {nodes.FLANNEL_KNOWN: ADDRESS}
    world.tenant.patch("Node", machine, {"metadata": {"annotations": flannel}})
    world.step()
    (move,) = world.host.list(MIGRATION, world.namespace)
    assert move["spec"] == {"vmiName": machine}
    (state,) = world.step().machines
    assert (state.state, state.ready) == ("Migrating", True)
    assert len(world.host.list(MIGRATION, world.namespace)) == 1
    assert world.vms() == [machine]
    assert world.condition("Ready") == ("True", "Ready")
    assert not world.node(machine)["spec"].get("unschedulable")
    assert world.has_pod("app-0")

    there = {"nodeName": "host-2", "evacuationNodeName": None}
    interfaces = [{"name": "default", "ipAddress": "10.244.3.4"}]
    world.tell("VirtualMachineInstance", machine, **there, interfaces=interfaces)
    world.tell(MIGRATION, move["metadata"]["name"], phase="Succeeded")
    (state,) = world.step().machines
    assert (state.state, state.machine.address) == ("Ready", "10.244.3.4")
    node = world.node(machine)
    addresses = {a["type"]: a["address"] for a in node["status"]["addresses"]}
    assert addresses["InternalIP"] == "10.244.3.4"
    marks = node["metadata"]["annotations"]
    assert marks[nodes.FLANNEL_ADDRESS] == marks[nodes.FLANNEL_KNOWN] == "10.244.3.4"
    report = world.step()
    assert report.writes == 0
    assert len(world.host.list(MIGRATION, world.namespace)) == 1


@pytest.mark.parametrize(
    "condition",
    [
        MIGRATABLE,
        {
            "type": "LiveMigratable",
            "status": "False",
            "reason": "DisksNotLiveMigratable",
            "message": "PVC is not shared",
        },
    ],
    ids=["failed", "not migratable"],
)
def test_a_machine_that_can_not_move_is_drained_and_made_elsewhere(
    world: World, condition: Object
) -> None:
    machine = to_be_emptied(world, condition)
    world.step()
    for move in world.host.list(MIGRATION, world.namespace):
        assert condition is MIGRATABLE
        assert world.has_pod("app-0")
        world.tell(MIGRATION, move["metadata"]["name"], phase="Failed")
        world.step()
    assert len(world.vms()) == 2
    assert world.node(machine)["spec"]["unschedulable"] is True
    assert not world.has_pod("app-0")
    world.tenant.delete("Pod", f"app-0-{world.name}", "default", grace=0)
    world.step()
    assert machine not in world.vms()
    assert len(world.vms()) == 1


def test_a_paused_pool_moves_nothing(world: World) -> None:
    (machine,) = world.ready_machines(1, kubevirt={"eviction": "LiveMigrate"})
    world.scale(1, kubevirt={"eviction": "LiveMigrate"}, paused=True)
    evicted = {"evacuationNodeName": "host-1", "conditions": [MIGRATABLE]}
    world.tell("VirtualMachineInstance", machine, **evicted)
    world.step(2)
    assert world.host.list(MIGRATION, world.namespace) == []
    assert world.vms() == [machine]


ON_A_VOLUME = {"rootDisk": {"size": "20Gi", "storageClassName": "standard"}}


def test_without_cdi_no_machine_is_half_made(world: World) -> None:
    world.scale(1, kubevirt=ON_A_VOLUME)
    world.look()
    (refused,) = world.look().failures
    assert "the host has no CDI" in refused.message
    assert "Install it" in refused.hint
    assert world.condition("Ready") == ("False", "MachineNotStarted")
    (ready,) = [c for c in world.status()["conditions"] if c["type"] == "Ready"]
    assert "the host has no CDI" in ready["message"]
    assert world.vms() == []
    assert world.tokens() == {}
    assert not world.host.list("Secret", world.namespace, labels=names.MACHINE_LABEL)


@pytest.fixture
def cdi(virtual_host: Cluster) -> Iterator[None]:
    serve(virtual_host, "datavolumes", "DataVolume", "cdi.kubevirt.io", "v1beta1")
    yield
    virtual_host.delete("CustomResourceDefinition", "datavolumes.cdi.kubevirt.io")
    while virtual_host.raw("/apis/cdi.kubevirt.io/v1beta1") is not None:
        time.sleep(0.1)


@pytest.mark.usefixtures("cdi")
def test_how_far_a_disk_is_and_what_is_wrong_with_it_is_told(world: World) -> None:
    world.scale(1, kubevirt=ON_A_VOLUME)
    world.step(2)
    (machine,) = world.vms()
    vm = world.host.get("VirtualMachine", machine, world.namespace)
    assert vm
    (template,) = vm["spec"]["dataVolumeTemplates"]
    meta = {**template["metadata"], "namespace": world.namespace}
    kind = {"apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume"}
    world.host.apply({**kind, "metadata": meta, "spec": template["spec"]}, manager="kubevirt")
    world.tell("VirtualMachine", machine, printableStatus="Provisioning")
    world.tell("DataVolume", machine, phase="ImportInProgress")
    report = world.step()
    assert report.soon is not None
    assert report.soon <= 5
    assert world.condition("Ready") == ("False", "InProgress")
    (ready,) = [c for c in world.status()["conditions"] if c["type"] == "Ready"]
    assert "its disk is ImportInProgress" in ready["message"]

    failed = {"type": "Running", "status": "False", "reason": "Error", "message": "no space left"}
    world.tell("VirtualMachine", machine, printableStatus="DataVolumeError")
    world.tell("DataVolume", machine, conditions=[failed])
    world.step()
    assert world.condition("Ready") == ("False", "VolumePending")
    (ready,) = [c for c in world.status()["conditions"] if c["type"] == "Ready"]
    assert "its disk: no space left" in ready["message"]


def test_a_machine_that_lives_again_is_replaced(world: World) -> None:
    machine = world.ready_machine()
    world.host.delete("VirtualMachineInstance", machine, world.namespace)
    world.boot(machine, "10.244.0.77")
    world.later = timedelta(minutes=2)
    world.step(2)
    assert machine not in world.vms()
    assert len(world.vms()) == 1
    assert world.tenant.get("Node", machine) is None


def test_a_machine_that_does_not_join_in_time_is_replaced_with_a_new_token(world: World) -> None:
    world.scale(1)
    world.step(2)
    (machine,) = world.vms()
    world.boot(machine)
    old = world.tokens()[machine]
    world.later = JOIN_LIMIT + timedelta(seconds=5)
    world.step(2)
    (successor,) = world.vms()
    assert successor != machine
    assert list(world.tokens()) == [successor]
    assert world.tokens()[successor]["metadata"]["name"] != old["metadata"]["name"]
    assert world.host.get("Secret", machine, world.namespace) is None


def expires(world: World, machine: str) -> timedelta:
    """In how long, by the clock of the engine, the machine's token ends."""
    said = base64.b64decode(world.tokens()[machine]["data"]["expiration"]).decode()
    return datetime.fromisoformat(said) - world.clock()


@pytest.mark.attack("A17")
def test_a_token_ends_soon_and_is_renewed_while_its_machine_may_join(world: World) -> None:
    world.scale(1)
    world.step(2)
    (machine,) = world.vms()
    token, limit, slack = world.tokens()[machine], timedelta(minutes=15), timedelta(seconds=30)
    assert limit - slack < expires(world, machine) <= limit
    world.later = limit / 3
    assert world.step().writes == 0
    world.later = limit * 2 / 3
    report = world.step()
    assert limit - slack < expires(world, machine) <= limit
    assert report.due is not None
    assert report.due <= (limit / 2).total_seconds()
    assert world.step().writes == 0
    world.later = JOIN_LIMIT - timedelta(minutes=5)
    world.step()
    assert timedelta(minutes=4) < expires(world, machine) <= timedelta(minutes=5), "and no longer"
    assert world.tokens()[machine]["metadata"]["uid"] == token["metadata"]["uid"]


@pytest.mark.parametrize("said", ["", "soon", "0001-01-01T00:00:00Z", "2026-01-01"])
def test_a_token_whose_end_can_not_be_read_is_written_anew(world: World, said: str) -> None:
    world.scale(1)
    world.step(2)
    (machine,) = world.vms()
    name = world.tokens()[machine]["metadata"]["name"]
    world.tenant.patch("Secret", name, {"stringData": {"expiration": said}}, "kube-system")
    world.step()
    assert timedelta(minutes=14) < expires(world, machine) <= timedelta(minutes=15)


def test_a_token_that_somebody_took_by_hand_is_not_renewed(world: World) -> None:
    world.scale(1)
    world.step(2)
    (machine,) = world.vms()
    name = world.tokens()[machine]["metadata"]["name"]
    mark = {"metadata": {"labels": {names.BY_HAND_LABEL: "true"}}}
    world.tenant.patch("Secret", name, mark, "kube-system")
    world.later = timedelta(minutes=14)
    world.step()
    assert expires(world, machine) <= timedelta(minutes=1)


def test_what_a_killed_run_had_half_made_is_cleared_away(world: World) -> None:
    world.scale(1)
    world.step(2)
    (machine,) = world.vms()
    token = world.tokens()[machine]
    world.host.delete("VirtualMachine", machine, world.namespace)
    world.step(2)
    (successor,) = world.vms()
    assert successor != machine
    assert world.host.get("Secret", machine, world.namespace) is None
    assert world.tenant.get("Secret", token["metadata"]["name"], "kube-system") is None


def test_a_node_without_its_machine_is_deleted(world: World) -> None:
    machine = world.ready_machine()
    world.scale(0)
    world.host.delete("VirtualMachine", machine, world.namespace)
    world.step()
    assert world.tenant.get("Node", machine) is None


def test_machines_of_a_pool_that_was_deleted_go(world: World) -> None:
    machine = world.ready_machine()
    world.host.delete("NodePool", world.pool, "default")
    world.step(2)
    assert machine not in world.vms()


def pool_events(world: World) -> set[str]:
    found = world.host.list("Event", "default", fields=f"involvedObject.name={world.pool}")
    return {f"{event['type']} {event['reason']}" for event in found}


def test_what_becomes_of_machines_is_told_of_their_pool(world: World) -> None:
    machine = world.ready_machine()
    assert pool_events(world) == {"Normal NodeJoined", "Normal Ready"}
    world.step(2)
    joined = world.host.list("Event", "default", fields="reason=NodeJoined")
    (event,) = [e for e in joined if machine in e["message"]]
    assert event["count"] == 1
    world.host.delete("VirtualMachineInstance", machine, world.namespace)
    world.later = timedelta(minutes=2)
    world.step()
    assert "Warning MachineDiscarded" in pool_events(world)
    world.scale(0)
    world.step()
    assert "Normal NodeLeaving" in pool_events(world)


AUTO = {"autoscaling": {"max": 3, "scaleDownAfter": "10m"}}


def hungry(world: World, name: str, **spec: Any) -> None:
    """A pod for which the scheduler finds no node."""
    meta: Object = {"name": f"{name}-{world.name}", "namespace": "default"}
    resources = {"requests": {"cpu": "600m", "memory": "64Mi"}}
    containers = [{"name": "c", "image": "i", "resources": resources}]
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta}
    world.tenant.apply({**body, "spec": {"containers": containers, **spec}})
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    status = {"phase": "Pending", "conditions": [waits]}
    world.tenant.patch("Pod", meta["name"], {"status": status}, "default", subresource="status")


def test_pods_bring_a_pool_from_zero_and_their_end_takes_it_back(world: World) -> None:
    world.scale(0, **AUTO)
    world.step(2)
    assert world.vms() == []
    for name in ("a", "b"):
        hungry(world, name)
    world.step()
    assert len(world.vms()) == 2
    world.step()
    pool = world.host.get("NodePool", world.pool, "default")
    assert pool
    assert pool["spec"]["replicas"] == 2
    assert "Normal Autoscaled" in pool_events(world)
    world.start()
    for pod in world.tenant.list("Pod", "default"):
        world.tenant.delete("Pod", pod["metadata"]["name"], "default", grace=0)
    report = world.step(2)
    assert len(world.vms()) == 2
    assert report.due is not None
    assert report.due <= 30
    assert world.step().writes == 0
    world.later = timedelta(minutes=11)
    world.step(3)
    assert world.vms() == []
    pool = world.host.get("NodePool", world.pool, "default")
    assert pool
    assert pool["spec"]["replicas"] == 0


def test_pods_that_do_not_fit_the_pool_bring_nothing(world: World) -> None:
    """The control run of the one above."""
    world.scale(0, **AUTO)
    world.step(2)
    hungry(world, "elsewhere", nodeSelector={"example.com/zone": "moon"})
    world.step(2)
    assert world.vms() == []


def test_a_pod_that_finds_no_node_wakes_and_one_that_has_one_does_not(world: World) -> None:
    with closing(Changes()) as changes:
        changes.watch_all(world.tenant, ["Pod"], fields=UNPLACED, only=starved)
        world.pod("placed", "some-node")
        assert waited(changes, 1.5) >= 1.5
        hungry(world, "waits")
        assert waited(changes, 10) < 5


def waited(changes: Changes, seconds: float) -> float:
    began = time.monotonic()
    changes.wait(seconds)
    return time.monotonic() - began
