import json
from typing import Any

import pytest

from kubeception.api.v1alpha1 import TenantCluster
from kubeception.errors import BudgetError
from kubeception.plan.budget import (
    KEY,
    MOST,
    bounds,
    check,
    count,
    counts,
    document,
    inside,
    parse,
)
from kubeception.plan.facts import Bound, HostFacts
from kubeception.plan.lineage import DEEPEST
from tests.plans import tenant


def named(name: str, **budget: Any) -> TenantCluster:
    return tenant({"budget": budget} if budget else {}, name)


def told(cluster: TenantCluster, host: HostFacts, **tenants: int) -> HostFacts:
    """The tenant as a host that was told by its own, with tenants of its own by what is in each."""
    written = {"data": {KEY: document(cluster, host)}}
    uids = {f"uid-of-{name}": below for name, below in tenants.items()}
    return HostFacts(bounds=parse(written), tenants=uids)


def refusal(cluster: TenantCluster, host: HostFacts) -> list[str]:
    with pytest.raises(BudgetError) as caught:
        check(cluster, host)
    return list(caught.value.problems)


def test_a_cluster_that_is_nobodys_tenant_is_bound_by_nothing() -> None:
    check(named("a", clusters=0), HostFacts(tenants={"other": 900}))
    assert parse(None) == ()


def test_each_counts_by_what_is_in_it_and_the_one_that_is_planned_not_twice() -> None:
    a = told(named("a", clusters=4), HostFacts(), b=1, c=0)
    check(named("d"), a)
    check(named("b"), a)
    full = told(named("a", clusters=3), HostFacts(), b=1, c=0)
    assert refusal(named("d"), full) == ["budget of a: clusters 3, and 3 are in it"]


def test_a_budget_reaches_every_depth_and_counts_what_is_elsewhere() -> None:
    a = told(named("a", clusters=5), HostFacts(), b=2, c=0)
    b = told(named("b"), a, d=1)
    assert b.bounds[0] == Bound("a", 5, None, elsewhere=2), "b itself, and c"
    check(named("e"), b)
    d = told(named("d"), b, f=0)
    assert d.bounds[0].elsewhere == 3, "b, c and d; f is counted where it is"
    check(named("g"), d)
    full = told(named("d"), b, f=0, g=0)
    assert refusal(named("h"), full) == ["budget of a: clusters 5, and 5 are in it"]


def test_depth_is_counted_from_the_cluster_whose_budget_it_is() -> None:
    a = told(named("a", depth=2), HostFacts())
    check(named("b"), a)
    b = told(named("b"), a)
    check(named("c"), b)
    c = told(named("c"), b)
    assert refusal(named("d"), c) == [
        "budget of a: depth 2, and this one would be 3 levels below it"
    ]
    assert refusal(named("b"), told(named("a", depth=0), HostFacts())) == [
        "budget of a: depth 0, and this one would be 1 levels below it"
    ]


def test_all_budgets_that_are_hit_are_named_by_their_paths_and_what_to_do() -> None:
    a = told(named("a", clusters=1, depth=1), HostFacts(), b=0)
    b = told(named("b", clusters=0), a)
    with pytest.raises(BudgetError) as caught:
        check(named("c"), b)
    assert [said.partition(",")[0] for said in caught.value.problems] == [
        "budget of a: depth 1",
        "budget of a: clusters 1",
        "budget of a/b: clusters 0",
    ]
    assert "TenantCluster c has 3 problems" in caught.value.message
    assert "a, a/b to raise spec.budget" in caught.value.hint


def test_use_elsewhere_is_told_only_where_it_matters() -> None:
    alone = bounds(named("b"), told(named("a", depth=3), HostFacts(), b=0))
    assert bounds(named("b"), told(named("a", depth=3), HostFacts(), b=0, c=4)) == alone


def test_clusters_are_counted_where_a_budget_depends_on_it() -> None:
    assert counts(named("a", clusters=1), HostFacts())
    assert not counts(named("a", depth=1, cpu="4"), HostFacts())
    assert counts(named("b"), told(named("a", clusters=1), HostFacts()))


def object_of(clusters: Any, /, **budget: Any) -> dict[str, Any]:
    return {"spec": {"budget": budget}, "status": {"clusters": clusters}}


def test_a_tenant_is_believed_as_far_as_its_own_budget() -> None:
    assert inside(object_of(7)) == 7
    assert inside(object_of(7, clusters=2)) == 2
    assert inside(object_of(10**30)) == MOST
    assert count([object_of(10**30)] * 50) == MOST
    assert count([object_of(1), object_of(0), {}]) == 4


@pytest.mark.parametrize("clusters", ["7", None, -3, True, 1.5, [1], {"a": 1}])
def test_what_is_no_count_counts_for_nothing(clusters: Any) -> None:
    assert inside(object_of(clusters)) == 0
    assert inside({"spec": clusters, "status": clusters}) == 0


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"a": 1}', '[{"name": 7}]', "[" * 100_000, '"x"', "null"]
)
def test_what_a_tenants_administrator_made_unreadable_says_nothing(text: str) -> None:
    assert parse({"data": {KEY: text}}) == ()


def test_only_so_much_is_read_and_no_number_below_nothing() -> None:
    assert len(parse({"data": {KEY: json.dumps([{}] * 10_000)}})) == DEEPEST
    (found,) = parse({"data": {KEY: '[{"clusters": -5, "depth": "x", "elsewhere": -1}]'}})
    assert found == Bound("", 0, None, 0)


def test_a_document_of_a_release_that_knew_no_budgets_bounds_nothing() -> None:
    assert parse({"data": {"levels.json": "[]"}}) == ()
