"""An etcd that is full, as a pass finds it: what is done about it, and what is said."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import pytest

from kubeception.api.reasons import Reason
from kubeception.engine import datastore
from kubeception.engine.datastore import look, mend, unwell
from kubeception.errors import ApiError, StoppedError
from kubeception.kube.etcd import Etcd, Fill
from kubeception.plan.facts import Object
from tests.plans import NOW, case

MIB: Final = 2**20
QUOTA: Final = 512 * MIB


@dataclass
class Member(Etcd):
    """An etcd of which a compaction leaves `kept` octets in use."""

    size: int
    used: int
    kept: int
    alarms: list[str] = field(default_factory=lambda: ["7"])
    done: list[str] = field(default_factory=list)

    def alarmed(self) -> list[str]:
        return self.alarms

    def fill(self) -> Fill:
        return Fill(self.size, self.used, QUOTA, 42)

    def compact(self, revision: int) -> None:
        self.done.append(f"compact {revision}")
        self.used = self.kept

    def defragment(self) -> None:
        self.done.append("defragment")
        self.size = self.used

    def disarm(self, member: str) -> None:
        self.done.append(f"disarm {member}")


def test_an_etcd_without_alarm_is_left_alone() -> None:
    etcd = Member(QUOTA, QUOTA, 0, alarms=[])
    assert mend(etcd) is None
    assert etcd.done == []


def test_history_that_fills_it_is_dropped() -> None:
    etcd = Member(QUOTA, QUOTA, 100 * MIB)
    found = mend(etcd)
    assert found
    assert (found.ok, found.reason) == (False, Reason.IN_PROGRESS)
    assert found.message == "it was full, and takes writes again: 100 of 512 MiB are in use"
    assert etcd.done == ["compact 42", "defragment", "disarm 7"]


def test_where_nothing_can_be_won_it_says_so_and_interrupts_nobody() -> None:
    etcd = Member(QUOTA, QUOTA, 500 * MIB)
    for _ in range(3):
        found = mend(etcd)
        assert found
        assert found.reason is Reason.DATASTORE_FULL
        assert "500 of 512 MiB are in use" in found.message
        assert "less than 461 MiB" in found.message
    assert etcd.done == ["compact 42"] * 3


def test_what_was_defragmented_already_is_not_again() -> None:
    """A pass may have broken off, or lost its patience, before the alarm was ended."""
    etcd = Member(100 * MIB, 100 * MIB, 100 * MIB)
    assert mend(etcd)
    assert etcd.done == ["compact 42", "disarm 7"]


def test_it_is_mended_a_little_below_its_quota() -> None:
    full, enough = (Member(QUOTA, QUOTA, QUOTA * share // 100) for share in (91, 90))
    for etcd, reason in ((full, Reason.DATASTORE_FULL), (enough, Reason.IN_PROGRESS)):
        found = mend(etcd)
        assert found
        assert found.reason is reason


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({}, True),
        ({"ready": True}, False),
        ({"started": False}, False),
        ({"state": {"running": {"startedAt": (NOW - timedelta(seconds=14)).isoformat()}}}, False),
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}}, False),
        ({"state": {"running": None}}, False),
        ({"name": "other"}, False),
    ],
)
def test_only_an_etcd_that_runs_and_should_be_ready_is_asked(
    container: Object, expected: bool
) -> None:
    since = (NOW - timedelta(seconds=15)).isoformat()
    status = {"name": "etcd", "started": True, "ready": False}
    status |= {"state": {"running": {"startedAt": since}}, **container}
    assert unwell(with_pod({"containerStatuses": [status]})) is expected


@pytest.mark.parametrize("status", [{}, {"containerStatuses": None}])
def test_a_pod_of_which_nothing_is_known_is_not_asked(status: Object) -> None:
    assert not unwell(with_pod(status))
    assert not unwell(case("minimal"))


def with_pod(status: Object) -> Any:
    ctx = case("minimal")
    meta = {"name": "etcd-0", "namespace": ctx.namespace}
    pod = {"kind": "Pod", "metadata": meta, "status": status}
    return ctx.__class__(ctx.cluster, ctx.pools, ctx.facts.with_objects([pod]), ctx.keys)


class Silent:
    """A way to etcd that leads nowhere."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, *_: Any) -> Any:
        raise self.error


def test_that_it_cannot_be_asked_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datastore, "_reached", Silent(ApiError("no answer in time")))
    found = look(None, case("minimal"))  # type: ignore[arg-type]
    assert found
    assert "no answer in time" in found.message


def test_a_pass_that_is_to_end_ends_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datastore, "_reached", Silent(StoppedError("over", reason="Deadline")))
    with pytest.raises(StoppedError):
        look(None, case("minimal"))  # type: ignore[arg-type]


class Gateway:
    """Answers, and the words of what it was asked."""

    def __init__(self, answer: Object | ApiError) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Object]] = []

    def call(self, path: str, body: Object, _: str) -> Object:
        self.asked.append((path, body))
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer


def asked(answer: Object | ApiError) -> Etcd:
    return Etcd(Gateway(answer))  # type: ignore[arg-type]


def test_numbers_are_texts_and_nothing_is_none() -> None:
    answer = {"header": {"revision": "9"}, "dbSize": "7", "dbSizeInUse": "5"}
    assert asked(answer).fill() == Fill(7, 5, 0, 9)
    with pytest.raises(ApiError, match="dbSize"):
        asked({"dbSize": ["7"]}).fill()


def test_other_alarms_are_not_about_space() -> None:
    found = [{"memberID": "7", "alarm": "CORRUPT"}, {"memberID": "8", "alarm": "NOSPACE"}]
    assert asked({"alarms": found}).alarmed() == ["8"]
    assert asked({}).alarmed() == []


def test_to_compact_what_is_compacted_is_no_error() -> None:
    asked(ApiError("mvcc: required revision has been compacted", status=400)).compact(3)
    for error in (ApiError("future revision", status=400), ApiError("silence")):
        with pytest.raises(ApiError):
            asked(error).compact(3)
