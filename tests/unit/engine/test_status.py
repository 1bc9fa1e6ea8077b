from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from kubeception.api.reasons import Actor, Reason
from kubeception.api.v1alpha1 import TenantCluster, parse_cluster
from kubeception.components import COMPONENTS
from kubeception.components.base import Readiness
from kubeception.engine.events import transitions
from kubeception.engine.machines import MachineState
from kubeception.engine.probe import ENFORCED, UNTESTED
from kubeception.engine.report import Report
from kubeception.engine.status import (
    MESSAGE_LIMIT,
    clip,
    cluster_status,
    deleting_status,
    paused_status,
    pool_status,
    refused_status,
)
from kubeception.errors import ConflictError, SpecError
from kubeception.plan.context import PlanContext
from kubeception.providers.base import Machine, Phase
from tests.plans import NOW, plan, pool

Status = dict[str, Any]
LATER = NOW + timedelta(minutes=5)


def ctx(old: Status | None = None, generation: int = 1, *, now: datetime = NOW) -> PlanContext:
    made = plan()
    return replace(made, cluster=cluster(old, generation), facts=replace(made.facts, now=now))


def cluster(old: Status | None = None, generation: int = 1, **spec: Any) -> TenantCluster:
    meta = {"name": "demo", "uid": "uid-of-demo", "generation": generation}
    return parse_cluster({"metadata": meta, "status": old or {}, "spec": spec})


def report(waiting: Readiness | None = None, *, nodes: int = 0, api: bool = True) -> Report:
    """Everything is ready but etcd, if that waits."""
    made = Report(cluster(), api_answers=api, endpoint="https://h:1", nodes_wanted=nodes)
    for component in COMPONENTS:
        late = waiting if component.name == "etcd" else None
        made.record(component, late or Readiness.ready())
    return made


def written(waiting: Readiness | None = None, old: Status | None = None, **more: Any) -> Status:
    return cluster_status(ctx(old, **more), report(waiting))


def condition(status: Status, name: str) -> Status:
    (found,) = [c for c in status["conditions"] if c["type"] == name]
    return dict(found)


def told(old: Status, new: Status) -> list[tuple[str, str]]:
    return [(news.type, news.reason) for news in transitions(old, new)]


PULL = Readiness.waiting("0/1 replicas ready: image x: ErrImagePull", Reason.IMAGE_NOT_PULLED)


def test_the_life_of_a_cluster_in_operations_and_events() -> None:
    first = written(Readiness.waiting("0/1 replicas ready", Reason.REPLICAS_NOT_READY))
    assert first["phase"] == "Progressing"
    assert first["lastOperation"] == {
        "type": "Create",
        "state": "Processing",
        "progress": 100 * (len(COMPONENTS) - 1) // len(COMPONENTS),
        "description": "Datastore: 0/1 replicas ready",
        "lastUpdateTime": "2026-01-02T03:04:05Z",
    }
    assert told({}, first) == [("Normal", "Creating")]

    stuck = written(PULL, first, now=LATER)
    assert condition(stuck, "Ready")["reason"] == "ImageNotPulled"
    assert condition(stuck, "DatastoreReady")["message"] == PULL.message
    assert told(first, stuck) == [("Warning", "ImageNotPulled")]
    assert told(stuck, written(PULL, stuck, now=LATER)) == []

    ready = written(None, stuck, now=LATER)
    assert (ready["phase"], ready["lastOperation"]["progress"]) == ("Ready", 100)
    assert (ready["lastOperation"]["type"], ready["lastOperation"]["state"]) == (
        "Create",
        "Succeeded",
    )
    assert told(stuck, ready) == [("Normal", "Created")]

    degraded = written(Readiness.waiting("0/1 replicas ready"), ready, now=LATER)
    assert degraded["lastOperation"]["type"] == "Reconcile"
    assert told(ready, degraded) == [("Warning", "Degraded")]
    again = written(None, degraded, now=LATER)
    assert again["lastOperation"]["type"] == "Reconcile"
    assert told(degraded, again) == [("Normal", "Ready")]


def test_what_was_asked_for_is_no_degradation() -> None:
    ready = written()
    changed = written(Readiness.waiting("0/1 replicas ready"), ready, generation=2)
    assert changed["observedGeneration"] == 2
    assert changed["lastOperation"]["type"] == "Reconcile"
    assert told(ready, changed) == [("Normal", "Updating")]
    more = cluster_status(ctx(ready), report(nodes=2))
    assert told(ready, more) == [("Normal", "Updating")]


def test_a_change_that_took_no_time_is_a_reconcile_too() -> None:
    ready = written()
    changed = written(None, ready, generation=2, now=LATER)["lastOperation"]
    assert (changed["type"], changed["state"]) == ("Reconcile", "Succeeded")
    assert changed["lastUpdateTime"] == "2026-01-02T03:09:05Z"


def test_what_was_seen_of_policies_counts_until_somebody_sees_otherwise() -> None:
    def said(old: Status | None, policies: Readiness | None) -> Status:
        made = report()
        made.policies = policies
        return cluster_status(ctx(old, now=LATER), made)

    open_ = Readiness.waiting("etcd answers", Reason.NOT_ENFORCED)
    assert "NetworkPolicyEnforced" not in [c["type"] for c in said(None, None)["conditions"]]
    unknown = said(written(), UNTESTED)
    assert condition(unknown, "NetworkPolicyEnforced")["status"] == "Unknown"
    found = said(unknown, open_)
    assert condition(found, "NetworkPolicyEnforced")["status"] == "False"
    assert told(unknown, found) == [("Warning", "NotEnforced")]
    assert found["phase"] == "Ready"
    for later in (None, UNTESTED, open_):
        assert said(found, later) == found
    mended = said(found, ENFORCED)
    assert condition(mended, "NetworkPolicyEnforced")["status"] == "True"
    assert told(found, mended) == []


