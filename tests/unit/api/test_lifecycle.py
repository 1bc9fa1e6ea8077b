from datetime import timedelta
from typing import Any

import pytest

from kubeception.api.lifecycle import APART, Autoscaling, Health, Strategy, duration, made_of, share
from kubeception.api.v1alpha1 import NodePoolSpec
from kubeception.errors import SpecError
from tests.plans import pool


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0), ("90s", 90), ("10m", 600), ("2h", 7200)])
def test_a_duration_is_a_number_and_its_unit(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("value", "whole", "down", "up"),
    [(2, 1, 2, 2), ("40%", 3, 1, 2), ("40%", 5, 2, 2), ("100%", 7, 7, 7), ("1%", 0, 0, 0)],
)
def test_a_share_is_a_number_or_a_part(value: Any, whole: int, down: int, up: int) -> None:
    assert (share(value, whole), share(value, whole, up=True)) == (down, up)


def test_the_limits_of_a_strategy_are_never_both_nothing() -> None:
    assert Strategy().limits(3) == (1, 0)
    assert Strategy(max_surge="25%", max_unavailable="25%").limits(10) == (3, 2)
    assert Strategy(max_surge=0, max_unavailable="10%").limits(3) == (0, 1)


def test_one_machine_may_always_fail() -> None:
    assert [Health().limit(size) for size in (1, 2, 3, 5, 10)] == [1, 1, 1, 2, 4]
    assert Health(max_unhealthy=0).limit(10) == 1


def test_what_an_autoscaler_may_say_is_within_its_limits() -> None:
    assert [Autoscaling(min=1, max=3).clamp(wanted) for wanted in (0, 2, 9)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("spec", "path", "said"),
    [
        ({"strategy": {"maxSurge": 0}}, "spec.strategy", "can't both be 0"),
        ({"strategy": {"maxSurge": "0%", "maxUnavailable": "0%"}}, "spec.strategy", "can't both"),
        ({"strategy": {"maxSurge": -1}}, "spec.strategy.maxSurge", "must be from 0"),
        ({"strategy": {"maxSurge": "101%"}}, "spec.strategy.maxSurge", "match"),
        ({"strategy": {"maxSurge": True}}, "spec.strategy.maxSurge", "valid"),
        ({"autoscaling": {"min": 3, "max": 2}}, "spec.autoscaling", "min 3 is more than max 2"),
        ({"drainTimeout": "5 minutes"}, "spec.drainTimeout", "at most 6"),
        ({"health": {"unreadyTimeout": "1.5h"}}, "spec.health.unreadyTimeout", "match"),
        ({"version": "1.36"}, "spec.version", "match"),
    ],
)
def test_what_is_refused(spec: dict[str, Any], path: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        pool(1, **spec)
    assert any(p.startswith(path) and said in p for p in caught.value.problems), caught.value


def test_what_a_machine_is_made_of_is_all_but_its_life() -> None:
    spec = {"replicas": 3, "paused": True, "labels": {"a": "b"}, "taints": [], "provider": "pod"}
    assert made_of(spec) == {"labels": {"a": "b"}, "provider": "pod"}
    fields = {info.alias or name for name, info in NodePoolSpec.model_fields.items()}
    camel = {name.replace("_r", "R").replace("_t", "T") for name in fields}
    assert camel >= APART - {"ssh"}
