"""What a pass would change: the plan against what is there, judged by the API servers. Nothing is written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kubeception import names
from kubeception.api.v1alpha1 import NodePool, TenantCluster
from kubeception.components import COMPONENTS
from kubeception.components.base import Side
from kubeception.engine import observe
from kubeception.engine.apply import prepare, surplus, unchanged
from kubeception.engine.reconcile import REACH_SECONDS, Engine
from kubeception.errors import KubeceptionError
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Key, Object, key_of


@dataclass(frozen=True)
class Change:
    """An object as it is and as it would be; None where it isn't."""

    side: Side
    component: str
    before: Object | None
    after: Object | None
    problem: str = ""
    """Why it would be refused."""


def preview(engine: Engine, cluster: TenantCluster, pools: Sequence[NodePool]) -> Iterator[Change]:
    """What the next pass would change if the spec were this; `cluster` has the uid of the one that exists.

    What is in the tenant is left out where its API server can't be reached.
    """
    objects = observe.observe_objects(engine.host, cluster)
    facts = observe.facts(engine.clock(), engine.host_facts(), objects)
    facts = replace(facts, manifest=observe.observe_manifest(engine.host, cluster))
    ctx = PlanContext(cluster, tuple(pools), facts, engine.keys)
    tenant = engine.link.wait(ctx, REACH_SECONDS)
    if tenant is not None:
        seen = observe.observe_tenant(tenant)
        facts = observe.observe_network(tenant, ctx.facts.with_tenant_objects(seen))
        ctx = replace(ctx, facts=facts)
    for component in COMPONENTS:
        host_side = component.side is Side.HOST
        target = engine.host if host_side else tenant
        if target is None:
            continue
        live = ctx.facts.objects if host_side else ctx.facts.tenant_objects
        own = {names.CLUSTER_LABEL: ctx.id} if host_side else {}
        labels = {**own, names.COMPONENT_LABEL: component.name}
        wanted = [prepare(obj, labels) for obj in component.objects(ctx)]
        for obj in wanted:
            old = live.get(key_of(obj))
            if unchanged(obj, old):
                continue
            after, problem = obj, ""
            if old is not None:
                try:
                    manager = f"{names.FIELD_MANAGER}/{component.name}"
                    after = target.apply(obj, manager=manager, dry_run=True)
                except KubeceptionError as error:
                    problem = error.message
            yield Change(component.side, component.name, old, after, problem)
        yield from _pruned(component.side, component.name, {key_of(o) for o in wanted}, live)
        if host_side:
            made = [obj for obj in wanted if key_of(obj) not in live]
            ctx = replace(ctx, facts=ctx.facts.with_objects(made))


def _pruned(
    side: Side, component: str, wanted: set[Key], live: Mapping[Key, Object]
) -> Iterator[Change]:
    for key in surplus(component, wanted, live):
        yield Change(side, component, live[key], None)
