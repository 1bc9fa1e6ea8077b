"""What a tenant knows of the clusters it is in, so that it can be the host of others."""

from collections.abc import Iterator

from kubeception.components.tenant import SYSTEM, TenantComponent, config_map
from kubeception.plan import budget
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object
from kubeception.plan.lineage import KEY, NAME, document
from kubeception.plan.render import document as yaml_document

REGISTRY_HOSTING = ("kube-public", "local-registry-hosting")
"""KEP-1755."""


class Lineage(TenantComponent):
    """The ranges in use above it, the budgets it is in, and the registry that its nodes take images from."""

    name = "lineage"

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        host = ctx.facts.host
        told = {KEY: document(host), budget.KEY: budget.document(ctx.cluster, host)}
        yield config_map(ctx, SYSTEM, NAME, told)
        if mirror := host.registry_mirror:
            hosting = yaml_document({"hostFromClusterNetwork": mirror})
            yield config_map(ctx, *REGISTRY_HOSTING, {"localRegistryHosting.v1": hosting})
