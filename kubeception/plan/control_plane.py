"""A control plane in virtual machines: which machines, where each is reached, and who answers for the cluster. Pure.

Each machine has a Service of the host of its own. Its address is known before the machine boots and stays when the
machine moves, so that certificates can name it and the other machines' etcd can dial it; the guest, which can't know
the address others reach it by, has it on its loopback.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kubeception import names
from kubeception.api.v1alpha1 import ControlPlaneMachines, NodePool, TenantCluster, parse_pool
from kubeception.plan.endpoint import cluster_ip
from kubeception.plan.facts import Object

if TYPE_CHECKING:
    from kubeception.plan.context import PlanContext

INTERFACE: Final = "default"
"""The interface of a virtual machine by which it is reached."""
CLIENT_PORT: Final = 2379
PEER_PORT: Final = 2380
"""etcd's ports."""
ROLE: Final = "node-role.kubernetes.io/control-plane"
JOIN_TIMEOUT: Final = "30m"
"""A control plane starts from nothing in this time, however slow its processor."""


TAKEN: Final = "the name is that of the control plane's machines: the pool needs another one"


@dataclass(frozen=True)
class Member:
    """A machine of the control plane, as far as it is there."""

    index: int
    name: str
    service: str
    """Its own Service in the control plane's namespace."""
    made: bool = False
    phase: str = ""
    """What KubeVirt says of the guest; empty as long as there is none."""
    address: str = ""
    """Of the pod it is in."""
    joined: bool = False
    """Whether this guest has become part of the control plane, and its API server answers."""
    lost: bool = False
    """Whether the guest ended that was a node of the cluster: its etcd's data are gone."""


def pool_of(ctx: "PlanContext") -> NodePool | None:
    """The machines as a NodePool would say them, which the provider of virtual machines understands; None for pods."""
    wanted = ctx.spec.control_plane
    if not wanted.in_machines:
        return None
    size = wanted.kubevirt or ControlPlaneMachines()
    spec = {
        "clusterRef": {"name": ctx.cluster.name},
        "replicas": wanted.replicas,
        "taints": [{"key": ROLE, "effect": "NoSchedule"}],
        "kubevirt": {"cpus": size.cpus, "memory": size.memory, "eviction": "LiveMigrate"},
        "health": {"joinTimeout": JOIN_TIMEOUT},
    }
    name = names.control_plane_pool(ctx.cluster.name)
    return parse_pool(
        {"metadata": {"name": name, "namespace": ctx.cluster.namespace}, "spec": spec}
    )


def taken(cluster: TenantCluster, pool: NodePool) -> bool:
    """Whether a pool has the name that the control plane's machines bear."""
    own = names.control_plane_pool(cluster.name)
    return cluster.spec.control_plane.in_machines and pool.name == own


def members(ctx: "PlanContext") -> list[Member]:
    """The machines there shall be, each as it is."""
    return [_member(ctx, index) for index in range(ctx.spec.control_plane.replicas)]


def begun(ctx: "PlanContext") -> bool:
    """Whether there is a cluster that machines could join: one in machines begins with its first member."""
    return not ctx.spec.control_plane.in_machines or any(each.joined for each in members(ctx))


def is_marked(node: Object) -> bool:
    """Whether kubeadm has made a node part of the control plane; its kubelet has registered it long before."""
    return ROLE in node["metadata"].get("labels", {})


def api_server_of(machine: str) -> str:
    """The name of the pod that is the machine's API server, in `kube-system` of the cluster."""
    return f"kube-apiserver-{machine}"


def service_of(index: int) -> str:
    """The name of a machine's own Service."""
    return f"control-plane-{index}"


def own_address(ctx: "PlanContext", member: Member) -> str:
    """The address of a machine's own Service; empty until the host has given it one."""
    return cluster_ip(ctx.facts, ctx.namespace, member.service)


def answering(known: list[Member]) -> Iterator[Member]:
    """Those who answer for the cluster: its members; as long as it has none, the first one, which makes the cluster."""
    reached = [member for member in known if member.address]
    joined = [member for member in reached if member.joined]
    yield from joined or reached[:1]


def next_of(known: list[Member], *, answers: bool) -> Member | None:
    """The machine to make now: one after the other, for each is a change of etcd's members. None where there is none.

    The first one makes a new cluster, so it is made where no other is there, and else only with the API's consent.
    """
    missing = [member for member in known if not member.made]
    if len(missing) == len(known):
        return missing[0]
    settled = all(member.joined for member in known if member.made)
    return missing[0] if missing and settled and answers else None


def address_of(vmi: Object | None) -> str:
    """By which a virtual machine's guest is reached; empty until it has one."""
    interfaces = (vmi or {}).get("status", {}).get("interfaces") or []
    found: Object = next((each for each in interfaces if each.get("name") == INTERFACE), {})
    return str(found.get("ipAddress", ""))


def _member(ctx: "PlanContext", index: int) -> Member:
    name = f"{names.control_plane_pool(ctx.cluster.name)}-{index}"
    vm, vmi = (
        ctx.facts.seen(kind, ctx.nodes_namespace, name)
        for kind in ("VirtualMachine", "VirtualMachineInstance")
    )
    bare = Member(index, name, service_of(index), made=vm is not None)
    if vm is None:
        return bare
    marks = vm["metadata"].get("annotations") or {}
    became = marks.get(names.INSTANCE_ANNOTATION, "")
    guest = vmi["metadata"]["uid"] if vmi else ""
    phase = str((vmi or {}).get("status", {}).get("phase") or "")
    ended = phase in ("Failed", "Succeeded")
    lost = ended or bool(became and became != guest)
    joined = bool(guest) and marks.get(names.MEMBER_ANNOTATION) == guest and not lost
    address = address_of(vmi) if phase == "Running" else ""
    return Member(index, name, bare.service, True, phase, address, joined, lost)
