"""The host as all tenants share it: read once for all of them, and what was planned a moment ago."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from kubeception.engine import observe
from kubeception.errors import KubeceptionError
from kubeception.kube.client import Cluster
from kubeception.plan import budget
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import HostFacts

LIFE: Final = timedelta(seconds=30)
"""How long what was read counts: it hardly changes."""
PLANNING_LIFE: Final = timedelta(seconds=2)
"""The same for who plans new ranges: others may have taken theirs."""


class HostView:
    """One host; for any number of engines, from any thread."""

    def __init__(self, host: Cluster, clock: Callable[[], datetime]) -> None:
        self._host, self._clock = host, clock
        self._lock = threading.Lock()
        self._read: tuple[datetime, HostFacts] | None = None
        self._planned: dict[str, tuple[str, ...]] = {}

    def facts(self) -> HostFacts:
        """The host as it was a short time ago."""
        with self._lock:
            return self._facts(LIFE)

    def plan(self, ctx: PlanContext) -> PlanContext:
        """The context of a tenant that has no ranges yet, so that two planned at once get different ones."""
        uid = ctx.cluster.metadata.uid
        with self._lock:
            host = self._facts(PLANNING_LIFE)
            others = [c for key, cidrs in self._planned.items() if key != uid for c in cidrs]
            taken = tuple(dict.fromkeys((*host.tenant_cidrs, *others)))
            made = {key: 0 for key in self._planned if key != uid}
            host = replace(host, tenant_cidrs=taken, tenants={**made, **host.tenants})
            result = replace(ctx, facts=replace(ctx.facts, host=host))
            with suppress(KubeceptionError):  # whoever uses the network is told
                budget.check(ctx.cluster, host)
                self._planned[uid] = result.network.all
        return result

    def forget(self, uid: str) -> None:
        """The tenant is gone."""
        with self._lock:
            self._planned.pop(uid, None)

    def _facts(self, life: timedelta) -> HostFacts:
        moment = self._clock()
        if self._read is None or moment - self._read[0] > life:
            self._read = (moment, observe.observe_host(self._host))
        return self._read[1]
