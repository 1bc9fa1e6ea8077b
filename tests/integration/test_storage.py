"""Volumes of the host for a tenant: what is written where, what its driver may do, and what the host keeps it from."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kubeception import names
from kubeception.engine.reconcile import Engine
from kubeception.engine.report import Report
from kubeception.errors import ApiError, SpecError
from kubeception.kube import kinds
from kubeception.kube.client import Cluster, Object
from tests.integration.conftest import serve
from tests.integration.servers import ApiServer, binary
from tests.integration.standins import Straight, report_ready
from tests.integration.test_machines import BARE, World

CDI = "cdi.kubevirt.io"
OFFERED, KEPT_BACK = "offered-by-test", "kept-back-by-test"
CLASSES = [{"name": "volumes-of-test", "hostStorageClass": OFFERED}]
PATIENCE = 20.0
"""Seconds for a policy or a right to come into effect."""


class Store(World):
    """A tenant that wants volumes of its host."""

    def ask(self, *classes: Any, **spec: Any) -> None:
        meta = {"name": self.name, "namespace": "default"}
        kind = {"apiVersion": names.API_VERSION, "kind": "TenantCluster"}
        spec = {**BARE, "storage": {"classes": [*classes]}, **spec}
        self.host.apply({**kind, "metadata": meta, "spec": spec})

    def pass_(self) -> Report:
        """A pass that may fail."""
        with Engine(self.host, "default", self.name, clock=self.clock) as engine:
            engine.link = Straight(self.tenant)  # type: ignore[assignment]
            return engine.step()

    def settle_storage(self) -> None:
        found = self.host.get("Deployment", names.STORAGE_ACCOUNT, self.control_plane)
        assert found
        report_ready(self.host, found)

    def in_host(self) -> set[tuple[str, str]]:
        """What of the storage driver is in the host, Secrets apart, which are kept."""
        label = f"{names.COMPONENT_LABEL}=storage-controller"
        kinds_ = ("ConfigMap", "Deployment", "NetworkPolicy", "RoleBinding", "ServiceAccount")
        return {
            (kind, "nodes" if space == self.namespace else "control plane")
            for kind in kinds_
            for space in (self.namespace, self.control_plane)
            if self.host.list(kind, space, labels=label)
        }

    def in_tenant(self) -> set[str]:
        label = f"{names.COMPONENT_LABEL}=storage"
        kinds_ = ("CSIDriver", "ClusterRole", "ClusterRoleBinding", "DaemonSet", "StorageClass")
        return {kind for kind in kinds_ if self.tenant.list(kind, labels=label)}


ALL_OF_IT = {
    ("ConfigMap", "control plane"),
    ("Deployment", "control plane"),
    ("NetworkPolicy", "control plane"),
    ("RoleBinding", "nodes"),
    ("ServiceAccount", "control plane"),
}


EXPECTED = {
    "datavolumes.cdi.kubevirt.io/ create delete get",
    "virtualmachines.kubevirt.io/ get list",
    "virtualmachineinstances.kubevirt.io/ get list",
    "virtualmachines.subresources.kubevirt.io/addvolume update",
    "virtualmachines.subresources.kubevirt.io/removevolume update",
}
"""All that a driver may do in the namespace of its tenant's machines, and anywhere."""


def storage_class(name: str, *, offered: bool) -> Object:
    labels = {names.OFFERED_LABEL: "true"} if offered else {}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "labels": labels},
        "provisioner": "example.com/nobody",
    }


@pytest.fixture
def store(
    virtual_host: Cluster, tenant: Cluster, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    served = kinds.Kind("DataVolume", CDI, "v1beta1", "datavolumes")
    monkeypatch.setitem(kinds.KINDS, "DataVolume", served)
    serve(virtual_host, "datavolumes", "DataVolume", CDI, "v1beta1")
    virtual_host.apply(storage_class(OFFERED, offered=True))
    virtual_host.apply(storage_class(KEPT_BACK, offered=False))
    made = Store(virtual_host, tenant)
    yield made
    for name in (OFFERED, KEPT_BACK):
        virtual_host.delete("StorageClass", name)


def refused(do: Callable[[], object], by: str) -> None:
    """Wait until it is refused in these words; until then it must leave nothing."""
    ended = time.monotonic() + PATIENCE
    while time.monotonic() < ended:
        try:
            do()
        except ApiError as error:
            if by in error.message:
                return
            raise
        time.sleep(0.1)
    pytest.fail(f"still allowed after {PATIENCE} s")


def claim(namespace: str, storage_class_name: str | None, **spec: Any) -> Object:
    asked = {} if storage_class_name is None else {"storageClassName": storage_class_name}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "pvc-of-test", "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            **asked,
            **spec,
        },
    }


