"""What a component of a tenant cluster is: the objects it wants, and when they are ready."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from kubeception.api.reasons import Reason
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Key, Object


class Side(StrEnum):
    """Which API server an object belongs to."""

    HOST = "host"
    TENANT = "tenant"


class State(StrEnum):
    """How far a component is."""

    READY = "Ready"
    WAITING = "Waiting"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


@dataclass(frozen=True)
class Awaited:
    """Objects of a kind, such as matter: of the control plane's namespace, or of the tenant."""

    kind: str
    matters: Callable[[Object], bool]


@dataclass(frozen=True)
class Readiness:
    """How far a component is, why, and in words."""

    state: State
    reason: Reason
    message: str = ""
    until: Awaited | None = None
    """What may end the wait, where that is nothing the component writes."""

    @property
    def ok(self) -> bool:
        return self.state is State.READY

    @classmethod
    def ready(cls, message: str = "", reason: Reason = Reason.READY) -> "Readiness":
        return cls(State.READY, reason, message)

    @classmethod
    def waiting(
        cls, message: str, reason: Reason = Reason.WAITING, until: Awaited | None = None
    ) -> "Readiness":
        return cls(State.WAITING, reason, message, until)

    @classmethod
    def failed(cls, message: str, reason: Reason = Reason.FAILED) -> "Readiness":
        return cls(State.FAILED, reason, message)

    @classmethod
    def unknown(cls, message: str, reason: Reason) -> "Readiness":
        return cls(State.UNKNOWN, reason, message)


class Component:
    """A declaration: subclasses set the class variables and say their objects.

    They hold no state and do no I/O. The engine applies the objects by server-side apply, adds
    `ctx.labels(name)` to host objects, removes what a component no longer declares, and never
    asks a component whose `needs` are not ready.
    """

    name: ClassVar[str]
    """A DNS label, also the value of the component label."""
    side: ClassVar[Side] = Side.HOST
    needs: ClassVar[tuple[str, ...]] = ()
    """Components that must be ready before this one is applied: waiting costs seconds."""
    title: ClassVar[str] = ""
    """What a person reads on the progress line, such as `Control plane`; empty: not shown."""

    def objects(self, ctx: PlanContext) -> Iterable[Object]:
        """The objects this component wants to exist; none when it is switched off."""
        raise NotImplementedError

    def ready(self, ctx: PlanContext, seen: Mapping[Key, Object]) -> Readiness:
        """How far it is, judged by its own objects as the API server returned them."""
        return Readiness.ready()


def deployment_ready(deployment: Object | None) -> Readiness:
    """Whether all replicas of the current generation of a Deployment or StatefulSet are ready."""
    if deployment is None:
        return Readiness.waiting("not created yet", Reason.NOT_CREATED)
    status = deployment.get("status", {})
    want = deployment["spec"].get("replicas", 1)
    have = status.get("readyReplicas", 0)
    current = status.get("updatedReplicas", 0)
    observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    if observed and have >= want and current >= want:
        return Readiness.ready(f"{have}/{want} replicas ready")
    return Readiness.waiting(f"{have}/{want} replicas ready", Reason.REPLICAS_NOT_READY)


def daemonset_ready(daemonset: Object | None) -> Readiness:
    """Whether every node that should run a DaemonSet's pod has a ready one."""
    if daemonset is None:
        return Readiness.waiting("not created yet", Reason.NOT_CREATED)
    status = daemonset.get("status", {})
    want, have = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
    observed = status.get("observedGeneration", 0) >= daemonset["metadata"].get("generation", 0)
    if not observed or have < want:
        return Readiness.waiting(f"{have}/{want} pods ready", Reason.REPLICAS_NOT_READY)
    return Readiness.ready(f"{have}/{want} pods ready")
