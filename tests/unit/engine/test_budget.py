from dataclasses import replace
from typing import Any

import pytest

from kubeception.engine.budget import short_of, taken, used
from kubeception.errors import SpecError
from kubeception.plan.amounts import amounts
from kubeception.plan.facts import Object
from kubeception.providers.base import Machine, Phase
from tests.plans import NOW, plan, pool

ONE = Machine("demo-1", "demo", Phase.PENDING, NOW)
BUDGET = {"cpu": "4", "memory": "8Gi", "storage": "20Gi", "loadBalancers": 3}
POOL = pool(2, kubevirt={"cpus": 2, "memory": "3Gi"})


def quota(namespace: str, **used: str) -> Object:
    meta = {"namespace": namespace, "name": "budget"}
    counted = {key.replace("_", "."): value for key, value in used.items()}
    return {"kind": "ResourceQuota", "metadata": meta, "status": {"used": counted}}


def test_machines_of_the_host_count_by_their_size_and_those_elsewhere_not() -> None:
    ctx = plan({"budget": BUDGET}, pools=(POOL,))
    elsewhere = replace(ONE, name="demo-2", site="infra")
    unknown = replace(ONE, name="old-1", pool="old")
    assert taken(ctx, [ONE, elsewhere, unknown]) == amounts("2075m", "3520Mi", "1Gi")
    assert short_of(ctx, [ONE], POOL) == ["cpu 4: 2075m are taken, and 2 more asked for"]
    assert short_of(ctx, [elsewhere], POOL) == []


def test_machines_of_the_control_plane_have_their_place_before_there_are_any() -> None:
    spec = {"budget": BUDGET, "controlPlane": {"provider": "kubevirt"}}
    ctx = plan(spec, pools=(POOL,))
    first = replace(ONE, name="demo-control-plane-0", pool="demo-control-plane")
    assert taken(ctx, []) == taken(ctx, [first]) == amounts("2", "3Gi")
    assert short_of(ctx, [ONE], POOL) == [
        "cpu 4: 4 are taken, and 2 more asked for",
        "memory 8Gi: 6Gi are taken, and 3Gi more asked for",
    ]
    facts = ctx.facts.with_objects([quota(ctx.nodes_namespace, requests_storage="5Gi")])
    assert used(replace(ctx, facts=facts), [first])["storage"] == 5 << 30


def test_what_machines_in_another_cluster_take_is_not_the_hosts() -> None:
    there = {
        "infraKubeconfigSecretRef": {"name": "way"},
        "infraNamespace": "machines",
        "cpus": 64,
    }
    ctx = plan({"budget": BUDGET})
    assert short_of(ctx, [], pool(1, kubevirt=there)) == []


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"provider": "pod"}, "spec.pod: cpus and memory must be said"),
        ({"provider": "pod", "pod": {"cpus": 1}}, "spec.pod: cpus and memory must be said"),
        ({"kubevirt": {"instancetype": {"name": "u1"}}}, "spec.kubevirt.instancetype"),
    ],
)
def test_a_pool_that_says_no_size_is_refused_only_where_size_is_bounded(
    spec: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecError, match=said):
        short_of(plan({"budget": BUDGET}), [], pool(1, **spec))
    assert short_of(plan({"budget": {"storage": "20Gi"}}), [], pool(1, **spec)) == []


def test_use_is_counted_by_machines_and_where_only_quotas_know_by_these() -> None:
    ctx = plan({"budget": BUDGET}, pools=(POOL,))
    assert used(ctx, [ONE]) == {"cpu": 2075, "memory": 3520 << 20}
    facts = ctx.facts.with_objects(
        [
            quota(ctx.nodes_namespace, requests_cpu="200m", requests_storage="5Gi"),
            quota(ctx.namespace, services_loadbalancers="2"),
        ]
    )
    counted = used(replace(ctx, facts=facts), [ONE])
    assert counted["cpu"] == 2075, "what its pods ask for may be less"
    assert counted["storage"] == 6 << 30, "with the datastore's volume"
    assert counted["load_balancers"] == 2
    only = plan({"budget": {"cpu": "4"}}, pools=(POOL,), facts=facts)
    assert used(only, []) == {"cpu": 75}
