"""The API of a tenant for those who work in it: found, and waited for while its control plane starts."""

import time
from typing import TYPE_CHECKING, Final

from kubeception.errors import WaitTimeoutError
from kubeception.kube.client import Cluster
from kubeception.plan.context import PlanContext

if TYPE_CHECKING:
    from kubeception.engine.reconcile import Engine

LOOK_SECONDS: Final = 2.0
"""How often the host is asked anew about a control plane that isn't reached."""
EARLY_SECONDS: Final = 0.25
"""The same while it has no address."""


def reach(engine: "Engine", seconds: float) -> tuple[PlanContext, Cluster]:
    """A client of the tenant, which ends with the engine, and the plan it was found by.

    Raises NotFoundError where there is no such tenant, and WaitTimeoutError.
    """
    end = time.monotonic() + seconds
    while True:
        ctx = engine.context()
        left = end - time.monotonic()
        tenant = engine.link.wait(ctx, max(0.0, min(left, LOOK_SECONDS)))
        if tenant is not None:
            return ctx, tenant
        if left <= 0:
            break
        if ctx.endpoint is None:
            time.sleep(EARLY_SECONDS)
    where = ctx.endpoint.url if ctx.endpoint else "an address, which it has not got,"
    raise WaitTimeoutError(
        f"the API server of {engine.name} does not answer, neither at {where} nor through the host",
        hint=f"kubeception doctor {engine.name}",
    )
