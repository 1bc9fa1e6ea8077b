"""What a node provider is: it says how a machine is made and what has become of it; others decide and write."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final, Protocol

from kubeception import names
from kubeception.api.reasons import Reason
from kubeception.api.v1alpha1 import NodePool
from kubeception.errors import SpecError
from kubeception.kube.client import Cluster
from kubeception.plan.amounts import Amounts
from kubeception.plan.bootstrap import Bootstrap
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object

EXCEEDED: Final = "exceeded quota"
"""In what an API server says of an object that a ResourceQuota has no room for."""


class Phase(StrEnum):
    """How far a machine is, as its provider sees it."""

    PENDING = "Pending"
    RUNNING = "Running"
    ENDED = "Ended"
    """It won't come back: it is to be replaced."""
    REMOVING = "Removing"
    UNKNOWN = "Unknown"
    """Where it is doesn't answer: it is neither lost nor to be counted on."""


@dataclass(frozen=True)
class Machine:
    """One machine, meant to be the node of the same name for all its life."""

    name: str
    pool: str
    phase: Phase
    created: datetime
    uid: str = ""
    """Of the object that is the machine in the host."""
    instance: str = ""
    """Of its present life; another one means that its disk is gone."""
    address: str = ""
    """Where the host and other machines reach it."""
    address6: str = ""
    """The same by IPv6; empty where it has no such address."""
    host_node: str = ""
    provider: str = ""
    """Name of the provider it is of."""
    message: str = ""
    """Why it is in this phase, in words; empty when all is well."""
    reason: Reason | None = None
    """The same in one word, where a person must act."""
    joined_instance: str = ""
    """The life in which it became a node."""
    draining_since: datetime | None = None
    template: str = ""
    """Of its pool's spec, when it was made."""
    idle_since: datetime | None = None
    """Since when nobody needs its node."""
    evicted: bool = False
    """Whether the host wants its node without it, and doesn't move it."""
    moving: bool = False
    """Whether it goes to another node of the host, as it runs."""
    site: str = ""
    """The record of where it is; empty: in the host."""

    def ended(self, message: str) -> "Machine":
        """This machine, found to be beyond use."""
        return replace(self, phase=Phase.ENDED, message=message)


def marks(obj: Object) -> dict[str, Any]:
    """What the annotations of a machine's object say of it, as fields of Machine."""
    said = obj["metadata"].get("annotations") or {}
    draining, idle = (said.get(key) for key in (names.DRAINING_ANNOTATION, names.IDLE_ANNOTATION))
    return {
        "joined_instance": said.get(names.INSTANCE_ANNOTATION, ""),
        "draining_since": datetime.fromisoformat(draining) if draining else None,
        "idle_since": datetime.fromisoformat(idle) if idle else None,
        "template": said.get(names.TEMPLATE_ANNOTATION, ""),
    }


class NodeProvider(Protocol):
    """A source of machines."""

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    """Kinds of host objects its machines are made of, the machine itself first; others are observed with it."""
    selector: ClassVar[str]
    """Label selector of those objects; empty for all of these kinds."""
    head_start: ClassVar[timedelta] = timedelta()
    """How long the kubelet of a new node has its machine to itself, to become ready, before pods start there."""

    def preflight(self, host: Cluster) -> None:
        """Raise KubeceptionError, naming what to install, when the host can't run such machines."""
        ...

    def check(self, ctx: PlanContext, pool: NodePool) -> None:
        """Raise KubeceptionError where no machine of this pool may be made."""
        return

    def room(self, pool: NodePool) -> int | None:
        """How many machines of this pool there can be at once; None where nothing but the host says so."""
        return None

    def takes(self, pool: NodePool) -> Amounts:
        """What a machine of this pool takes of the host, so that budgets can be kept.

        Raises SpecError where the spec doesn't say.
        """
        return Amounts()

    def render(
        self, ctx: PlanContext, pool: NodePool, machine: str, boot: Bootstrap
    ) -> list[Object]:
        """The host objects of a new machine, in the order they are written; none where there is no place for it."""
        ...

    def machines(self, objects: Iterable[Object]) -> list[Machine]:
        """The machines that these objects are."""
        ...

    def provider_id(self, ctx: PlanContext, machine: str) -> str:
        """`spec.providerID` of the machine's node."""
        ...

    def node_annotations(self, ctx: PlanContext) -> Mapping[str, str]:
        """What others look for on the machines' nodes."""
        return {}

    def explain(self, host: Cluster, ctx: PlanContext, machine: Machine) -> Machine:
        """A machine that doesn't run yet, with what is only found out of it where somebody wants to know."""
        return machine

    def tend(self, host: Cluster, ctx: PlanContext) -> list[Callable[[], None]]:
        """What the host doesn't do by itself for the machines there are: calls that may be made at the same time."""
        return []

    def release(
        self, host: Cluster, objects: Iterable[Object], now: datetime
    ) -> list[Callable[[], None]]:
        """The same: what must be done before those of these objects that are being deleted may go."""
        return []


def first_ipv6(addresses: Iterable[str]) -> str:
    """The first IPv6 address among these; empty where there is none."""
    return next((each for each in addresses if ":" in each), "")


def resolvers(ctx: PlanContext) -> Object:
    """Of a pod or a virtual machine, where its names come from: not from the host cluster, unless that is asked for."""
    networking = ctx.spec.networking
    if networking.nameservers:
        return {"dnsPolicy": "None", "dnsConfig": {"nameservers": list(networking.nameservers)}}
    return {"dnsPolicy": "ClusterFirst" if networking.host_dns else "Default"}


def require_image(ctx: PlanContext, pool: NodePool, reference: str | None, field: str) -> None:
    """Raise SpecError where a pool names an image that its host's administrators don't allow."""
    if reference and (problem := ctx.facts.host.images.refusal(reference)):
        raise SpecError(
            [f"{field}: {problem}"],
            what=f"NodePool {pool.name}",
            hint="An administrator of the host allows more: kubeception install --allow-image PREFIX",
        )


def require(ctx: PlanContext, pool: NodePool, guard: str, field: str = "") -> None:
    """Raise SpecError unless an administrator of the host has allowed such nodes, by a label of the namespace."""
    if ctx.permits(guard):
        return
    namespace, at = pool.namespace, field or f"spec.provider: {pool.spec.provider}"
    raise SpecError(
        [f"{at}: nodes of this kind are not allowed in {namespace}"],
        what=f"NodePool {pool.name}",
        hint=f"An administrator of the host allows them: kubectl label namespace {namespace} {guard}=true",
    )