def disk(namespace: str, **spec: Any) -> Object:
    return {
        "apiVersion": f"{CDI}/v1beta1",
        "kind": "DataVolume",
        "metadata": {"name": "pvc-of-test", "namespace": namespace},
        "spec": spec,
    }


def test_what_is_asked_for_and_offered_is_there_until_it_is_not_asked_for(store: Store) -> None:
    store.step()
    assert store.in_host() == set()
    store.ask(*CLASSES)
    store.step()
    assert store.in_host() == ALL_OF_IT
    assert store.in_tenant() == set(), "before its controller runs"
    store.settle_storage()
    store.step()
    assert {"CSIDriver", "DaemonSet", "StorageClass"} <= store.in_tenant()
    assert store.step().writes == 0
    made = store.tenant.get("StorageClass", "volumes-of-test")
    assert made
    assert made["parameters"]["infraStorageClassName"] == OFFERED

    store.ask()
    store.step()
    assert store.in_host() == set()
    assert store.in_tenant() == set()
    assert store.step().writes == 0


def test_a_class_that_is_not_offered_is_refused_and_nothing_else_stops(store: Store) -> None:
    store.ask({"name": "mine", "hostStorageClass": KEPT_BACK})
    report = store.pass_()
    (failure,) = report.failures
    assert isinstance(failure, SpecError)
    assert f"{KEPT_BACK} is not offered" in failure.message
    assert f"kubectl label storageclass {KEPT_BACK}" in failure.hint
    assert store.in_host() == set()
    assert store.in_tenant() == set()
    assert store.host.get("Deployment", "control-plane", store.control_plane)
    found = store.host.get("TenantCluster", store.name, "default")
    assert found
    reasons = {c["type"]: c["reason"] for c in found["status"]["conditions"]}
    assert "SpecRefused" in reasons.values()

    store.host.apply(storage_class(KEPT_BACK, offered=True))
    assert store.pass_().failures == []
    assert store.in_host() == ALL_OF_IT


def test_an_offer_that_is_withdrawn_ends_for_what_is_new(store: Store) -> None:
    store.ask(*CLASSES)
    store.step()
    store.host.apply(claim(store.namespace, OFFERED))
    store.host.apply(storage_class(OFFERED, offered=False))
    assert [type(f) for f in store.pass_().failures] == [SpecError]
    again = claim(store.namespace, OFFERED)
    again["metadata"]["name"] = "pvc-another"
    refused(lambda: store.host.apply(again, dry_run=True), "not offered to this tenant")
    assert store.host.get("PersistentVolumeClaim", "pvc-of-test", store.namespace)
    assert store.in_host() == ALL_OF_IT, "what serves the volumes there are stays"


@pytest.mark.attack("A13", control="within")
@pytest.mark.parametrize("asked", [KEPT_BACK, "", None])
def test_the_host_keeps_volumes_to_the_offered_classes_whoever_asks(
    store: Store, asked: str | None
) -> None:
    """Also one who has all rights: what moves them may have been a tenant."""
    store.ask(*CLASSES)
    store.step()
    said = "not offered to this tenant"
    refused(lambda: store.host.apply(claim(store.namespace, asked), dry_run=True), said)
    assert store.host.apply(claim(store.namespace, OFFERED), dry_run=True)
    assert store.host.apply(claim(store.control_plane, asked), dry_run=True)


