"""What a tenant may take of its host: its budget, less what its control plane takes, as ResourceQuotas."""

from collections.abc import Iterator, Mapping
from typing import Final

from kubeception.api.v1alpha1 import KubeVirtOptions
from kubeception.components.base import Component
from kubeception.components.etcd import volume_claim
from kubeception.errors import BudgetError
from kubeception.plan.amounts import NAMES, Amounts, amounts, limits, told
from kubeception.plan.context import PlanContext
from kubeception.plan.control_plane import pool_of
from kubeception.plan.facts import Object

REQUESTS: Final[Mapping[str, tuple[str, str]]] = {
    "etcd": ("15m", "64Mi"),
    "control-plane": ("60m", "384Mi"),
    "storage-controller": ("15m", "96Mi"),
}
"""CPU and memory that the pods of a control plane ask for, by component."""
IN_MACHINES: Final = {
    "cpu": "requests.cpu",
    "memory": "requests.memory",
    "storage": "requests.storage",
}
"""Of a budget, what is bounded in the namespace of the machines, and how a quota calls it."""
IN_CONTROL_PLANE: Final = {"load_balancers": "services.loadbalancers"}
"""The same of the control plane's: the rest of what is there, nobody but us asks for."""


def control_plane(ctx: PlanContext) -> Amounts:
    """What the control plane takes: its pods and volume, or all its machines, be they made already or not."""
    total = Amounts(load_balancers=int(ctx.spec.exposure.type == "LoadBalancer"))
    if pool := pool_of(ctx):
        size = pool.spec.kubevirt or KubeVirtOptions()
        each = amounts(str(size.cpus), size.memory or "0")
        return sum([each] * pool.spec.replicas, total)
    parts = ["etcd", "control-plane", *["storage-controller"] * bool(ctx.spec.storage.classes)]
    claim = volume_claim(ctx)
    total += amounts(storage=claim["spec"]["resources"]["requests"]["storage"] if claim else "0")
    return sum((amounts(*REQUESTS[part]) for part in parts), total)


def left(ctx: PlanContext) -> dict[str, int]:
    """What the control plane leaves of all that is bounded, by field of Amounts.

    Raises BudgetError for a budget that it alone is too much for.
    """
    bounded = limits(ctx.spec.budget)
    if not bounded:
        return {}
    need = control_plane(ctx)
    rest = {field: limit - getattr(need, field) for field, limit in bounded.items()}
    problems = [
        f"spec.budget.{NAMES[field]}: {told(field, bounded[field])}, and the control plane alone takes "
        f"{told(field, getattr(need, field))}"
        for field, amount in rest.items()
        if amount < 0
    ]
    if problems:
        hint = "Give it that and what its machines take, or leave it out: then it has no bound."
        raise BudgetError(problems, what=f"TenantCluster {ctx.cluster.name}", hint=hint)
    return rest


class Quotas(Component):
    """A quota in each namespace of the tenant where something is bounded."""

    name = "quota"
    needs = ("namespace",)

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        bounded, rest = limits(ctx.spec.budget), left(ctx)
        if ctx.spec.control_plane.in_machines:  # they are where the others are
            rest = bounded
        machines = {IN_MACHINES[f]: told(f, rest[f]) for f in rest if f in IN_MACHINES}
        own = {name: told(f, bounded[f]) for f, name in IN_CONTROL_PLANE.items() if f in bounded}
        for namespace, hard in ((ctx.nodes_namespace, machines), (ctx.namespace, own)):
            if hard:
                yield ctx.manifest("quota/quota.yaml.j2", namespace=namespace, hard=hard)
