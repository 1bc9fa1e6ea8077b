"""The tenant's two namespaces in the host: one for its control plane, one for its machines."""

from collections.abc import Iterator

from kubeception.components.base import Component
from kubeception.components.install import tenant_access
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object


class Namespaces(Component):
    """Namespaces that remember whose they are, and which address ranges the tenant holds.

    Where there is an operator, also what it may do there.
    """

    name = "namespace"

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        owner = f"{ctx.cluster.namespace}/{ctx.cluster.name}"
        yield ctx.manifest("namespace/control-plane.yaml.j2", owner=owner)
        yield ctx.manifest("namespace/nodes.yaml.j2", owner=owner)
        if ctx.facts.host.operator:
            yield tenant_access(ctx.namespace)
            yield tenant_access(ctx.nodes_namespace)
