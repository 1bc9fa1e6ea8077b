"""The Secrets with the tenant's keys and certificates."""

from collections.abc import Iterable

from kubeception.components.base import Component
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object


class Roots(Component):
    """What is made once and never replaced: CAs, the key of service account tokens, the encryption key.

    A component of its own, so that everything that follows is derived from what the host has stored, even
    when two engines started at once.
    """

    name = "roots"

    def objects(self, ctx: PlanContext) -> Iterable[Object]:
        return ctx.pki.roots()


class Certificates(Component):
    """Leaf certificates, renewed in time; their readers load them again by themselves."""

    name = "certificates"
    needs = ("roots",)
    title = "Certificates"

    def objects(self, ctx: PlanContext) -> Iterable[Object]:
        return ctx.pki.leaves()
