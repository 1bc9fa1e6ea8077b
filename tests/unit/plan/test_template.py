from typing import Any

import pytest

from kubeception.plan.template import template_hash
from tests.plans import plan, pool


def of(spec: dict[str, Any], cluster: dict[str, Any] | None = None) -> str:
    return template_hash(plan(cluster), pool(1, **spec))


@pytest.mark.parametrize(
    "spec",
    [
        {"kubevirt": {"cpus": 2}},
        {"labels": {"a": "b"}},
        {"taints": [{"key": "a", "effect": "NoSchedule"}]},
        {"version": "v1.35.0"},
    ],
)
def test_what_needs_a_new_machine(spec: dict[str, Any]) -> None:
    assert of(spec) != of({})


@pytest.mark.parametrize(
    "spec",
    [
        {"paused": True},
        {"strategy": {"maxSurge": 2}},
        {"drainTimeout": "1h"},
        {"health": {"maxUnhealthy": 3}},
        {"autoscaling": {"max": 3}},
        {"kubevirt": {}},
        {"labels": {}},
        {"version": "v1.36.3"},
    ],
)
def test_what_needs_none(spec: dict[str, Any]) -> None:
    assert of(spec) == of({})


def test_a_pool_follows_its_cluster_unless_it_has_a_version_of_its_own() -> None:
    older = {"version": "v1.35.4"}
    assert of({}, older) != of({})
    assert of({"version": "v1.35.4"}, older) == of({"version": "v1.35.4"})
