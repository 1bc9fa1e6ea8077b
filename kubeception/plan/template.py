"""Which machines are as their pool now wants them: a hash of all they are made of."""

import json

from kubeception import names
from kubeception.api.lifecycle import made_of
from kubeception.api.v1alpha1 import NodePool
from kubeception.plan.context import PlanContext


def template_hash(ctx: PlanContext, pool: NodePool) -> str:
    """The same as long as a new machine of the pool would be like those it has.

    What has its default isn't in it: a release that knows more fields replaces no machine.
    """
    spec = pool.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    parts = {**made_of(spec), "version": ctx.version_of(pool)}
    return names.digest(json.dumps(parts, sort_keys=True), length=16)
