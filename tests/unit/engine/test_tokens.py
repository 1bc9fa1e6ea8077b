from datetime import UTC, datetime, timedelta

import pytest

from kubeception import names
from kubeception.engine.tokens import LIFE, expiry, renewal
from kubeception.plan.facts import Object
from kubeception.plan.secret import opaque

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def token(ends: datetime | str, **labels: str) -> Object:
    said = ends if isinstance(ends, str) else ends.strftime("%Y-%m-%dT%H:%M:%SZ")
    made = opaque("kube-system", "bootstrap-token-a", {"expiration": said.encode()})
    return {
        **made,
        "metadata": {**made["metadata"], "labels": {names.MACHINE_LABEL: "m", **labels}},
    }


def test_none_is_good_for_longer_than_a_quarter_of_an_hour_or_than_its_machine_is_awaited() -> None:
    assert expiry(NOW + timedelta(days=1), NOW) == NOW + timedelta(minutes=15)
    assert expiry(NOW + timedelta(minutes=2), NOW) == NOW + timedelta(minutes=2)


def test_it_is_renewed_at_half_its_life_until_its_machine_is_not_awaited_any_more() -> None:
    assert renewal(token(NOW + LIFE), NOW + LIFE * 2) == NOW + LIFE / 2
    assert renewal(token(NOW + LIFE), NOW + LIFE) is None


def test_one_that_somebody_took_is_not_renewed() -> None:
    taken = token(NOW, **{names.BY_HAND_LABEL: "true"})
    assert renewal(taken, NOW + LIFE) is None


@pytest.mark.parametrize("said", ["", "soon", "0001-01-01T00:00:00Z", "2026-01-01T00:00:00", "\0"])
def test_whatever_a_tenant_says_of_its_end_it_is_due(said: str) -> None:
    due = renewal(token(said), NOW + LIFE)
    assert due is not None
    assert due < NOW
