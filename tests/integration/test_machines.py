"""Machines and their nodes: the host and the tenant are real API servers, the test is KubeVirt and the kubelet.

KubeVirt's kinds are there without its controllers: what these would do, each test writes itself.
"""

import base64
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubeception import names
from kubeception.engine import nodes
from kubeception.engine.machines import DRAIN_LIMIT, TOKEN_LIFE
from kubeception.engine.reconcile import Engine, now
from kubeception.engine.report import Report
from kubeception.kube.client import Cluster, Object
from kubeception.plan.context import PlanContext
from tests.integration.servers import ApiServer

ADDRESS = "10.244.0.9"
BARE = {
    "datastore": {"storage": "Ephemeral"},
    "networking": {"cni": "none"},
    "addons": {"coreDNS": False, "kubeProxy": False, "localPath": False, "metricsServer": False},
}
"""A tenant with nothing in it that its nodes don't need."""


class Straight:
    """The way to a tenant whose API server is at hand."""

    def __init__(self, tenant: Cluster) -> None:
        self.tenant = tenant

    def wait(self, ctx: PlanContext, seconds: float) -> Cluster:
        return self.tenant

    def lost(self) -> None:
        pytest.fail("the tenant's API server was taken for lost")

    def close(self) -> None:
        """It is the fixture's."""


class World:
    """One TenantCluster with a pool, and hands for what isn't there."""

    def __init__(self, host: Cluster, tenant: Cluster) -> None:
        self.host, self.tenant = host, tenant
        self.name = f"m-{uuid.uuid4().hex[:8]}"
        self.pool = f"{self.name}-workers"
        self.later = timedelta()
        made = host.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": "TenantCluster",
                "metadata": {"name": self.name, "namespace": "default"},
                "spec": BARE,
            }
        )
        self.namespace = names.nodes_namespace(made["metadata"]["uid"], self.name)

    def scale(self, replicas: int) -> None:
        self.host.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": "NodePool",
                "metadata": {"name": self.pool, "namespace": "default"},
                "spec": {"clusterRef": {"name": self.name}, "replicas": replicas},
            }
        )

    def clock(self) -> datetime:
        return now() + self.later

    def step(self, times: int = 1) -> Report:
        report: Report | None = None
        for _ in range(times):
            with Engine(self.host, "default", self.name, clock=self.clock) as engine:
                engine.link = Straight(self.tenant)  # type: ignore[assignment]
                report = engine.step()
        assert report is not None
        assert report.failures == []
        return report

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
        self.scale(1)
        self.step(2)
        (machine,) = self.vms()
        self.boot(machine)
        self.join(machine)
        self.step(2)
        return machine


@pytest.fixture
def world(virtual_host: Cluster, tenant: Cluster) -> Iterator[World]:
    yield World(virtual_host, tenant)
    for node in tenant.list("Node"):
        tenant.delete("Node", node["metadata"]["name"])


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
        assert expires - world.clock() <= TOKEN_LIFE
        files = {f["path"]: f["content"] for f in user_data(world, machine)["write_files"]}
        assert token in files["/etc/kubernetes/discovery.conf"]
    world.step()
    assert world.vms() == machines


def test_a_node_is_told_what_its_machine_is_and_its_token_goes(world: World) -> None:
    machine = world.ready_machine()
    node = world.node(machine)
    assert node["status"]["addresses"] == [
        {"type": "InternalIP", "address": ADDRESS},
        {"type": "Hostname", "address": machine},
    ]
    assert node["spec"]["providerID"] == f"kubevirt://{world.namespace}/{machine}"
    assert node["metadata"]["annotations"][nodes.FLANNEL_ADDRESS] == ADDRESS
    assert nodes.UNINITIALIZED not in [t["key"] for t in node["spec"].get("taints", ())]
    assert world.tokens() == {}
    report = world.step()
    assert [(s.machine.name, s.state) for s in report.machines] == [(machine, "Ready")]
    assert report.nodes.ok
    assert world.step().writes == 0


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
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"app-{world.name}",
            "namespace": "default",
            "labels": {"app": world.name},
        },
        "spec": {"nodeName": machine, "containers": [{"name": "c", "image": "i"}]},
    }
    world.tenant.apply(pod)
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    world.tenant.patch(
        "Pod", f"app-{world.name}", {"status": status}, "default", subresource="status"
    )
    world.scale(0)
    world.step(3)
    assert world.vms() == [machine]
    kept = world.tenant.get("Pod", f"app-{world.name}", "default")
    assert kept
    assert "deletionTimestamp" not in kept["metadata"]
    world.later = DRAIN_LIMIT + timedelta(seconds=5)
    world.step()
    assert world.vms() == []
    world.tenant.delete("Pod", f"app-{world.name}", "default", grace=0)


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
    world.later = TOKEN_LIFE + timedelta(seconds=5)
    world.step(2)
    (successor,) = world.vms()
    assert successor != machine
    assert list(world.tokens()) == [successor]
    assert world.tokens()[successor]["metadata"]["name"] != old["metadata"]["name"]
    assert world.host.get("Secret", machine, world.namespace) is None


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
