"""The later life of a cluster: its address arrives late, its certificates grow old, it can't end well."""

import base64
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509

from kubeception import names
from kubeception.engine.delete import LIMIT
from kubeception.engine.follow import until_gone, until_ready
from kubeception.engine.reconcile import Engine, now
from kubeception.engine.report import Report
from kubeception.errors import NotFoundError, WaitTimeoutError
from kubeception.kube.client import Cluster, Object
from kubeception.plan.pki import CAS
from kubeception.plan.x509 import LEAF_LIFE

ADDRESS = "203.0.113.7"
KUBEVIRT = ("VirtualMachine", "VirtualMachineInstance", "VirtualMachineInstanceMigration")


class World:
    """A TenantCluster and the engine that works on it, at any time of its life."""

    def __init__(self, host: Cluster, **spec: Any) -> None:
        self.host, self.name = host, f"t-{uuid.uuid4().hex[:8]}"
        self.later = timedelta()
        made = host.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": "TenantCluster",
                "metadata": {"name": self.name, "namespace": "default"},
                "spec": {"datastore": {"storage": "Ephemeral"}, **spec},
            }
        )
        uid = made["metadata"]["uid"]
        self.namespace = names.control_plane_namespace(uid, self.name)
        self.nodes_namespace = names.nodes_namespace(uid, self.name)

    def clock(self) -> datetime:
        return now() + self.later

    def engine(self) -> Engine:
        return Engine(self.host, "default", self.name, clock=self.clock)

    def step(self) -> Report:
        with self.engine() as engine:
            report = engine.step()
        assert report.failures == []
        return report

    def secrets(self) -> dict[str, Object]:
        """The Secrets of the control plane's namespace, by name."""
        found = self.host.list("Secret", self.namespace)
        return {secret["metadata"]["name"]: secret["data"] for secret in found}

    def certificate(self, secret: str, file: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate(base64.b64decode(self.secrets()[secret][file]))

    def config(self) -> str:
        """What the pods of the control plane are made new for when it changes."""
        found = self.host.get("Deployment", "control-plane", self.namespace)
        assert found
        annotations = found["spec"]["template"]["metadata"]["annotations"]
        return str(annotations[names.CONFIG_ANNOTATION])

    def end(self) -> None:
        self.later = timedelta()
        self.host.delete("TenantCluster", self.name, "default")
        with self.engine() as engine:
            until_gone(engine, 60, lambda _: None)


@pytest.fixture
def world(host: Cluster) -> Iterator[World]:
    made = World(host)
    yield made
    made.end()


@pytest.fixture
def balanced(host: Cluster) -> Iterator[World]:
    """With an API server that wants the address of a load balancer."""
    made = World(host, exposure={"type": "LoadBalancer"})
    yield made
    made.end()


def covered(certificate: x509.Certificate) -> set[str]:
    """The addresses a certificate is good for."""
    names_in_it = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(address) for address in names_in_it.get_values_for_type(x509.IPAddress)}


def give_address(world: World, **ingress: str) -> None:
    """What the host's load balancer does."""
    status = {"status": {"loadBalancer": {"ingress": [ingress]}}}
    world.host.patch("Service", "kube-apiserver", status, world.namespace, subresource="status")


def test_a_cluster_waits_for_its_load_balancer_and_says_so(balanced: World) -> None:
    with (
        balanced.engine() as engine,
        pytest.raises(WaitTimeoutError, match="Service of type LoadBalancer"),
    ):
        until_ready(engine, 1.0, lambda _: None)
    assert balanced.host.get("Deployment", "control-plane", balanced.namespace), "it starts anyway"
    assert ADDRESS not in covered(balanced.certificate("kube-apiserver", "serving.crt"))


def test_the_load_balancers_address_is_the_endpoint_and_certified(balanced: World) -> None:
    balanced.step()
    config = balanced.config()
    give_address(balanced, ip=ADDRESS)
    report = balanced.step()
    assert report.endpoint == f"https://{ADDRESS}:6443"
    assert ADDRESS in covered(balanced.certificate("kube-apiserver", "serving.crt"))
    assert balanced.config() == config, "kube-apiserver reads a new certificate by itself"
    with balanced.engine() as engine:
        document = engine.context().pki.admin_kubeconfig()
    assert document["clusters"][0]["cluster"]["server"] == f"https://{ADDRESS}:6443"
    assert ip_address(ADDRESS)
    balanced.step()
    assert balanced.step().writes == 0


def test_a_load_balancer_may_have_a_name(balanced: World) -> None:
    balanced.step()
    give_address(balanced, hostname="lb.example.com")
    assert balanced.step().endpoint == "https://lb.example.com:6443"


def test_leaf_certificates_are_renewed_after_two_thirds_of_their_life(world: World) -> None:
    world.step()
    before, config = world.secrets(), world.config()
    world.later = LEAF_LIFE / 2
    world.step()
    assert world.secrets() == before
    world.later = LEAF_LIFE * 3 / 4
    world.step()
    after = world.secrets()
    roots = {*(f"ca-{name}" for name in CAS), "service-account", "encryption-key", "encryption"}
    assert {name for name in before if after[name] == before[name]} == roots
    assert world.certificate("etcd", "etcd.crt").not_valid_after_utc > world.clock() + LEAF_LIFE / 2
    assert world.config() != config, "the tunnel's server reads its certificate at its start only"
    world.step()
    assert world.step().writes == 0


def test_a_tenant_ends_although_nobody_answers_for_its_machines(virtual_host: Cluster) -> None:
    """KubeVirt is dead: what it was to finalize stays, until the limit is over."""
    host = virtual_host
    world = World(host)
    world.step()
    meta = {
        "name": "m",
        "namespace": world.nodes_namespace,
        "finalizers": ["kubevirt.io/virtualMachineControllerFinalize"],
    }
    for kind in KUBEVIRT:
        host.apply({"apiVersion": "kubevirt.io/v1", "kind": kind, "metadata": meta, "spec": {}})
    host.delete("TenantCluster", world.name, "default")
    with world.engine() as engine, pytest.raises(WaitTimeoutError, match="1 machines to go"):
        until_gone(engine, 3.0, lambda _: None)
    world.later = LIMIT
    with world.engine() as engine:
        until_gone(engine, 60, lambda _: None)
    for kind in KUBEVIRT:
        assert host.list(kind, world.nodes_namespace) == []
    assert host.get("Namespace", world.nodes_namespace) is None
    with world.engine() as engine, pytest.raises(NotFoundError):
        engine.step()


@pytest.mark.parametrize("own", [True, False], ids=["control plane", "machines"])
def test_a_tenant_is_not_gone_before_its_volumes_are(host: Cluster, *, own: bool) -> None:
    world = World(host)
    world.step()
    name = f"v-{world.name}"
    claim = world.namespace if own else world.nodes_namespace
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Delete",
        "claimRef": {"namespace": claim, "name": "root"},
        "hostPath": {"path": "/nowhere"},
    }
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}}
    host.apply({**volume, "spec": spec})
    host.delete("TenantCluster", world.name, "default")
    with world.engine() as engine:
        with pytest.raises(WaitTimeoutError, match="1 volumes to go"):
            until_gone(engine, 12.0, lambda _: None)
        host.patch("PersistentVolume", name, {"metadata": {"finalizers": None}})
        host.delete("PersistentVolume", name)
        until_gone(engine, 60, lambda _: None)
