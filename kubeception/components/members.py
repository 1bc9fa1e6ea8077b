"""How far a control plane in machines is."""

from typing import Final

from kubeception.api.reasons import Reason
from kubeception.components.base import Readiness
from kubeception.plan.context import PlanContext
from kubeception.plan.control_plane import Member, members

WORDS: Final = {"": "is being started", "Running": "boots and makes itself a control plane"}
"""Of a machine's phase in KubeVirt; of others: that it is being started."""


def ready(ctx: PlanContext) -> Readiness:
    """Ready when each machine has become part of it."""
    known = members(ctx)
    joined = sum(member.joined for member in known)
    said = f"{joined}/{len(known)} machines"
    if lost := [member for member in known if member.lost]:
        return Readiness.waiting(
            f"{said}, {_loss(lost[0], alone=len(known) == 1)}", Reason.MACHINE_LOST
        )
    if joined == len(known):
        return Readiness.ready(said)
    first = next(member for member in known if not member.joined)
    how = WORDS.get(first.phase, WORDS[""]) if first.made else "has not been made yet"
    return Readiness.waiting(
        f"{said}, waits for machine {first.name}, which {how}", Reason.IN_PROGRESS
    )


def _loss(member: Member, *, alone: bool) -> str:
    """What the end of a machine means, and what is left to do."""
    if alone:
        return (
            f"machine {member.name} ended, and what the cluster held is lost with its disk: delete the cluster, "
            "or the VirtualMachine to begin anew with an empty one"
        )
    return (
        f"machine {member.name} ended: remove its member from etcd, then delete the VirtualMachine, "
        "and another one takes its place"
    )
