"""What `rotate-keys` says, and when it goes on with what it was asked before."""

from typing import Any

import pytest

from kubeception.api.reasons import Reason
from kubeception.cli.progress import Progress
from kubeception.cli.rotate_keys import Steps, under_way
from kubeception.components.base import Readiness
from kubeception.components.encryption import Encryption, Step
from kubeception.engine.report import Report
from tests.plans import tenant


def told(steps: Steps, readiness: Readiness, *, ready: bool = False) -> None:
    report = Report(tenant(), api_answers=ready)
    report.record(Encryption(), readiness)
    steps.told(report)


def test_each_step_is_a_line_and_what_comes_after_it_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Progress() as progress:
        steps = Steps(progress)
        for step in Step:
            for detail in ("", ", 1 of 2"):
                told(steps, Readiness.waiting(step.words + detail, Reason.IN_PROGRESS))
        done = Readiness.ready("encrypted with key2")
        told(steps, done)
        told(steps, done, ready=True)
    lines = [line.rsplit(maxsplit=2)[0].strip() for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "✓ step 1 of 4: the API server learns the new key",
        "✓ step 2 of 4: the API server comes to write with it",
        "✓ step 3 of 4: Secrets are stored anew",
        "✓ step 4 of 4: the old key is dropped",
        "✓ Everything is ready",
        "✓ encrypted with key2",
    ]


def cluster(rotation: str, seen: int, status: str) -> dict[str, Any]:
    return {
        "metadata": {"generation": 2},
        "spec": {"encryption": {"rotation": rotation}},
        "status": {
            "observedGeneration": seen,
            "conditions": [{"type": "EncryptionReady", "status": status}],
        },
    }


@pytest.mark.parametrize(
    ("rotation", "seen", "status", "wanted"),
    [
        ("", 2, "True", False),
        ("2026", 2, "True", False),
        ("2026", 2, "False", True),
        ("2026", 1, "True", True),
        ("", 1, "True", False),
    ],
)
def test_a_rotation_that_is_under_way_is_gone_on_with(
    rotation: str, seen: int, status: str, *, wanted: bool
) -> None:
    assert under_way(cluster(rotation, seen, status)) is wanted


def test_a_cluster_that_nobody_worked_on_yet_is_asked() -> None:
    assert not under_way({"metadata": {"generation": 1}, "spec": {}})
