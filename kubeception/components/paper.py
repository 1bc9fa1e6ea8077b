"""All components' objects for a host that exists only on paper. Pure."""

from dataclasses import replace

from kubeception.components import COMPONENTS
from kubeception.components.base import Component, Side
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object, key_of


def on_paper(ctx: PlanContext) -> tuple[list[tuple[Component, list[Object]]], PlanContext]:
    """What each component wants, planned after the host has stored what those before it want; the plan after all.

    What the facts have already stays as they have it: their Services have addresses.
    """
    made = []
    for component in COMPONENTS:
        objects = list(component.objects(ctx))
        made.append((component, objects))
        if component.side is Side.HOST:
            stored = [obj for obj in objects if key_of(obj) not in ctx.facts.objects]
            ctx = replace(ctx, facts=ctx.facts.with_objects(stored))
    return made, ctx
