from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubeception.api.v1alpha1 import NodePool, parse_pool
from kubeception.engine.autoscale import (
    KEEP,
    Sizes,
    autoscale,
    requested,
    starved,
    wants,
)
from kubeception.engine.nodes import NO_NETWORK
from kubeception.engine.pods import tolerates
from kubeception.providers.base import Machine, Phase

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
LONG_AGO = "2026-01-02T03:00:00Z"
GPU = {"key": "example.com/gpu", "value": "yes", "effect": "NoSchedule"}


def pool(name: str = "w", replicas: int = 0, top: int = 5, least: int = 0, **spec: Any) -> NodePool:
    scaling = {"min": least, "max": top}
    spec = {"clusterRef": {"name": "c"}, "replicas": replicas, "autoscaling": scaling, **spec}
    return parse_pool({"metadata": {"name": name}, "spec": spec})


def machine(name: str, of: str = "w", *, joined: bool = True, idle: float | None = None) -> Machine:
    since = None if idle is None else NOW - timedelta(minutes=idle)
    joins = "i" if joined else ""
    return Machine(name, of, Phase.RUNNING, NOW, joined_instance=joins, idle_since=since)


def node(name: str, cpu: str = "2", memory: str = "2Gi", since: str = LONG_AGO) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": since}],
        },
    }


def pod(
    name: str, cpu: str = "500m", memory: str = "256Mi", on: str = "", **rest: Any
) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu, "memory": memory}}
    meta = {"name": name, "namespace": "default", "ownerReferences": [{"kind": "ReplicaSet"}]}
    spec = {"containers": [{"resources": resources}], **rest.pop("spec", {})}
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    status: dict[str, Any] = {"phase": "Running"} if on else {"conditions": [waits]}
    if on:
        spec["nodeName"] = on
    return {"metadata": {**meta, **rest.pop("metadata", {})}, "spec": spec, "status": status}


def sized(
    pools: list[NodePool],
    *pods: dict[str, Any],
    machines: tuple[Machine, ...] = (),
    nodes: tuple[dict[str, Any], ...] = (),
) -> Sizes:
    by_name = {n["metadata"]["name"]: n for n in nodes}
    return autoscale(pools, machines, by_name, pods, NOW)


def test_nobody_asks_for_anything() -> None:
    assert sized([pool()]) == Sizes({"w": 0}, frozenset())
    assert sized([pool(replicas=1, least=2)]).replicas == {"w": 2}
    assert sized([pool(replicas=9)]).replicas == {"w": 5}


def test_a_pool_comes_from_zero_with_as_many_as_are_needed() -> None:
    pods = [pod(f"p{i}", cpu="600m") for i in range(3)]
    assert sized([pool()], *pods).replicas == {"w": 3}  # of 1 CPU each
    assert sized([pool(kubevirt={"cpus": 2, "memory": "4Gi"})], *pods).replicas == {"w": 1}
    assert sized([pool(top=2)], *pods).replicas == {"w": 2}


def test_memory_counts_without_what_the_guest_keeps_for_itself() -> None:
    small = pool(kubevirt={"cpus": 1, "memory": "1Gi"})
    assert sized([small], pod("p", memory="800Mi")).replicas == {"w": 1}
    assert sized([small], pod("p", memory="1Gi")).replicas == {"w": 0}


def test_machines_on_their_way_are_counted_on() -> None:
    pods = [pod("a"), pod("b")]
    one = pool(replicas=1)
    assert sized([one], *pods).replicas == {"w": 1}  # not made yet
    booting = machine("w-1", joined=False)
    assert sized([one], *pods, machines=(booting,)).replicas == {"w": 1}
    assert sized([one], *pods, pod("c"), machines=(booting,)).replicas == {"w": 2}


def test_a_node_that_just_became_ready_is_counted_on_and_later_no_more() -> None:
    young = node("w-1", since="2026-01-02T11:59:30Z")
    one = pool(replicas=1)
    ready = (machine("w-1"),)
    assert sized([one], pod("a"), machines=ready, nodes=(young,)).replicas == {"w": 1}
    full = pod("b", cpu="1900m", on="w-1")
    assert sized([one], pod("a"), full, machines=ready, nodes=(young,)).replicas == {"w": 2}
    old = node("w-1")
    assert sized([one], pod("a"), machines=ready, nodes=(old,)).replicas == {"w": 2}


def test_a_node_that_waits_for_its_network_is_counted_on_until_the_scheduler_had_its_moment() -> (
    None
):
    closed = node("w-1")
    closed["spec"]["taints"] = [NO_NETWORK]
    one, ready = pool(replicas=1), (machine("w-1"),)
    assert sized([one], pod("a"), machines=ready, nodes=(closed,)).replicas == {"w": 1}
    said = {"type": "NetworkUnavailable", "status": "False"}
    closed["status"]["conditions"].append({**said, "lastTransitionTime": "2026-01-02T11:59:59Z"})
    assert sized([one], pod("a"), machines=ready, nodes=(closed,)).replicas == {"w": 1}
    del closed["spec"]["taints"]
    assert sized([one], pod("a"), machines=ready, nodes=(closed,)).replicas == {"w": 1}


@pytest.mark.parametrize(
    ("spec", "grows"),
    [
        ({}, False),
        ({"tolerations": [{"key": "example.com/gpu", "operator": "Exists"}]}, True),
        ({"tolerations": [{"key": "example.com/gpu", "value": "no"}]}, False),
    ],
)
def test_taints_of_the_pool_are_respected(spec: dict[str, Any], grows: bool) -> None:
    assert sized([pool(taints=[GPU])], pod("p", spec=spec)).replicas == {"w": int(grows)}


