from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubeception.api.lifecycle import Health
from kubeception.engine.health import WITHOUT_TOKEN, deadline, failure
from kubeception.providers.base import Machine, Phase

BORN = datetime(2026, 1, 2, 3, 0, 0, tzinfo=UTC)
HEALTH = Health(unready_timeout="5m", join_timeout="10m")


def machine(*, joined: bool = False, phase: Phase = Phase.RUNNING) -> Machine:
    return Machine("w-1", "w", phase, BORN, joined_instance="i" if joined else "")


def node(status: str, since: str | None = "2026-01-02T04:00:00Z") -> dict[str, Any]:
    ready = {"type": "Ready", "status": status, "message": "kubelet is away"}
    if since:
        ready["lastTransitionTime"] = since
    return {
        "metadata": {"name": "w-1", "creationTimestamp": "2026-01-02T03:30:00Z"},
        "status": {"conditions": [{"type": "DiskPressure", "status": "False"}, ready]},
    }


def after(**since: float) -> datetime:
    return BORN + timedelta(**since)


@pytest.mark.parametrize(
    ("made", "seen", "due"),
    [
        (machine(), None, after(minutes=10)),
        (machine(joined=True), node("True"), None),
        (machine(joined=True), node("False"), after(minutes=65)),
        (machine(joined=True), node("Unknown"), after(minutes=65)),
        (machine(joined=True), node("False", None), after(minutes=35)),
        (machine(phase=Phase.ENDED), None, None),
        (machine(phase=Phase.REMOVING), node("False"), None),
    ],
)
def test_when_a_machine_has_failed_for_long_enough(
    made: Machine, seen: dict[str, Any] | None, due: datetime | None
) -> None:
    assert deadline(made, seen, HEALTH, token=True) == due
    if due is not None:
        assert failure(made, seen, HEALTH, due, token=True) == ""
        assert failure(made, seen, HEALTH, due + timedelta(seconds=1), token=True)


def test_a_machine_without_a_token_can_not_join() -> None:
    assert deadline(machine(), None, HEALTH, token=False) == BORN + WITHOUT_TOKEN


def test_why_it_failed() -> None:
    later = after(days=1)
    assert failure(machine(), None, HEALTH, later, token=True) == "it did not join within 10m"
    unready = failure(machine(joined=True), node("Unknown"), HEALTH, later, token=False)
    assert unready == "its node is not ready for 5m: kubelet is away"
    assert failure(machine(), None, HEALTH, later, token=False).endswith("no token to become one")
