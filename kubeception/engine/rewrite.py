"""Storing anew what a tenant's etcd holds encrypted, so that nothing in it needs an old key."""

import time
from collections import deque
from functools import partial
from itertools import islice
from typing import Final

from kubeception import names
from kubeception.api.reasons import Reason
from kubeception.components.base import Readiness
from kubeception.components.encryption import ENCRYPTED, SECRET, Step, dropped, state, step
from kubeception.engine.parallel import together
from kubeception.errors import ApiError, ConflictError
from kubeception.kube.client import Cluster
from kubeception.plan.context import PlanContext

SECONDS: Final = 5.0
"""Of a pass: the rest of it isn't held up by a tenant with many Secrets."""
AT_ONCE: Final = 30
Place = tuple[str, str, str]
"""Kind, namespace and name."""


class Rewrite:
    """The objects that are still to be stored anew, remembered between passes.

    Nothing is lost with it: what was done already, a repetition finds as it is to be, and writes nothing.
    """

    def __init__(self) -> None:
        self._since = ""
        self._left: deque[Place] = deque()
        self._total = 0

    def go_on(self, host: Cluster, tenant: Cluster, ctx: PlanContext) -> Readiness | None:
        """Do for a while what is due; how far it is, where it is under way."""
        for secret in dropped(ctx):
            host.delete("Secret", secret, ctx.namespace)
        if step(ctx) is not Step.REWRITE:
            return None
        if (since := state(ctx)) != self._since:
            self._begin(tenant, since)
        refused = self._store(tenant)
        if not self._left:
            done = {"metadata": {"annotations": {names.REWRITTEN_ANNOTATION: since}}}
            host.patch("Secret", SECRET, done, ctx.namespace)
        said = f"{Step.REWRITE.words}, {self._total - len(self._left)} of {self._total}"
        if refused:
            return Readiness.waiting(f"{said}; {refused}", Reason.REWRITE_REFUSED)
        return Readiness.waiting(said, Reason.IN_PROGRESS)

    def _begin(self, tenant: Cluster, since: str) -> None:
        """List what there is now: what is written from now on is written with the new key."""
        found = [
            (kind, obj["metadata"]["namespace"], obj["metadata"]["name"])
            for kind in ENCRYPTED
            for obj in tenant.list_metadata(kind)
        ]
        self._since, self._left, self._total = since, deque(found), len(found)

    def _store(self, tenant: Cluster) -> str:
        """Store as many as time allows, each once; why the first of those that are refused is."""
        deadline, refused = time.monotonic() + SECONDS, ""
        for _ in range(0, len(self._left), AT_ONCE):
            places = list(islice(self._left, AT_ONCE))
            answers = together([partial(store, tenant, *place) for place in places])
            for place, answer in zip(places, answers, strict=True):
                self._left.popleft()
                if answer:
                    self._left.append(place)
                    refused = refused or answer
            if time.monotonic() > deadline:
                break
        return refused


def store(tenant: Cluster, kind: str, namespace: str, name: str) -> str:
    """Have an object stored anew, unread; why that is refused, or nothing where it is done, or there is none."""
    try:
        tenant.patch(kind, name, {}, namespace)
    except (ApiError, ConflictError) as error:
        if isinstance(error, ApiError) and error.status == 0:
            raise
        return error.message
    return ""
