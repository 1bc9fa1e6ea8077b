from datetime import timedelta
from typing import Any

import pytest

from kubeception.components.causes import PATIENCE, cause, refusal
from kubeception.plan.facts import Object
from tests.plans import NOW

OLD = (NOW - PATIENCE).isoformat()
UNSCHEDULED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available: 3 Insufficient memory.",
}


def pod(container: Object | None = None, *, created: str = OLD, **status: Any) -> Object:
    if container:
        status["containerStatuses"] = [{"name": "etcd", "image": "r/etcd:1", **container}]
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data-etcd-0"}}
    return {
        "metadata": {"name": "etcd-0", "creationTimestamp": created},
        "spec": {"volumes": [{"name": "x", "emptyDir": {}}, claim]},
        "status": status,
    }


def waiting(reason: str, message: str = "") -> Object:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


ENDED = {"exitCode": 1, "reason": "Error", "message": "starting\npanic: no disk\n"}
CRASHED = {**waiting("CrashLoopBackOff", "back-off 10s"), "lastState": {"terminated": ENDED}}


@pytest.mark.parametrize(
    ("found", "reason", "message"),
    [
        (
            pod(waiting("ImagePullBackOff", "Back-off pulling: not found")),
            "ImageNotPulled",
            "pod etcd-0: image r/etcd:1 of container etcd: ImagePullBackOff: Back-off pulling: not found",
        ),
        (
            pod(waiting("CreateContainerConfigError", 'secret "x" not found')),
            "ContainerNotStarted",
            'pod etcd-0: container etcd: CreateContainerConfigError: secret "x" not found',
        ),
        (
            pod(CRASHED),
            "ContainerEnds",
            "pod etcd-0: container etcd ends again and again, with exit code 1 (Error): panic: no disk",
        ),
        (
            pod({"restartCount": 2, "state": {"terminated": {"exitCode": 137}}}),
            "ContainerEnds",
            "pod etcd-0: container etcd ends again and again, with exit code 137",
        ),
        (
            pod(conditions=[UNSCHEDULED]),
            "Unschedulable",
            "pod etcd-0: Unschedulable: 0/3 nodes are available: 3 Insufficient memory.",
        ),
    ],
)
def test_a_pod_in_trouble_says_which(found: Object, reason: str, message: str) -> None:
    said = cause([found], [], [], NOW)
    assert said is not None
    assert (said.reason, said.message) == (reason, message)


def test_a_container_that_starts_before_the_others_counts_too() -> None:
    found = pod(initContainerStatuses=[{"name": "apiserver", **CRASHED}])
    said = cause([found], [], [], NOW)
    assert said is not None
    assert "container apiserver ends" in said.message


@pytest.mark.parametrize(
    "found",
    [
        pod(),
        pod(waiting("ContainerCreating")),
        pod({"state": {"running": {}}, "ready": False}),
        pod({"state": {"terminated": {"exitCode": 1}}, "restartCount": 0}),
        pod({**CRASHED, "state": {"running": {}}, "ready": True, "restartCount": 9}),
        pod(created=(NOW - PATIENCE / 2).isoformat(), conditions=[UNSCHEDULED]),
    ],
    ids=["new", "being made", "not ready", "ended once", "runs again", "just made"],
)
def test_what_may_be_well_in_a_moment_is_no_trouble(found: Object) -> None:
    assert cause([found], [], [], NOW) is None


def test_a_pending_claim_comes_before_the_pod_that_waits_for_it() -> None:
    claim = {
        "metadata": {"name": "data-etcd-0"},
        "spec": {"storageClassName": "fast"},
        "status": {"phase": "Pending"},
    }
    event = {"involvedObject": {"name": "data-etcd-0"}, "message": 'no class "fast"'}
    said = cause([pod(conditions=[UNSCHEDULED])], [claim], [event], NOW + timedelta(seconds=1))
    assert said is not None
    assert said.reason == "VolumePending"
    assert said.message == (
        'pod etcd-0: volume claim data-etcd-0 (StorageClass fast) is pending: no class "fast"'
    )
    bound = {**claim, "status": {"phase": "Bound"}}
    other = cause([pod(conditions=[UNSCHEDULED])], [bound], [event], NOW)
    assert other is not None
    assert other.reason == "Unschedulable"


QUOTA = 'pods "x" is forbidden: exceeded quota: small, requested: pods=1'


def test_a_workload_whose_pods_are_refused_says_by_whom() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "message": QUOTA}
    deployment = {"metadata": {"name": "control-plane"}, "status": {"conditions": [failure]}}
    said = refusal(deployment, [])
    assert said is not None
    assert (said.reason, said.message) == ("QuotaExceeded", f"its pod is refused: {QUOTA}")
    stateful = {"metadata": {"name": "etcd"}, "status": {}}
    events = [
        {"reason": "FailedCreate", "involvedObject": {"name": "other"}, "message": "not this"},
        {"reason": "FailedCreate", "involvedObject": {"name": "etcd"}, "message": "violates PSA"},
    ]
    said = refusal(stateful, events)
    assert said is not None
    assert (said.reason, said.message) == ("PodRefused", "its pod is refused: violates PSA")
    assert refusal(stateful, events[:1]) is None
