"""What people are told of a tenant, by a real API server: status, Events, the end, and what keeps it off."""

import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from kubeception import names
from kubeception.engine import observe
from kubeception.engine.delete import LIMIT, refuse_protected
from kubeception.engine.follow import until_gone
from kubeception.engine.reconcile import Engine, now
from kubeception.engine.report import Report
from kubeception.errors import ApiError, ConflictError, SpecError
from kubeception.kube.client import Cluster, Object
from tests.integration.servers import ApiServer, binary

GONE_SECONDS = 60


class Tenant:
    """A TenantCluster and an engine that works on it, at whatever time it is told."""

    def __init__(self, host: Cluster, **spec: Any) -> None:
        self.host, self.name = host, f"s-{uuid.uuid4().hex[:8]}"
        self.later = timedelta()
        self.apply(**spec)
        self.uid = self.read()["metadata"]["uid"]
        self.namespace = names.control_plane_namespace(self.uid, self.name)

    def apply(self, **spec: Any) -> None:
        self.host.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": "TenantCluster",
                "metadata": {"name": self.name, "namespace": "default"},
                "spec": {"datastore": {"storage": "Ephemeral"}, **spec},
            }
        )

    def annotate(self, key: str, value: str | None) -> None:
        patch = {"metadata": {"annotations": {key: value}}}
        self.host.patch("TenantCluster", self.name, patch, "default")

    def clock(self) -> datetime:
        return now() + self.later

    def step(self) -> Report:
        with Engine(self.host, "default", self.name, clock=self.clock) as engine:
            return engine.step()

    def read(self) -> Object:
        found = self.host.get("TenantCluster", self.name, "default")
        assert found
        return found

    @property
    def status(self) -> Object:
        return dict(self.read()["status"])

    def condition(self, name: str) -> Object:
        (found,) = [c for c in self.status["conditions"] if c["type"] == name]
        return dict(found)

    def events(self) -> list[str]:
        """Reasons, the oldest first."""
        fields = f"involvedObject.uid={self.uid}"
        found = self.host.list("Event", "default", fields=fields)
        found.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [event["reason"] for event in found]

    def end(self) -> None:
        with Engine(self.host, "default", self.name, clock=self.clock) as engine:
            until_gone(engine, GONE_SECONDS, lambda _: None)


@pytest.fixture
def tenant(host: Cluster) -> Iterator[Tenant]:
    made = Tenant(host)
    yield made
    if host.get("TenantCluster", made.name, "default"):
        host.delete("TenantCluster", made.name, "default")
        made.end()


def test_what_is_done_and_how_far_it_is(tenant: Tenant) -> None:
    tenant.step()
    first = tenant.status["lastOperation"]
    assert (first["type"], first["state"]) == ("Create", "Processing")
    assert 0 < first["progress"] < 100
    assert "Datastore: 0/1 replicas ready" in first["description"]
    assert tenant.events() == ["Creating"]
    tenant.step()
    assert tenant.step().writes == 0
    assert tenant.status["lastOperation"] == first
    assert tenant.events() == ["Creating"]


def test_kubectl_describe_tells_the_events(tenant: Tenant, host_server: ApiServer) -> None:
    tenant.step()
    kubeconfig = host_server.folder / "kubectl.json"
    kubeconfig.write_text(json.dumps(host_server.kubeconfig))
    command = (binary("kubectl"), f"--kubeconfig={kubeconfig}", "describe", "tc", tenant.name)
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Creating" in said.partition("Events:")[2]
    assert tenant.namespace in said.partition("Events:")[2]


def failing_pod(tenant: Tenant, status: Object) -> None:
    """A pod of etcd's StatefulSet, as its controller would make it, in some trouble."""
    found = tenant.host.get("StatefulSet", "etcd", tenant.namespace)
    assert found
    template = found["spec"]["template"]
    meta: Object = {"name": "etcd-0", "namespace": tenant.namespace}
    meta["labels"] = template["metadata"]["labels"]
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "etcd", "controller": True}
    meta["ownerReferences"] = [{**owner, "uid": found["metadata"]["uid"]}]
    spec = {**template["spec"], "priorityClassName": names.PRIORITY_CLASS}
    tenant.host.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    tenant.host.patch("Pod", "etcd-0", {"status": status}, tenant.namespace, subresource="status")


def test_why_a_pod_does_not_run_is_said_once(tenant: Tenant) -> None:
    tenant.step()
    waiting = {"reason": "ImagePullBackOff", "message": "\x1b[31mnot found\x1b[0m"}
    container = {"name": "etcd", "image": "r/etcd:9", "ready": False, "restartCount": 0}
    container |= {"imageID": "", "state": {"waiting": waiting}}
    failing_pod(tenant, {"phase": "Pending", "containerStatuses": [container]})
    tenant.later = timedelta(seconds=30)
    report = tenant.step()
    assert report.again is not None
    found = tenant.condition("DatastoreReady")
    assert found["reason"] == "ImageNotPulled"
    assert (
        "pod etcd-0: image r/etcd:9 of container etcd: ImagePullBackOff: \x1b[31m"
        in found["message"]
    )
    assert tenant.condition("Ready")["reason"] == "ImageNotPulled"
    assert tenant.events() == ["Creating", "ImageNotPulled"]
    assert tenant.step().writes == 0
    tenant.host.delete("Pod", "etcd-0", tenant.namespace, grace=0)


