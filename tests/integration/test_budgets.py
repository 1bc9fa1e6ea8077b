"""Budgets: the host and the tenant are real API servers, the test is who counts what quotas were used for."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from kubeception import names
from kubeception.engine import observe
from kubeception.engine.install import install
from kubeception.engine.reconcile import Engine
from kubeception.errors import BudgetError
from kubeception.kube.client import Cluster, Object
from kubeception.plan import lineage
from kubeception.plan.budget import KEY
from tests.integration.standins import Straight
from tests.integration.test_machines import World

FIELDS = ("clusters", "depth", "cpu", "memory", "storage", "loadBalancers")
SMALL = {"cpu": "2100m", "memory": "4Gi"}
"""Room for the control plane, and a machine of two processors."""
MACHINE = {"cpus": 2, "memory": "2Gi"}


class Bounded(World):
    """A tenant with a budget."""

    def give(self, **budget: Any) -> None:
        """Its budget is another one."""
        patch = {"spec": {"budget": {field: budget.get(field) for field in FIELDS}}}
        self.host.patch("TenantCluster", self.name, patch, "default")

    @property
    def cluster(self) -> Object:
        found = self.host.get("TenantCluster", self.name, "default")
        assert found
        return found

    def quota(self, namespace: str) -> Object | None:
        """What a quota of ours bounds there."""
        found = self.host.get("ResourceQuota", "budget", namespace)
        return found["spec"]["hard"] if found else None

    def why(self) -> tuple[str, str]:
        """Reason and message of the pool not being ready."""
        (found,) = [c for c in self.status()["conditions"] if c["type"] == "Ready"]
        return found["reason"], found["message"]

    def said(self) -> tuple[str, str]:
        """The same of the cluster."""
        (found,) = [c for c in self.cluster["status"]["conditions"] if c["type"] == "Ready"]
        return found["reason"], found["message"]

    def told(self) -> Any:
        """What those in it are told of budgets."""
        found = self.tenant.get("ConfigMap", lineage.NAME, lineage.NAMESPACE)
        return json.loads((found or {"data": {}})["data"].get(KEY, "[]"))


@pytest.fixture
def bounded(virtual_host: Cluster, tenant: Cluster) -> Iterator[Bounded]:
    install(tenant)
    made = Bounded(virtual_host, tenant)
    yield made
    for found in tenant.list("TenantCluster"):
        tenant.delete("TenantCluster", found["metadata"]["name"], found["metadata"]["namespace"])
    tenant.delete("ConfigMap", lineage.NAME, lineage.NAMESPACE)
    for node in tenant.list("Node"):
        tenant.delete("Node", node["metadata"]["name"])
    virtual_host.delete("ConfigMap", lineage.NAME, lineage.NAMESPACE)
    virtual_host.patch(
        "Namespace", "default", {"metadata": {"labels": {names.ALLOW_POD_NODES: None}}}
    )


def test_quotas_come_change_and_go_with_the_budget_and_are_written_once(bounded: Bounded) -> None:
    bounded.give(**SMALL, loadBalancers=3)
    bounded.step(2)
    nodes = {"requests.cpu": "2025m", "requests.memory": "3648Mi"}
    assert bounded.quota(bounded.namespace) == nodes
    assert bounded.quota(bounded.control_plane) == {"services.loadbalancers": "3"}
    assert bounded.step().writes == 0
    bounded.give(cpu="3", storage="1Ti")
    bounded.step()
    assert bounded.quota(bounded.namespace) == {"requests.cpu": "2925m", "requests.storage": "1Ti"}
    assert bounded.quota(bounded.control_plane) is None
    assert bounded.step().writes == 0, "1024Gi is what was written"
    bounded.give()
    bounded.step()
    assert bounded.quota(bounded.namespace) is None


def test_a_budget_smaller_than_the_control_plane_is_refused_before_anything_is_made(
    bounded: Bounded,
) -> None:
    bounded.give(cpu="50m")
    report = bounded.look()
    assert isinstance(report.failures[0], BudgetError)
    reason, message = bounded.said()
    assert reason == "BudgetExceeded"
    assert "spec.budget.cpu: 50m, and the control plane alone takes 75m" in message
    for namespace in (bounded.namespace, bounded.control_plane):
        assert bounded.host.get("Namespace", namespace) is None
    bounded.give(cpu="1")
    bounded.step()
    assert bounded.host.get("Namespace", bounded.control_plane)


def test_a_machine_that_the_budget_has_no_room_for_is_not_made_until_it_has(
    bounded: Bounded,
) -> None:
    bounded.give(**SMALL)
    bounded.scale(2, kubevirt=MACHINE)
    bounded.step(3)
    assert len(bounded.vms()) == 1
    reason, message = bounded.why()
    assert reason == "BudgetExceeded"
    assert "cpu 2100m: 2075m are taken, and 2 more asked for" in message
    assert "memory 4Gi: 2496Mi are taken, and 2Gi more asked for" in message
    assert sorted(bounded.tokens()) == bounded.vms()
    assert bounded.step().writes == 0, "it isn't tried in vain"
    bounded.give(cpu="4200m", memory="5Gi")
    bounded.step(2)
    assert len(bounded.vms()) == 2


def test_a_machine_without_a_known_size_is_none_for_a_budget(bounded: Bounded) -> None:
    mark = {"metadata": {"labels": {names.ALLOW_POD_NODES: "true"}}}
    bounded.host.patch("Namespace", "default", mark)
    bounded.give(**SMALL)
    bounded.scale(1, provider="pod")
    bounded.look()
    bounded.look()
    assert bounded.why()[0] == "SpecRefused"
    assert "spec.pod: cpus and memory must be said" in bounded.why()[1]
    assert bounded.host.list("Pod", bounded.namespace) == []


def use(world: Bounded, hard: str, used: str) -> None:
    """The host's administrators have a quota of machines of their own, and it is used so far."""
    key = "count/virtualmachines.kubevirt.io"
    meta = {"name": "theirs", "namespace": world.namespace}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta}
    world.host.apply({**quota, "spec": {"hard": {key: hard}}})
    status = {"status": {"hard": {key: hard}, "used": {key: used}}}
    world.host.patch("ResourceQuota", "theirs", status, world.namespace, subresource="status")


