"""The tenants of a host, and for each of them one task that runs its passes, one at a time, when something woke it."""

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from kubeception import names
from kubeception.engine.lease import DURATION
from kubeception.engine.limit import Limit
from kubeception.engine.probe import Probe
from kubeception.engine.reconcile import Engine
from kubeception.engine.report import Report
from kubeception.engine.view import HostView
from kubeception.errors import KubeceptionError, NotFoundError
from kubeception.kube.client import Cluster
from kubeception.kube.pace import Pace
from kubeception.operator.backoff import Backoff, Trouble, trouble
from kubeception.operator.lanes import PROMPT_SECONDS, Lanes
from kubeception.operator.leadership import Leadership
from kubeception.operator.metrics import Metrics
from kubeception.operator.watches import HostWatches, TenantChanges

SETTLE_SECONDS: Final = 0.03
"""Changes come in bunches: one pass for all that come this close together."""
REACH_SECONDS: Final = 0.15
"""How long a pass waits for a tenant's API that is known to run; one that is found later wakes it."""
LIGHT: Final = 4 << 20
"""Octets of a tenant's answers, above which its passes run one at a time with others like that."""
PASSES: Final = 0.5
"""A second, that a tenant may have for long; each counts for one more with each `LIGHT` that was answered."""
PASSES_AT_ONCE: Final = 60.0
SPREAD: Final = 0.2
"""By which share the time between two passes over a quiet tenant varies."""

Object = Mapping[str, Any]
Key = tuple[str, str]
"""Namespace and name of a TenantCluster."""

log = logging.getLogger(__name__)


@dataclass
class Desk:
    """What the tenants share."""

    host: Cluster
    leadership: Leadership
    lanes: Lanes
    metrics: Metrics
    resync: float
    watches: HostWatches
    view: HostView
    in_pod: bool = False
    """Whether this process is a pod of the host, and what it reaches is what pods reach."""


