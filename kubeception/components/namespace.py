"""The tenant's two namespaces in the host: one for its control plane, one for its machines."""

from collections.abc import Iterator

from kubeception.components.base import Component
from kubeception.components.install import tenant_access
from kubeception.components.quota import left
from kubeception.plan.budget import check
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object


class Namespaces(Component):
    """Namespaces that remember whose they are, and which address ranges the tenant holds.

    Where there is an operator, also what it may do there. A new tenant that a budget has no room for gets none.
    """

    name = "namespace"

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        if ctx.facts.seen("Namespace", "", ctx.namespace) is None:
            check(ctx.cluster, ctx.facts.host)
            left(ctx)
        owner = f"{ctx.cluster.namespace}/{ctx.cluster.name}"
        yield ctx.manifest("namespace/control-plane.yaml.j2", owner=owner)
        yield ctx.manifest("namespace/nodes.yaml.j2", owner=owner)
        if ctx.facts.host.operator:
            yield tenant_access(ctx.namespace)
            yield tenant_access(ctx.nodes_namespace)
