import pytest

from kubeception.api.reasons import Reason
from kubeception.components.base import (
    Component,
    Readiness,
    State,
    daemonset_ready,
    deployment_ready,
)
from kubeception.plan.facts import Object
from tests.plans import plan


def test_states() -> None:
    assert Readiness.ready("fine").ok
    assert not Readiness.waiting("not yet").ok
    failed = Readiness.failed("broken", Reason.CONFLICT)
    assert (failed.state, failed.reason, failed.message) == (State.FAILED, "Conflict", "broken")


def test_a_component_without_a_judgement_is_ready_once_applied() -> None:
    assert Component().ready(plan(), {}).ok
    with pytest.raises(NotImplementedError):
        Component().objects(plan())


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ({}, False),
        ({"readyReplicas": 2, "updatedReplicas": 2, "observedGeneration": 3}, True),
        ({"readyReplicas": 1, "updatedReplicas": 2, "observedGeneration": 3}, False),
        ({"readyReplicas": 2, "updatedReplicas": 1, "observedGeneration": 3}, False),
        ({"readyReplicas": 2, "updatedReplicas": 2, "observedGeneration": 2}, False),
    ],
)
def test_deployment(status: Object, ready: bool) -> None:
    found = deployment_ready(
        {"metadata": {"generation": 3}, "spec": {"replicas": 2}, "status": status}
    )
    assert found.ok is ready


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ({}, False),
        ({"desiredNumberScheduled": 0, "numberReady": 0, "observedGeneration": 3}, True),
        ({"desiredNumberScheduled": 2, "numberReady": 1, "observedGeneration": 3}, False),
        ({"desiredNumberScheduled": 2, "numberReady": 2, "observedGeneration": 2}, False),
    ],
)
def test_daemonset(status: Object, ready: bool) -> None:
    assert daemonset_ready({"metadata": {"generation": 3}, "status": status}).ok is ready


def test_what_is_not_there_is_not_ready() -> None:
    assert deployment_ready(None).reason == daemonset_ready(None).reason == "NotCreated"