def test_a_machine_that_a_quota_refuses_leaves_nothing_and_comes_when_there_is_room(
    bounded: Bounded,
) -> None:
    bounded.step()
    use(bounded, "1", "1")
    bounded.scale(2)
    found = bounded.step(2)
    reason, message = bounded.why()
    assert reason == "QuotaExceeded", message
    assert "exceeded quota: theirs" in message
    assert bounded.tokens() == {}
    labels = names.MACHINE_LABEL
    assert bounded.host.list("Secret", bounded.namespace, labels=labels) == []
    assert found.due is not None, "nothing is heard of room that others make"
    use(bounded, "5", "0")
    bounded.later = timedelta(minutes=1)
    bounded.step()
    assert len(bounded.vms()) == 2


def inner(world: Bounded, name: str, inside: int, **budget: int) -> None:
    """A tenant of the tenant, with so many in it, as its own operator tells."""
    made = {"apiVersion": names.API_VERSION, "kind": "TenantCluster"}
    meta = {"name": name, "namespace": "default"}
    world.tenant.apply({**made, "metadata": meta, "spec": {"budget": budget}})
    status = {"status": {"clusters": inside}}
    world.tenant.patch("TenantCluster", name, status, "default", subresource="status")


def test_what_is_in_a_tenant_is_counted_where_a_budget_depends_on_it(bounded: Bounded) -> None:
    inner(bounded, "b", 2)
    inner(bounded, "c", 7, clusters=1)
    bounded.step(2)
    assert "clusters" not in bounded.cluster["status"]
    bounded.give(clusters=9)
    bounded.step(2)
    assert bounded.cluster["status"]["clusters"] == 5, (
        "b with two in it, c with the one it may have"
    )
    assert bounded.told() == [{"name": bounded.name, "clusters": 9, "elsewhere": 0}]
    assert bounded.step().writes == 0
    bounded.tenant.delete("TenantCluster", "b", "default")
    bounded.step()
    assert bounded.cluster["status"]["clusters"] == 2