def test_a_pod_that_nobody_may_make_says_who_refuses(tenant: Tenant) -> None:
    tenant.step()
    message = 'create Pod etcd-0 failed: pods "etcd-0" is forbidden: exceeded quota: small'
    about = {"kind": "StatefulSet", "name": "etcd", "namespace": tenant.namespace}
    tenant.host.create(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "etcd.1", "namespace": tenant.namespace},
            "involvedObject": about,
            "type": "Warning",
            "reason": "FailedCreate",
            "message": message,
        }
    )
    tenant.later = timedelta(seconds=30)
    tenant.step()
    assert tenant.condition("DatastoreReady")["reason"] == "QuotaExceeded"
    assert "exceeded quota: small" in tenant.condition("Ready")["message"]


def test_a_spec_that_cannot_be_planned_is_told(host: Cluster) -> None:
    tenant = Tenant(host, networking={"podCIDR": "10.96.0.0/16"})
    report = tenant.step()
    assert report.failures
    assert tenant.status["phase"] == "Failed"
    assert tenant.condition("Ready")["reason"] == "SpecRefused"
    assert "overlaps" in tenant.condition("Ready")["message"]
    assert tenant.status["lastOperation"]["state"] == "Error"
    assert "SpecRefused" in tenant.events()
    host.delete("TenantCluster", tenant.name, "default")
    tenant.end()


def test_a_spec_of_another_release_is_told_and_can_be_deleted(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant.step()

    def unread(*_: object) -> None:
        raise SpecError(["spec.novelty: unknown key"])

    monkeypatch.setattr(observe, "find_cluster", unread)
    with pytest.raises(SpecError):
        tenant.step()
    assert "spec.novelty: unknown key" in tenant.condition("Ready")["message"]
    tenant.host.delete("TenantCluster", tenant.name, "default")
    tenant.step()
    assert tenant.status["phase"] == "Deleting"
    monkeypatch.undo()
    tenant.end()


def test_the_end_says_what_it_waits_for_and_what_was_forced(tenant: Tenant) -> None:
    tenant.step()
    failing_pod(tenant, {"phase": "Running"})
    patch = {"metadata": {"finalizers": ["example.com/nobody"]}}
    tenant.host.patch("Pod", "etcd-0", patch, tenant.namespace)
    tenant.host.delete("TenantCluster", tenant.name, "default")
    tenant.step()
    status = tenant.status
    assert status["phase"] == "Deleting"
    operation = status["lastOperation"]
    assert (operation["type"], operation["state"]) == ("Delete", "Processing")
    assert operation["progress"] == 66
    assert f"Namespace {tenant.namespace}" in operation["description"]
    assert tenant.condition("Ready")["reason"] == "Deleting"
    assert tenant.step().writes == 0
    tenant.host.delete("Pod", "etcd-0", tenant.namespace)
    tenant.later = LIMIT + timedelta(seconds=5)
    tenant.step()
    forced = tenant.condition("ForcedDeletion")
    assert forced["message"] == "Pod etcd-0: example.com/nobody; Pod etcd-0: ended without its node"
    assert {"Deleting", "FinalizersCleared"} <= set(tenant.events())
    tenant.end()
    assert tenant.host.get("Namespace", tenant.namespace) is None


def test_retained_data_stays_with_its_keys_and_nothing_else(host: Cluster) -> None:
    tenant = Tenant(host, datastore={"storage": "Auto"}, deletionPolicy="Retain")
    tenant.step()
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-etcd-0", "namespace": tenant.namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    host.apply(claim)
    secrets = {s["metadata"]["name"] for s in host.list("Secret", tenant.namespace)}
    assert {"ca-etcd", "encryption"} <= secrets
    host.delete("TenantCluster", tenant.name, "default")
    tenant.end()
    assert host.get("TenantCluster", tenant.name, "default") is None
    assert host.get("Namespace", names.nodes_namespace(tenant.uid, tenant.name)) is None
    left = host.get("Namespace", tenant.namespace)
    assert left
    assert "deletionTimestamp" not in left["metadata"]
    assert names.RETAINED_ANNOTATION in left["metadata"]["annotations"]
    assert host.get("PersistentVolumeClaim", "data-etcd-0", tenant.namespace)
    assert {s["metadata"]["name"] for s in host.list("Secret", tenant.namespace)} == secrets
    for kind in ("Deployment", "StatefulSet", "Service", "PodDisruptionBudget"):
        assert host.list(kind, tenant.namespace) == []
    assert "Retained" in tenant.events()
    host.delete("Namespace", tenant.namespace)


def test_a_protected_cluster_is_kept_until_that_is_lifted(tenant: Tenant) -> None:
    """A policy takes effect a moment after it was written: until then, a dry run tells."""
    tenant.step()
    tenant.annotate(names.PROTECTED_ANNOTATION, "true")
    deadline = time.monotonic() + 30
    refused = ""
    while not refused and time.monotonic() < deadline:
        try:
            probe(tenant)
        except ApiError as error:
            refused = error.message
    assert f"TenantCluster default/{tenant.name} is protected from deletion" in refused
    lift = f"kubectl annotate tenantcluster {tenant.name} --namespace default {names.PROTECTED_ANNOTATION}-"
    assert lift in refused
    with pytest.raises(ApiError, match="is protected from deletion"):
        tenant.host.delete("TenantCluster", tenant.name, "default")
    with pytest.raises(ConflictError, match="is protected from deletion") as caught:
        refuse_protected(tenant.read())
    assert lift in caught.value.hint
    assert tenant.step().failures == []
    tenant.annotate(names.PROTECTED_ANNOTATION, None)
    refuse_protected(tenant.read())
    tenant.host.delete("TenantCluster", tenant.name, "default")
    tenant.end()


def probe(tenant: Tenant) -> None:
    """What would become of a deletion."""
    path = f"/apis/{names.API_VERSION}/namespaces/default/tenantclusters/{tenant.name}"
    tenant.host._request("DELETE", path, "a probe", {"dryRun": "All"})