def test_labels_choose_the_pool_and_else_the_smallest_that_fits() -> None:
    big = pool("big", labels={"size": "big"}, kubevirt={"cpus": 8, "memory": "16Gi"})
    pools = [big, pool("small")]
    assert sized(pools, pod("p")).replicas == {"big": 0, "small": 1}
    chosen = pod("p", spec={"nodeSelector": {"size": "big"}})
    assert sized(pools, chosen).replicas == {"big": 1, "small": 0}
    assert sized(pools, pod("p", cpu="4")).replicas == {"big": 1, "small": 0}
    assert sized(pools, pod("p", cpu="9")).replicas == {"big": 0, "small": 0}


def test_a_paused_pool_and_one_without_autoscaling_are_left_alone() -> None:
    fixed = parse_pool({"metadata": {"name": "f"}, "spec": {"clusterRef": {"name": "c"}}})
    assert sized([pool(paused=True), fixed], pod("p")).replicas == {}


@pytest.mark.parametrize(
    "unlike",
    [
        {"metadata": {"namespace": "kube-system"}},
        {"metadata": {"ownerReferences": [{"kind": "DaemonSet"}]}},
        {"metadata": {"deletionTimestamp": "2026-01-02T12:00:00Z"}},
        {"on": "w-1"},
    ],
)
def test_which_pods_ask_for_no_node(unlike: dict[str, Any]) -> None:
    assert starved(pod("p"))
    assert not starved(pod("p", **unlike))


def test_an_empty_node_goes_after_its_time_but_not_below_the_least() -> None:
    two = (machine("w-1", idle=11), machine("w-2", idle=9))
    nodes = (node("w-1"), node("w-2"))
    system = pod("dns", on="w-1", metadata={"namespace": "kube-system"})
    found = sized([pool(replicas=2)], system, machines=two, nodes=nodes)
    assert found == Sizes({"w": 1}, frozenset({"w-1", "w-2"}))
    assert sized([pool(replicas=2, least=2)], machines=two, nodes=nodes).replicas == {"w": 2}
    fresh = (machine("w-1"), machine("w-2"))
    assert sized([pool(replicas=2)], machines=fresh, nodes=nodes).replicas == {"w": 2}


def test_nothing_goes_while_a_pod_waits_for_a_node() -> None:
    waits = pod("p", cpu="64")
    found = sized(
        [pool(replicas=1)], waits, machines=(machine("w-1", idle=60),), nodes=(node("w-1"),)
    )
    assert found.replicas == {"w": 1}


def test_a_node_whose_pods_have_room_elsewhere_goes_one_at_a_time() -> None:
    two = (machine("w-1", idle=20), machine("w-2", idle=20))
    nodes = (node("w-1"), node("w-2"))
    light = [pod("a", on="w-1"), pod("b", on="w-2")]
    found = sized([pool(replicas=2)], *light, machines=two, nodes=nodes)
    assert found == Sizes({"w": 1}, frozenset({"w-1", "w-2"}))
    one = sized([pool(replicas=1)], *light, machines=two[:1], nodes=nodes[:1])
    assert one == Sizes({"w": 1}, frozenset())


def test_a_node_that_goes_is_no_room_for_pods_of_another() -> None:
    two = (machine("a-1", "a", idle=20), machine("b-1", "b", idle=20))
    nodes = (node("a-1"), node("b-1"))
    pools = [pool("a", replicas=1), pool("b", replicas=1)]
    found = sized(pools, pod("p", on="b-1"), machines=two, nodes=nodes)
    assert found == Sizes({"a": 0, "b": 1}, frozenset({"a-1"}))


@pytest.mark.parametrize(
    "holds",
    [
        pod("a", cpu="1100m", on="w-1"),
        pod("a", on="w-1", metadata={"ownerReferences": []}),
        pod("a", on="w-1", metadata={"annotations": {KEEP: "false"}}),
        pod("a", on="w-1", spec={"nodeSelector": {"kubernetes.io/hostname": "w-1"}}),
    ],
)
def test_what_holds_a_node(holds: dict[str, Any]) -> None:
    two = (machine("w-1", idle=20), machine("w-2"))
    other = pod("b", cpu="1100m", on="w-2")
    found = sized([pool(replicas=2)], holds, other, machines=two, nodes=(node("w-1"), node("w-2")))
    assert found == Sizes({"w": 2}, frozenset())


def test_what_a_pod_asks_for_counts_init_containers_and_sidecars() -> None:
    def c(cpu: str, **rest: Any) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}, **rest}

    spec = {
        "containers": [c("100m"), c("200m")],
        "initContainers": [c("50m", restartPolicy="Always"), c("1")],
        "overhead": {"cpu": "10m"},
    }
    assert requested({"spec": spec}) == pytest.approx({"cpu": 1.06, "pods": 1})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"key": "a", "operator": "In", "values": ["1", "2"]}, True),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, False),
        ({"key": "b", "operator": "DoesNotExist"}, True),
        ({"key": "b", "operator": "Exists"}, False),
        ({"key": "a", "operator": "Gt", "values": ["0"]}, True),
        ({"key": "a", "operator": "Lt", "values": ["0"]}, False),
    ],
)
def test_required_affinity(expression: dict[str, Any], expected: bool) -> None:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    found = pod("p", spec={"affinity": {"nodeAffinity": required}})
    assert wants(found, {"a": "1"}) is expected


def test_a_soft_taint_keeps_nobody_out() -> None:
    assert tolerates(pod("p"), [{**GPU, "effect": "PreferNoSchedule"}])
    assert not tolerates(pod("p"), [{**GPU, "effect": "NoExecute"}])
    assert tolerates(pod("p", spec={"tolerations": [{"operator": "Exists"}]}), [GPU])
