"""Keys that are made once, and the certificates that no process of the host reads."""

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
    title = "Keys"

    def objects(self, ctx: PlanContext) -> Iterable[Object]:
        return ctx.pki.roots()


class Credentials(Component):
    """Certificates of those outside the host: this program, and what runs in the tenant."""

    name = "credentials"
    needs = ("roots", "endpoint")

    def objects(self, ctx: PlanContext) -> Iterable[Object]:
        tunnel = [] if ctx.spec.control_plane.in_machines else ["konnectivity-agent"]
        return ctx.pki.leaves("engine", *tunnel, "metrics-server")
