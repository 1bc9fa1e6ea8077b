from typing import Any

import pytest

from kubeception.components.limit_range import LimitRanges
from kubeception.plan.bootstrap import Bootstrap
from kubeception.plan.facts import Object
from kubeception.providers.pod import PodProvider
from tests.plans import CASES, applied, case, plan, pool


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def ranges(name: str) -> list[Object]:
    return list(LimitRanges().objects(case(name)))


@pytest.mark.parametrize("name", sorted(CASES))
def test_both_namespaces_have_one_and_it_gives_no_limit_to_anybody(name: str) -> None:
    ctx = case(name)
    assert {o["metadata"]["namespace"] for o in ranges(name)} == {
        ctx.namespace,
        ctx.nodes_namespace,
    }
    for found in ranges(name):
        (only,) = found["spec"]["limits"]
        assert only.keys() == {"type", "defaultRequest"}, "see docs/decisions/0044-limit-ranges.md"
        assert only["type"] == "Container"
        assert only["defaultRequest"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("name", sorted(CASES))
def test_no_container_of_ours_in_the_host_needs_it(name: str) -> None:
    objects = [o for c, found in applied(case(name)) if c.side == "host" for o in found]
    pods = [o["spec"]["template"]["spec"] for o in objects if "template" in o.get("spec", {})]
    _, node = PodProvider().render(plan(), pool(1), "demo-1", Bootstrap("demo-1", (), ()))
    found = [each for pod in (*pods, node["spec"]) for each in containers(pod)]
    assert len(found) > len(pods)
    for container in found:
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, container["name"]