def test_nothing_is_different_while_nothing_is() -> None:
    """Later, but the same: not a byte to write."""
    for waiting in (None, PULL):
        first = written(waiting)
        second = written(waiting, first, now=LATER)
        assert second == first
        assert written(waiting, second, now=LATER) == first


def test_a_condition_keeps_its_time_while_only_its_reason_changes() -> None:
    first = written(Readiness.waiting("0/1 replicas ready", Reason.REPLICAS_NOT_READY))
    second = written(PULL, first, now=LATER)
    assert condition(second, "Ready")["lastTransitionTime"] == "2026-01-02T03:04:05Z"
    third = written(None, second, now=LATER)
    assert condition(third, "Ready")["lastTransitionTime"] == "2026-01-02T03:09:05Z"


def test_each_aspect_has_a_condition_of_its_own() -> None:
    made = report(api=False)
    status = cluster_status(ctx(), made)
    assert [c["type"] for c in status["conditions"]] == [
        "Ready",
        "DatastoreReady",
        "APIServerReady",
        "EncryptionReady",
        "AddonsReady",
        "NodesReady",
        "Paused",
    ]
    assert condition(status, "DatastoreReady")["status"] == "True"
    assert condition(status, "APIServerReady")["reason"] == "NoAnswer"
    assert condition(status, "Ready")["message"] == "the API server does not answer yet"


def test_a_control_plane_that_is_not_ready_says_why_the_api_server_is_not() -> None:
    made = report(api=False)
    (component,) = [c for c in COMPONENTS if c.name == "control-plane"]
    made.record(component, PULL)
    assert condition(cluster_status(ctx(), made), "APIServerReady")["reason"] == "ImageNotPulled"


def test_a_failure_is_told_with_who_must_act() -> None:
    made = report()
    made.failures.append(ConflictError("Namespace x belongs to somebody else"))
    status = cluster_status(ctx(written()), made)
    assert (status["phase"], status["lastOperation"]["state"]) == ("Failed", "Error")
    assert condition(status, "Ready")["reason"] == "Conflict"
    assert told(written(), status) == [("Warning", "Conflict")]


def test_a_spec_that_cannot_be_read_is_refused_in_status() -> None:
    status = refused_status(cluster(), SpecError(["spec.version: no"]), NOW)
    assert condition(status, "Ready")["reason"] == "SpecRefused"
    assert "spec.version: no" in condition(status, "Ready")["message"]
    assert told({}, status)[-1] == ("Warning", "SpecRefused")


def test_a_pause_leaves_the_rest_as_it_was() -> None:
    ready = written()
    pause = paused_status(cluster(ready, 2, paused=True), LATER)
    assert pause["phase"] == "Paused"
    assert condition(pause, "Ready") == condition(ready, "Ready")
    assert condition(pause, "Paused")["status"] == "True"
    assert told(ready, {**ready, **pause}) == [("Normal", "Paused")]
    assert paused_status(cluster({**ready, **pause}, 2, paused=True), LATER) == pause
    resumed = written(None, {**ready, **pause}, generation=3)
    assert ("Normal", "Resumed") in told({**ready, **pause}, resumed)


def test_an_end_says_what_is_left_and_what_was_forced() -> None:
    made = Report(cluster(), steps=3)
    made.record(COMPONENTS[0], Readiness.ready())
    made.record(COMPONENTS[1], Readiness.waiting("2 pods to go"))
    ready = written()
    first = deleting_status(cluster(ready), made, (), NOW)
    assert (first["phase"], first["lastOperation"]["progress"]) == ("Deleting", 33)
    assert first["lastOperation"]["type"] == "Delete"
    assert "2 pods to go" in first["lastOperation"]["description"]
    assert told(ready, first) == [("Normal", "Deleting")]
    forced = deleting_status(cluster(first), made, ("Pod a", "Pod b: x/y"), NOW)
    assert condition(forced, "ForcedDeletion")["message"] == "Pod a; Pod b: x/y"
    assert told(first, forced) == [("Warning", "FinalizersCleared")]
    later = deleting_status(cluster(forced), made, ("Pod b: x/y",), LATER)
    assert later == forced


def test_machines_that_do_not_start_are_told_of_cluster_and_pool() -> None:
    machine = Machine("w-1", "demo", Phase.PENDING, NOW, message="0/3 nodes are available")
    made = report(nodes=1)
    made.machines = [MachineState(machine, "Starting")]
    status = cluster_status(ctx(), made)
    assert condition(status, "NodesReady")["reason"] == "MachineNotStarted"
    pools = pool_status(ctx(), pool(1), made)
    assert pools["replicas"] == 1
    assert condition(pools, "Ready")["message"] == "0/1 nodes ready, w-1: 0/3 nodes are available"
    assert told({}, pools) == [("Warning", "MachineNotStarted")]


def test_a_message_is_kept_as_found_but_not_at_any_length() -> None:
    assert clip("a\x1b[31m\n") == "a\x1b[31m\n"
    assert len(clip("x" * 5000)) == MESSAGE_LIMIT
    long = written(Readiness.waiting("y" * 5000))
    assert len(condition(long, "Ready")["message"]) == MESSAGE_LIMIT
    assert len(long["lastOperation"]["description"]) == MESSAGE_LIMIT


def test_every_reason_says_what_it_means_and_who_must_act() -> None:
    for reason in Reason:
        assert reason.isalpha()
        assert reason[0].isupper()
        assert isinstance(reason.actor, Actor)
        assert reason.meaning.endswith((".", "?"))


def test_time_is_utc() -> None:
    from kubeception.engine.status import time

    assert time(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00Z"