def test_a_new_tenant_is_refused_by_the_budget_of_a_cluster_above_and_made_when_it_is_raised(
    bounded: Bounded,
) -> None:
    def above(**limits: int) -> None:
        """What the host is told by its own host."""
        told = [{"name": "acme", **limits}, {"name": "team"}]
        meta = {"name": lineage.NAME, "namespace": lineage.NAMESPACE}
        data = {lineage.KEY: "[]", KEY: json.dumps(told)}
        bounded.host.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
        )

    above(clusters=4, depth=1, elsewhere=4)
    found = bounded.look()
    assert found.failures
    reason, message = bounded.said()
    assert reason == "BudgetExceeded"
    assert "budget of acme: depth 1, and this one would be 2 levels below it" in message
    assert "budget of acme: clusters 4, and" in message
    assert found.due is not None
    assert bounded.host.get("Namespace", bounded.control_plane) is None

    above(clusters=400, depth=2, elsewhere=4)
    bounded.step(2)
    assert bounded.host.get("Namespace", bounded.control_plane)
    acme, team, own = bounded.told()
    assert (acme["name"], acme["clusters"], acme["depth"]) == ("acme", 400, 2)
    assert acme["elsewhere"] >= 5, "itself among them"
    assert (team["name"], own["name"]) == ("team", bounded.name)

    above(clusters=4, depth=1, elsewhere=4)
    bounded.step(2)  # what is there isn't taken away
    assert bounded.host.get("Namespace", bounded.control_plane)


def test_two_that_are_planned_at_once_see_each_other(bounded: Bounded) -> None:
    other = Bounded(bounded.host, bounded.tenant)
    spaces = bounded.host.list("Namespace", labels=names.CLUSTER_LABEL)
    there = observe._tenants(spaces, bounded.host.list("TenantCluster"))
    told = [{"name": "acme", "clusters": len(there) + sum(there.values()) + 1}]
    meta = {"name": lineage.NAME, "namespace": lineage.NAMESPACE}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    bounded.host.apply({**body, "data": {KEY: json.dumps(told)}})
    with (
        Engine(bounded.host, "default", bounded.name) as one,
        Engine(bounded.host, "default", other.name, view=one.view) as two,
    ):
        one.link = two.link = Straight(bounded.tenant)  # type: ignore[assignment]
        one.context()
        assert isinstance(two.step().failures[0], BudgetError)
        assert one.step().failures == []


def bare_pod(space: str, name: str, **resources: Any) -> Object:
    """One of somebody's own, such as even the control plane's namespace lets in."""
    container = {
        "name": "it",
        "image": "it",
        "resources": resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    meta = {"name": name, "namespace": space}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": [container]},
    }


def test_who_asks_for_nothing_asks_for_little_and_nobody_is_given_a_limit(
    bounded: Bounded,
) -> None:
    """A machine's container says what it asks for, and has no limit: one would end it."""
    bounded.step(2)
    asked = {"cpu": "1", "memory": "2Gi"}
    for space in (bounded.namespace, bounded.control_plane):
        bounded.host.apply(account(space))
        silent = bounded.host.apply(bare_pod(space, "silent"))
        machine = bounded.host.apply(bare_pod(space, "machine", requests=asked))
        small = bounded.host.apply(bare_pod(space, "small", limits={"memory": "16Mi"}))
        found = [pod["spec"]["containers"][0]["resources"] for pod in (silent, machine, small)]
        assert found == [
            {"requests": {"cpu": "10m", "memory": "32Mi"}},
            {"requests": asked},
            {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "16Mi"}},
        ]


def account(space: str) -> Object:
    """The ServiceAccount that pods have there by default, which a controller makes elsewhere."""
    meta = {"name": "default", "namespace": space}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}
