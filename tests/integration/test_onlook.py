"""Of a command and an operator only one works on a tenant: the command looks on, or takes over."""

import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubeception import names
from kubeception.engine.follow import until_gone, until_ready
from kubeception.engine.leader import leader
from kubeception.engine.reconcile import Engine
from kubeception.engine.report import Report
from kubeception.errors import KubeceptionError
from kubeception.kube.client import Cluster

SYSTEM = names.SYSTEM_NAMESPACE


@pytest.fixture
def name(host: Cluster) -> Iterator[str]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    spec = {"datastore": {"storage": "Ephemeral"}}
    meta = {"name": name, "namespace": "default"}
    host.apply(
        {"apiVersion": names.API_VERSION, "kind": "TenantCluster", "metadata": meta, "spec": spec}
    )
    host.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
    yield name
    host.delete("Lease", names.OPERATOR, SYSTEM)
    host.delete("TenantCluster", name, "default")
    with Engine(host, "default", name) as engine:
        until_gone(engine, 60, lambda _: None)


def lead(host: Cluster, ago: float = 0.0) -> None:
    """Write the Lease as an operator that was last heard of some seconds ago."""
    renewed = (datetime.now(UTC) - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    host.apply(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": names.OPERATOR, "namespace": SYSTEM},
            "spec": {"holderIdentity": "pod-1", "renewTime": renewed, "leaseDurationSeconds": 15},
        }
    )


def report(host: Cluster, name: str, **conditions: str) -> None:
    """Write a status as an operator does."""
    found = host.get("TenantCluster", name, "default")
    assert found
    generation = found["metadata"]["generation"]
    made = [
        {
            "type": kind,
            "status": "True" if said == "yes" else "False",
            "reason": "Ready" if said == "yes" else "InProgress",
            "message": said,
            "observedGeneration": generation,
            "lastTransitionTime": "2026-01-02T03:04:05Z",
        }
        for kind, said in conditions.items()
    ]
    status: dict[str, Any] = {"observedGeneration": generation, "conditions": made}
    status["phase"] = "Failed" if conditions.get("Ready") == "a bad spec" else "Progressing"
    host.patch("TenantCluster", name, {"status": status}, "default", subresource="status")


def spaces(host: Cluster, name: str) -> list[str]:
    return [s["metadata"]["name"] for s in host.list("Namespace") if name in s["metadata"]["name"]]


def test_a_command_tells_what_the_operator_reports_and_writes_nothing(
    host: Cluster, name: str
) -> None:
    lead(host)
    assert leader(host) == "pod-1"
    told: list[Report] = []

    def operate() -> None:
        report(host, name, Ready="Datastore: 0/1 replicas ready", DatastoreReady="0/1")
        while "Datastore: 0/1 replicas ready" not in [r.waits_for for r in told]:
            time.sleep(0.05)
        aspects = ("Ready", "DatastoreReady", "APIServerReady", "NodesReady", "AddonsReady")
        report(host, name, **dict.fromkeys(aspects, "yes"))

    operator = threading.Thread(target=operate)
    operator.start()
    with Engine(host, "default", name) as engine:
        found = until_ready(engine, 30, told.append)
    operator.join()
    assert found.ready
    assert found.writes == 0
    assert spaces(host, name) == []
    assert not [o for o in host.list("Lease", "default") if name in o["metadata"]["name"]]


def test_a_report_of_an_earlier_spec_counts_for_nothing(host: Cluster, name: str) -> None:
    lead(host)
    report(host, name, Ready="yes")
    host.patch("TenantCluster", name, {"spec": {"version": "v1.36.4"}}, "default")
    with Engine(host, "default", name) as engine:
        found = until_ready(engine, 0, lambda _: None)
    assert not found.ready
    assert found.waits_for == "the operator has not looked at it yet"


def test_what_the_operator_failed_at_is_raised(host: Cluster, name: str) -> None:
    lead(host)
    report(host, name, Ready="a bad spec")
    with Engine(host, "default", name) as engine, pytest.raises(KubeceptionError, match="a bad"):
        until_ready(engine, 0, lambda _: None)


def test_an_operator_that_went_silent_is_no_reason_to_wait(host: Cluster, name: str) -> None:
    lead(host, ago=60)
    assert leader(host) == ""
    with Engine(host, "default", name) as engine:
        until_ready(engine, 0, lambda _: None)
    assert len(spaces(host, name)) == 2


def test_a_lease_by_another_clock_is_known_by_its_renewal(host: Cluster, name: str) -> None:
    assert name
    lead(host, ago=3600)
    renewal = threading.Timer(1, lead, (host, 3599))
    renewal.start()
    assert leader(host, patient=True) == "pod-1"
    renewal.join()


def test_a_command_gives_back_its_lease_when_an_operator_comes(host: Cluster, name: str) -> None:
    def leases() -> list[str]:
        found = host.list("Lease", "default")
        return [o["metadata"]["name"] for o in found if name in o["metadata"]["name"]]

    held: list[bool] = []

    def told(found: Report) -> None:
        held.append(bool(leases()))
        if len(held) == 1:
            lead(host)
        elif not found.ready:
            report(host, name, Ready="yes")

    with Engine(host, "default", name) as engine:
        assert until_ready(engine, 30, told).ready
    assert held[0]
    assert not held[-1]