@pytest.mark.attack("A13")
def test_without_classes_there_is_no_volume(store: Store) -> None:
    store.step()
    for asked in (OFFERED, "", None):
        body = claim(store.namespace, asked)
        refused(lambda body=body: store.host.apply(body, dry_run=True), "not offered")  # type: ignore[misc]


@pytest.mark.attack("A13", control="within")
def test_a_drivers_disk_is_empty_at_first(store: Store, host_server: ApiServer) -> None:
    store.ask(*CLASSES)
    store.step()
    space = store.namespace
    for source in (
        {"source": {"http": {"url": "http://169.254.169.254/"}}},
        {"source": {"pvc": {"namespace": "kc-another", "name": "pvc-1"}}},
        {"source": {"blank": {}}, "sourceRef": {"kind": "DataSource", "name": "x"}},
        {},
    ):
        body = disk(space, storage={}, **source)
        with driver_of(store, host_server) as driver:
            refused(lambda body=body: driver.create(body), "empty at first")  # type: ignore[misc]
    filled = {"source": {"registry": {"url": "docker://registry.example/disk:1"}}}
    assert store.host.apply(disk(space, storage={}, **filled), dry_run=True), "a machine's own"


def kubectl(server: ApiServer, *words: str) -> str:
    (server.folder / "kubeconfig.storage").write_text(json.dumps(server.kubeconfig))
    command = (binary("kubectl"), "--kubeconfig=kubeconfig.storage", *words)
    return subprocess.run(
        command, cwd=server.folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def driver_of(store: Store, server: ApiServer) -> Cluster:
    """The host as the tenant's storage driver sees it, by a token of its account."""
    token = kubectl(server, "create", "token", names.STORAGE_ACCOUNT, "-n", store.control_plane)
    user = {"name": "it", "user": {"token": token}}
    return Cluster({**server.kubeconfig, "users": [user]}, "host")


def rights(server: ApiServer, account: tuple[str, str], namespace: str) -> set[str]:
    """What an account may do in a namespace, line by line as kubectl tells it."""
    who = f"system:serviceaccount:{':'.join(account)}"
    groups = [f"--as-group=system:serviceaccounts{tail}" for tail in ("", f":{account[0]}")]
    groups.append("--as-group=system:authenticated")
    said = kubectl(server, "auth", "can-i", "--list", "-n", namespace, f"--as={who}", *groups)
    return {" ".join(line.split()) for line in said.splitlines()[1:]}


@pytest.mark.attack("A13")
def test_the_drivers_account_may_do_that_and_nothing_more(
    store: Store, host_server: ApiServer
) -> None:
    store.ask(*CLASSES)
    store.step()
    driver = (store.control_plane, names.STORAGE_ACCOUNT)
    plain = (store.control_plane, "default")
    more = rights(host_server, driver, store.namespace) - rights(
        host_server, plain, store.namespace
    )
    assert {_plain(line) for line in more} == EXPECTED
    for elsewhere in (store.control_plane, "default", "kube-system", names.SYSTEM_NAMESPACE):
        of_all = rights(host_server, plain, elsewhere)
        assert rights(host_server, driver, elsewhere) == of_all, elsewhere


def _plain(line: str) -> str:
    """A resource and its verbs, however kubectl writes a subresource's group."""
    resource, _, verbs = line.partition(" [] [] ")
    head, _, group = resource.partition(".")
    base, _, sub = head.partition("/")
    group, _, late = group.partition("/")
    return f"{base}.{group}/{sub or late} {' '.join(sorted(verbs.strip('[]').split()))}"


@pytest.mark.attack("A13")
def test_with_its_token_the_driver_makes_disks_and_reaches_nothing_else(
    store: Store, host_server: ApiServer
) -> None:
    store.ask(*CLASSES)
    store.step()
    other = Store(store.host, store.tenant)
    other.ask(*CLASSES)
    other.step()
    with driver_of(store, host_server) as driver:
        blank = {"source": {"blank": {}}, "storage": {"storageClassName": OFFERED}}
        driver.create(disk(store.namespace, **blank))
        assert driver.get("DataVolume", "pvc-of-test", store.namespace)
        assert driver.list("VirtualMachine", store.namespace) == []
        forbidden: tuple[Callable[[], object], ...] = (
            lambda: driver.create(disk(other.namespace, **blank)),
            lambda: driver.list("VirtualMachine", other.namespace),
            lambda: driver.list("Secret", store.namespace),
            lambda: driver.list("Secret", store.control_plane),
            lambda: driver.get("ConfigMap", names.STORAGE_ACCOUNT, store.control_plane),
            lambda: driver.list("Pod", store.namespace),
            lambda: driver.list("PersistentVolume"),
            lambda: driver.list("Namespace"),
            lambda: driver.list("StorageClass"),
            lambda: driver.create(claim(store.namespace, OFFERED)),
            lambda: driver.patch(
                "Namespace", store.namespace, {"metadata": {"labels": {"a": "b"}}}
            ),
        )
        for act in forbidden:
            with pytest.raises(ApiError, match="forbidden"):
                act()
        thief = disk(store.namespace, source={"http": {"url": "http://10.0.0.1/"}}, storage={})
        thief["metadata"]["name"] = "pvc-thief"
        with pytest.raises(ApiError, match="empty at first"):
            driver.create(thief)
        driver.delete("DataVolume", "pvc-of-test", store.namespace)


def end(store: Store) -> None:
    store.host.delete("TenantCluster", store.name, "default")
    ended = time.monotonic() + 120
    with Engine(store.host, "default", store.name, clock=store.clock) as engine:
        while not engine.step().ready:
            assert time.monotonic() < ended
            time.sleep(0.2)


@pytest.mark.attack("A24")
def test_a_deleted_tenant_leaves_no_volume(store: Store) -> None:
    store.ask(*CLASSES)
    store.step()
    store.host.apply(claim(store.namespace, OFFERED))
    store.host.apply(disk(store.namespace, source={"blank": {}}, storage={}))
    volume = persistent_volume(store)
    store.host.apply(volume)
    unprotected: Object = {
        "metadata": {"finalizers": []}
    }  # as its controllers do, once nothing uses them
    store.host.patch("PersistentVolumeClaim", "pvc-of-test", unprotected, store.namespace)
    store.host.patch("PersistentVolume", volume["metadata"]["name"], unprotected)
    store.host.delete("TenantCluster", store.name, "default")
    with Engine(store.host, "default", store.name, clock=store.clock) as engine:
        ended = time.monotonic() + 60
        while store.host.get("Namespace", store.namespace) is not None:
            assert not engine.step().ready
            assert time.monotonic() < ended
            time.sleep(0.2)
        assert not engine.step().ready, "the volume is still there"
        store.host.delete("PersistentVolume", volume["metadata"]["name"])
        assert engine.step().ready
    assert store.host.get("TenantCluster", store.name, "default") is None


def persistent_volume(store: Store) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"pv-{store.name}"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": OFFERED,
            "csi": {"driver": "nobody.example.com", "volumeHandle": "1"},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": store.namespace,
                "name": "pvc-of-test",
            },
        },
    }


def test_what_is_retained_are_the_tenants_volumes_too(store: Store) -> None:
    spec = {"datastore": {"storage": "Auto"}, "deletionPolicy": "Retain"}
    store = Store(store.host, store.tenant, **spec)
    store.ask(*CLASSES, **spec)
    store.step()
    store.host.apply(claim(store.namespace, OFFERED))
    seed = {"name": "seed", "namespace": store.namespace, "labels": {names.MACHINE_LABEL: "seed"}}
    store.host.apply({"apiVersion": "v1", "kind": "Secret", "metadata": seed})
    end(store)
    for space in (store.namespace, store.control_plane):
        left = store.host.get("Namespace", space)
        assert left
        assert "deletionTimestamp" not in left["metadata"]
        assert names.RETAINED_ANNOTATION in left["metadata"]["annotations"]
        for kind in ("Deployment", "RoleBinding"):
            assert store.host.list(kind, space) == []
    assert store.host.get("PersistentVolumeClaim", "pvc-of-test", store.namespace)
    assert store.host.list("Secret", store.namespace) == []
    for space in (store.namespace, store.control_plane):
        store.host.delete("Namespace", space)