@dataclass
class Held:
    """A Lease beside a TenantCluster: a command works on it."""

    version: str
    since: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds until it is over unless it is renewed."""
        return self.since + DURATION - time.monotonic()


class Tenant:
    """One TenantCluster object's life here."""

    def __init__(self, desk: Desk, key: Key, uid: str) -> None:
        self.desk, self.key, self.uid = desk, key, uid
        self.essence: Any = None
        """What of the object its passes depend on."""
        self.held: Held | None = None
        self.seen = False
        """Whether a pass was run since this process began."""
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._woken.set()
        self._due: float | None = None
        self._backoff = Backoff()
        self._slow = self._heavy = False
        self._pace = Pace(PASSES, PASSES_AT_ONCE)
        self._engine: Engine | None = None
        self._passes = itertools.count(1)
        self._last: Trouble | None = None
        self._task = asyncio.create_task(self._work(), name=f"tenant {'/'.join(key)}")

    @property
    def title(self) -> str:
        return "/".join(self.key)

    def wake(self) -> None:
        """Something of it changed."""
        self._woken.set()

    def wake_after_outage(self) -> None:
        """The host answers again."""
        if self._last in (Trouble.HOST, Trouble.STOPPED):
            self._backoff.reset()
            self.wake()

    async def end(self) -> None:
        """The object is gone, or this process ends."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        if self._engine is not None:
            await asyncio.to_thread(self._engine.close)
        self.desk.view.forget(self.uid)
        self.desk.metrics.forget(self.key)

    async def _work(self) -> None:
        while True:
            await self._wait()
            await self.desk.leadership.leads.wait()
            if self.held is not None and self.held.left > 0:
                self._woken.clear()
                self._due = self._loop.time() + self.held.left + 0.1
                continue
            await asyncio.sleep(max(SETTLE_SECONDS, self._pace.delay))
            self._woken.clear()
            pause = await self._pass()
            self._due = self._loop.time() + pause

    async def _wait(self) -> None:
        """Return when it was woken, or when a pass is due."""
        left = None if self._due is None else max(0.0, self._due - self._loop.time())
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._woken.wait()

    async def _pass(self) -> float:
        """One pass; seconds until the next one unless something happens before."""
        extra: dict[str, Any] = {"cluster": self.title, "pass_id": next(self._passes)}
        limit = Limit(self._may_write, octets=None if self._heavy else LIGHT)
        met, pause = None, 0.0
        report: Report | None = None
        try:
            work = partial(self._step, limit)
            report = await self.desk.lanes.run(work, slow=self._slow, heavy=self._heavy)
            met, pause = self._judge(report)
            pause = pause if report.due is None else min(pause, report.due)
        except NotFoundError:
            pause = self.desk.resync  # it is gone, as will be heard in a moment
        except Exception as error:  # noqa: BLE001  # of whatever kind: this tenant's passes go on
            met = trouble(error)
            pause = self._backoff.pause(met)
            _tell(error, met, {**extra, "trouble": str(met), "retry_in": round(pause, 1)})
        seconds = limit.seconds
        self._slow, self._heavy = seconds > PROMPT_SECONDS, limit.octets > LIGHT
        self._pace.spend(1 + limit.octets / LIGHT)
        self._last, self.seen = met, True
        self.desk.metrics.passed(self.key, report, met, seconds, limit.requests)
        if report is not None:
            done = {**extra, "seconds": round(seconds, 3), "writes": report.writes}
            level = logging.INFO if report.writes else logging.DEBUG
            log.log(level, "%s", report.waits_for or "ready", extra=done)
        return pause

    def _step(self, limit: Limit) -> Report:
        """In a thread."""
        if self._engine is None:
            namespace, name = self.key
            spaces = (
                names.control_plane_namespace(self.uid, name),
                names.nodes_namespace(self.uid, name),
            )
            changes = TenantChanges(self.desk.watches, spaces, self._wake_from_thread)
            self._engine = Engine(
                self.desk.host,
                namespace,
                name,
                changes=changes,
                view=self.desk.view,
                patience=REACH_SECONDS,
                probe=Probe(changes.wake) if self.desk.in_pod else None,
            )
        return self._engine.step(limit)

    def _judge(self, report: Report) -> tuple[Trouble | None, float]:
        """What a pass that came to its end met, and when the next is due."""
        if report.failures:
            met = trouble(report.failures[0])
            return met, self._backoff.pause(met)
        if report.excess:
            return Trouble.EXCESS, self._backoff.pause(Trouble.EXCESS)
        quiet = self.desk.resync * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311  # spreads load
        if report.cluster.paused or (report.ready and report.again is None):
            self._backoff.reset()
            return None, quiet
        if report.ready:
            self._backoff.reset()
            return None, min(quiet, report.again or quiet)
        if report.ok("control-plane") and not report.api_answers:
            return Trouble.TENANT, self._backoff.pause(Trouble.TENANT)
        return Trouble.WAITING, self._backoff.pause(Trouble.WAITING, report.again)

    def _may_write(self) -> bool:
        return self.desk.leadership.ours and (self.held is None or self.held.left <= 0)

    def _wake_from_thread(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)


class Tenants:
    """All of them, as the watches tell of them; every method is called in the event loop."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._tenants: dict[Key, Tenant] = {}
        self._held: dict[Key, Held] = {}
        self._pools: dict[Key, tuple[str, Any]] = {}
        self._endings: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tenants)

    @property
    def keys(self) -> set[Key]:
        return set(self._tenants)

    @property
    def seen(self) -> int:
        """How many had a pass."""
        return sum(tenant.seen for tenant in self._tenants.values())

    def cluster(self, event: str | None, obj: Object) -> None:
        """A TenantCluster was added, changed or deleted."""
        key, uid = _key(obj), obj["metadata"]["uid"]
        tenant = self._tenants.get(key)
        if tenant is not None and (tenant.uid != uid or event == "DELETED"):
            if event == "DELETED" and tenant.uid != uid:
                return  # an earlier one of that name
            del self._tenants[key]
            self._end(tenant)
            tenant = None
        if event == "DELETED":
            return
        if tenant is None:
            tenant = self._tenants[key] = Tenant(self.desk, key, uid)
            tenant.held = self._held.get(key)
        essence = _essence(obj)
        if tenant.essence != essence:
            tenant.essence = essence
            tenant.wake()

    def pool(self, event: str | None, obj: Object) -> None:
        """A NodePool was added, changed or deleted."""
        key, cluster = _key(obj), obj.get("spec", {}).get("clusterRef", {}).get("name", "")
        known = (cluster, _essence(obj))
        if event == "DELETED":
            self._pools.pop(key, None)
        elif self._pools.get(key) == known:
            return
        else:
            self._pools[key] = known
        if tenant := self._tenants.get((key[0], cluster)):
            tenant.wake()

    def lease(self, event: str | None, obj: Object) -> None:
        """The Lease of who works on a tenant, or of who leads, was added, renewed or given up."""
        meta = obj["metadata"]
        name = meta.get("labels", {}).get(names.TENANT_LABEL)
        if not name:
            self.desk.leadership.wake()
            return
        key = (meta["namespace"], name)
        if event == "DELETED" or not obj.get("spec", {}).get("holderIdentity"):
            self._held.pop(key, None)
        elif (known := self._held.get(key)) is None or known.version != meta["resourceVersion"]:
            self._held[key] = Held(meta["resourceVersion"])
        if tenant := self._tenants.get(key):
            tenant.held = self._held.get(key)
            tenant.wake()

    def host_answers(self) -> None:
        """This process leads again: whom the outage held up is looked at."""
        for tenant in self._tenants.values():
            tenant.wake_after_outage()

    async def close(self) -> None:
        """End all tasks; nothing of any tenant changes."""
        await asyncio.gather(*(tenant.end() for tenant in self._tenants.values()))

    def _end(self, tenant: Tenant) -> None:
        ending = asyncio.create_task(tenant.end())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)


def _key(obj: Object) -> Key:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _essence(obj: Object) -> Any:
    """What of an object is somebody's wish, and not our own report."""
    meta = obj["metadata"]
    return (
        meta["uid"],
        meta.get("generation"),
        meta.get("deletionTimestamp"),
        dict(meta.get("annotations") or {}),
        dict(meta.get("labels") or {}),
    )


def _tell(error: Exception, met: Trouble, extra: Mapping[str, Any]) -> None:
    if isinstance(error, KubeceptionError):
        expected = met in (Trouble.STOPPED, Trouble.HEAVY)
        level = logging.INFO if expected else logging.WARNING
        log.log(level, "%s", error.message, extra=extra)
    else:
        log.error("a pass broke off", exc_info=error, extra=extra)
