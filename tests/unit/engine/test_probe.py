from typing import Any

import pytest

from kubeception.engine import diagnose
from kubeception.engine.probe import CONDITION, OPEN, SHUT
from kubeception.plan.endpoint import API_PORT
from kubeception.plan.facts import Object
from tests.plans import CASES, case, everything


def rendered(name: str, kind: str) -> list[Object]:
    ctx = case(name)
    found = [obj for obj in everything(ctx) if obj["kind"] == kind]
    return [obj for obj in found if obj["metadata"].get("namespace") == ctx.namespace]


def containers(workload: Object) -> list[Object]:
    spec = workload["spec"]["template"]["spec"]
    return [*spec.get("initContainers", ()), *spec["containers"]]


@pytest.mark.parametrize(
    "name", [name for name in CASES if not case(name).spec.control_plane.in_machines]
)
def test_what_is_dialled_is_asked_by_kubelets_and_opened_by_no_policy(name: str) -> None:
    workloads = {
        o["metadata"]["name"]: o for k in ("Deployment", "StatefulSet") for o in rendered(name, k)
    }
    for component, port in SHUT.items():
        probed = {
            container[kind]["httpGet"]["port"]
            for container in containers(workloads[component])
            for kind in ("livenessProbe", "readinessProbe")
            if kind in container
        }
        assert port in probed
    rules = [
        rule
        for policy in rendered(name, "NetworkPolicy")
        for rule in policy["spec"].get("ingress", ())
    ]
    opened = {port["port"]: rule.get("from") for rule in rules for port in rule["ports"]}
    assert not set(SHUT.values()) & opened.keys()
    assert opened[API_PORT] is None, f"{OPEN} is open to everybody"


class Host:
    """A host with TenantClusters of which these conditions are known."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = statuses

    def list(self, kind: str) -> list[Any]:
        assert kind == "TenantCluster"
        told = [
            [{"type": CONDITION, "status": status, "message": "it answers"}] if status else []
            for status in self.statuses
        ]
        return [{"status": {"conditions": conditions}} for conditions in told]


@pytest.mark.parametrize(
    ("statuses", "level", "said"),
    [
        ((), "fine", "not tested"),
        (("", "Unknown"), "fine", "not tested"),
        (("True", "", "True"), "fine", "are enforced, tested by 2 tenant clusters"),
        (("True", "False", "Unknown"), "warning", "are not enforced, by 1 of 2 tenant clusters"),
    ],
)
def test_doctor_repeats_what_the_operator_found(
    statuses: tuple[str, ...], level: str, said: str
) -> None:
    host: Any = Host(*statuses)
    (found,) = diagnose._network(host)
    assert found.level == level
    assert said in found.found
    assert bool(found.fix) is (level == "warning")
