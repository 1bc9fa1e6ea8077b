from collections.abc import Iterator
from typing import Any

import pytest

from kubeception.components.quota import Quotas, control_plane
from kubeception.errors import BudgetError
from kubeception.plan.amounts import amounts
from kubeception.plan.facts import Object
from tests.plans import applied, case, find, plan

CLASS = {"storage": {"classes": [{"name": "fast", "hostStorageClass": "nvme"}]}}


def planned(budget: dict[str, Any], **spec: Any) -> dict[str, dict[str, str]]:
    """What the quotas bound, by namespace: `nodes` and `control plane`."""
    ctx = plan({"budget": budget, **spec})
    titles = {ctx.nodes_namespace: "nodes", ctx.namespace: "control plane"}
    return {titles[o["metadata"]["namespace"]]: o["spec"]["hard"] for o in Quotas().objects(ctx)}


def pods_of(objects: list[Object]) -> Iterator[Object]:
    for obj in objects:
        if obj["kind"] in ("Deployment", "StatefulSet"):
            yield obj["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", ["minimal", "everything"])
def test_a_control_plane_takes_what_its_pods_ask_for(name: str) -> None:
    ctx = case(name)
    found = [o for c, objects in applied(ctx) if c.side == "host" for o in objects]
    asked = amounts()
    for pod in pods_of(found):
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            requests = container["resources"]["requests"]
            asked += amounts(requests["cpu"], requests["memory"])
    (claim,) = find(found, "StatefulSet", "etcd")["spec"]["volumeClaimTemplates"]
    asked += amounts(storage=claim["spec"]["resources"]["requests"]["storage"])
    need = control_plane(ctx)
    assert (need.cpu, need.memory, need.storage) == (asked.cpu, asked.memory, asked.storage)


def test_without_a_budget_there_is_no_quota() -> None:
    assert planned({}) == {}
    assert planned({"clusters": 3, "depth": 1}) == {}


def test_machines_have_what_the_control_plane_leaves() -> None:
    assert planned({"cpu": "4", "memory": "8Gi", "storage": "10Gi"}) == {
        "nodes": {
            "requests.cpu": "3925m",
            "requests.memory": "7744Mi",
            "requests.storage": "9Gi",
        }
    }
    assert planned({"storage": "10Gi"}, datastore={"storage": "Ephemeral"}) == {
        "nodes": {"requests.storage": "10Gi"}
    }
    assert planned({"cpu": "1"}, **CLASS)["nodes"] == {"requests.cpu": "910m"}


MACHINES = {"controlPlane": {"provider": "kubevirt", "replicas": 3, "kubevirt": {"cpus": 4}}}


def test_a_control_plane_in_machines_takes_these_from_where_the_others_are() -> None:
    assert control_plane(plan(MACHINES)) == amounts("12", "9Gi")
    room = {"cpu": "16", "memory": "16Gi", "storage": "10Gi"}
    assert planned(room, **MACHINES) == {
        "nodes": {"requests.cpu": "16", "requests.memory": "16Gi", "requests.storage": "10Gi"}
    }
    with pytest.raises(BudgetError, match="cpu: 8, and the control plane alone takes 12"):
        planned({"cpu": "8"}, **MACHINES)


def test_load_balancers_are_bounded_where_they_are() -> None:
    assert planned({"loadBalancers": 2}) == {"control plane": {"services.loadbalancers": "2"}}
    assert planned({"loadBalancers": 0}) == {"control plane": {"services.loadbalancers": "0"}}


def test_a_budget_that_the_control_plane_is_too_much_for_is_refused_with_the_numbers() -> None:
    with pytest.raises(BudgetError) as caught:
        planned(
            {"cpu": "50m", "memory": "1Gi", "storage": "500Mi", "loadBalancers": 0},
            exposure={"type": "LoadBalancer"},
        )
    assert list(caught.value.problems) == [
        "spec.budget.cpu: 50m, and the control plane alone takes 75m",
        "spec.budget.storage: 500Mi, and the control plane alone takes 1Gi",
        "spec.budget.loadBalancers: 0, and the control plane alone takes 1",
    ]
