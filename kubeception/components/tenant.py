"""What the components inside a tenant have in common: where their pods may run, and when they count as ready."""

from collections.abc import Mapping
from typing import Any, ClassVar

from kubeception.components.base import (
    Component,
    Readiness,
    Side,
    daemonset_ready,
    deployment_ready,
)
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Key, Object

SYSTEM = "kube-system"


def everywhere(ctx: PlanContext) -> list[dict[str, Any]]:
    """Tolerations of what every node needs: all taints but `uninitialized`.

    As long as a node has that one its addresses are not known, and what starts before goes by wrong ones.
    """
    tolerated = {
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/network-unavailable",
        "node-role.kubernetes.io/control-plane",
        *(taint.key for pool in ctx.pools for taint in pool.spec.taints),
    }
    schedule = [
        {"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in sorted(tolerated)
    ]
    return [
        {"operator": "Exists", "effect": "NoExecute"},
        {"key": "CriticalAddonsOnly", "operator": "Exists"},
        *schedule,
    ]


def machines(ctx: PlanContext) -> int:
    """How many nodes are asked for."""
    return sum(pool.spec.replicas for pool in ctx.pools)


def config_map(ctx: PlanContext, namespace: str, name: str, data: Mapping[str, str]) -> Object:
    """A ConfigMap of the tenant."""
    return ctx.manifest("common/config-map.yaml.j2", namespace=namespace, name=name, data={**data})


class TenantComponent(Component):
    """A component inside the tenant: ready when its one workload is."""

    side = Side.TENANT
    workload: ClassVar[Key] = ("", "", "")
    """The Deployment or DaemonSet that counts; none where the kind is empty."""

    def ready(self, ctx: PlanContext, seen: Mapping[Key, Object]) -> Readiness:
        found = seen.get(self.workload)
        kind = self.workload[0]
        if not kind or self.workload not in seen:
            return Readiness.ready()
        if kind == "DaemonSet":
            return daemonset_ready(found)
        if machines(ctx) == 0:
            return Readiness.ready("no node to run on")
        return deployment_ready(found)
