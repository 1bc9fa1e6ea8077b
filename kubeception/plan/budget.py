"""How many clusters may be in a cluster, and how deep: what those in it are told, and what a new one is measured by.

Told with the ranges in use (`lineage`), and believed as far as these: a tenant's administrator who rewrites it
misleads those who plan in that tenant. What machines, volumes and load balancers may be had, the host bounds itself.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any, Final

from kubeception.api.v1alpha1 import TenantCluster
from kubeception.errors import BudgetError
from kubeception.plan.facts import Bound, HostFacts, Object
from kubeception.plan.lineage import DEEPEST

KEY: Final = "budgets.json"
MOST: Final = 1000
"""Clusters that a tenant is believed to have in it."""


def bounds(cluster: TenantCluster, host: HostFacts) -> tuple[Bound, ...]:
    """What bounds the tenants of a tenant of this host: the budgets of all it is in, and its own."""
    others = _in_host(cluster, host)
    outer = [
        bound if bound.clusters is None else replace(bound, elsewhere=bound.elsewhere + others + 1)
        for bound in host.bounds
    ]
    own = cluster.spec.budget
    return (*outer, Bound(cluster.name, own.clusters, own.depth))


def document(cluster: TenantCluster, host: HostFacts) -> str:
    """The same as it is written into the tenant: what isn't bounded is left out."""
    told = [asdict(bound) for bound in bounds(cluster, host)]
    said = [{key: value for key, value in bound.items() if value is not None} for bound in told]
    return json.dumps(said, indent=1)


def parse(config_map: Object | None) -> tuple[Bound, ...]:
    """The budgets of the clusters a host is in, and its own, as they were written into it; none that can't be read."""
    try:
        found = json.loads((config_map or {}).get("data", {}).get(KEY) or "[]")
        return tuple(_bound(each) for each in found[:DEEPEST])
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return ()


def counts(cluster: TenantCluster, host: HostFacts) -> bool:
    """Whether any budget depends on how many clusters are in this one."""
    return any(bound.clusters is not None for bound in bounds(cluster, host))


def count(tenants: Iterable[Object]) -> int:
    """How many clusters these TenantClusters are, with all in them, as far as a tenant is believed."""
    return min(MOST, sum(1 + inside(tenant) for tenant in tenants))


def inside(tenant: Object) -> int:
    """How many clusters are in one, by its status; no more than its own budget allows."""
    known = _number(_at(tenant, "status", "clusters")) or 0
    allowed = _number(_at(tenant, "spec", "budget", "clusters"))
    return min(known, MOST if allowed is None else allowed)


def check(cluster: TenantCluster, host: HostFacts) -> None:
    """Raise BudgetError, with every budget that has no room for this new tenant of the host."""
    problems = list(_problems(cluster, host))
    if problems:
        names = ", ".join(dict.fromkeys(name for name, _ in problems))
        raise BudgetError(
            [said for _, said in problems],
            what=f"TenantCluster {cluster.name}",
            hint=f"Delete clusters that nobody needs, or ask whoever made {names} to raise spec.budget of it.",
        )


def _problems(cluster: TenantCluster, host: HostFacts) -> Iterator[tuple[str, str]]:
    """Each with the path of the cluster whose budget it is."""
    here = _in_host(cluster, host)
    for number, bound in enumerate(host.bounds):
        path = "/".join(b.name or "?" for b in host.bounds[: number + 1])
        level = len(host.bounds) - number
        there = bound.elsewhere + here
        if bound.depth is not None and level > bound.depth:
            yield (
                path,
                f"budget of {path}: depth {bound.depth}, and this one would be {level} levels below it",
            )
        if bound.clusters is not None and there >= bound.clusters:
            yield path, f"budget of {path}: clusters {bound.clusters}, and {there} are in it"


def _in_host(cluster: TenantCluster, host: HostFacts) -> int:
    """How many clusters are in a host, but for this one and what is in it."""
    return sum(1 + each for uid, each in host.tenants.items() if uid != cluster.metadata.uid)


def _bound(found: dict[str, Any]) -> Bound:
    name = found.get("name") or ""
    if not isinstance(name, str):
        raise TypeError(name)
    limit, depth, elsewhere = (
        _number(found.get(key)) for key in ("clusters", "depth", "elsewhere")
    )
    return Bound(name[:253], limit, depth, elsewhere or 0)


def _at(value: Any, *path: str) -> Any:
    """What is there; None where nothing is, or the way leads through something else than objects."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _number(value: Any) -> int | None:
    """A count; None for anything else."""
    return max(value, 0) if isinstance(value, int) and not isinstance(value, bool) else None
