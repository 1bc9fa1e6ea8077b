"""What of a tenant's budget is used: counted by what its machines have, and by its quotas where they alone know."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from kubeception.api.v1alpha1 import NodePool
from kubeception.components.quota import IN_CONTROL_PLANE, IN_MACHINES, control_plane
from kubeception.errors import SpecError
from kubeception.plan.amounts import Amounts, lacking, limits
from kubeception.plan.context import PlanContext
from kubeception.plan.quantity import number
from kubeception.providers import provider
from kubeception.providers.base import Machine

SIZED: Final = frozenset({"cpu", "memory"})
"""What of a budget is counted by the size of machines: what their pods ask the host for may be less."""


def taken(ctx: PlanContext, machines: Iterable[Machine]) -> Amounts:
    """What the control plane and these machines take; one whose size its pool doesn't say counts for nothing."""
    sizes: dict[str, Amounts] = {}
    for pool in ctx.pools:
        with suppress(SpecError):  # told of that pool
            sizes[pool.name] = provider(pool.spec.provider).takes(pool)
    there = (sizes.get(machine.pool, Amounts()) for machine in machines if not machine.site)
    return sum(there, control_plane(ctx))


def short_of(ctx: PlanContext, machines: Iterable[Machine], pool: NodePool) -> list[str]:
    """What another machine of the pool would be too much for, in words.

    Raises SpecError where the pool doesn't say how large that would be.
    """
    if not limits(ctx.spec.budget).keys() & SIZED:
        return []
    more = provider(pool.spec.provider).takes(pool)
    return lacking(ctx.spec.budget, taken(ctx, machines), more)


def used(ctx: PlanContext, machines: Iterable[Machine]) -> dict[str, int]:
    """What is used of all that is bounded, by field of Amounts; what isn't counted yet is left out."""
    sized, need = taken(ctx, machines), control_plane(ctx)
    found = {field: getattr(sized, field) for field in SIZED}
    for namespace, names, own in (
        (ctx.nodes_namespace, IN_MACHINES, need),
        (ctx.namespace, IN_CONTROL_PLANE, Amounts()),
    ):
        quota = ctx.facts.seen("ResourceQuota", namespace, "budget") or {}
        counted = quota.get("status", {}).get("used", {})
        for field, name in names.items():
            if field not in SIZED and name in counted:
                found[field] = round(number(counted[name])) + getattr(own, field)
    return {field: amount for field, amount in found.items() if field in limits(ctx.spec.budget)}
