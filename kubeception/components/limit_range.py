"""What a container in a tenant's namespaces of the host asks for where it says nothing, as LimitRanges."""

from collections.abc import Iterator

from kubeception.components.base import Component
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object


class LimitRanges(Component):
    """Requests for containers that others bring, so that they are counted; limits for nobody."""

    name = "limit-range"
    needs = ("namespace",)

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        for namespace in (ctx.namespace, ctx.nodes_namespace):
            yield ctx.manifest("limit-range/limit-range.yaml.j2", namespace=namespace)
