"""Which machines a pool gains and which it loses, one decision a pass: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kubeception.providers.base import Machine, Phase

PATIENCE: Final = timedelta(seconds=60)
"""Age at which an ended machine is replaced at the earliest, so that one that can't live isn't remade in a loop."""


@dataclass(frozen=True)
class Wish:
    """What a pool is to be."""

    replicas: int
    template: str = ""
    """What its machines are to be made from."""
    roll: bool = True
    """Whether machines of another template may be replaced now."""
    surge: int = 1
    """How many machines there may be beyond the replicas, those that leave included."""
    unavailable: int = 0
    """How many ready nodes may be missing because machines are replaced."""
    unhealthy: int = 1
    """How many machines may fail at once and be replaced; of more, none is."""


@dataclass(frozen=True)
class Worker:
    """A machine of the pool, and how its node is."""

    machine: Machine
    ready: bool = False
    failing: bool = False
    """Whether it has failed for as long as it may."""

    @property
    def alive(self) -> bool:
        return self.machine.phase in (Phase.PENDING, Phase.RUNNING)

    @property
    def is_node(self) -> bool:
        """Whether it became one, and has to be emptied before it can go."""
        return bool(self.machine.joined_instance)

    @property
    def serves(self) -> bool:
        """Whether it is a node that takes pods."""
        return self.is_node and self.ready

    @property
    def leaving(self) -> bool:
        return self.alive and self.machine.draining_since is not None


@dataclass(frozen=True)
class Scaling:
    """What is to be done to a pool."""

    add: int
    """How many machines to make."""
    drain: tuple[Machine, ...]
    """Machines to empty and then remove."""
    discard: tuple[Machine, ...]
    """Machines to remove as they are: nothing runs there."""
    held: bool = False
    """Whether machines that fail are left because there are too many of them."""


def scale(wish: Wish, workers: Sequence[Worker], now: datetime) -> Scaling:
    """How to come nearer to as many good machines as wished, all of the wished template.

    A machine already being drained is not taken back, and one that its host is to lose is drained. Of
    those of an older template go first the ones that are no nodes yet, at once, then as many as leave
    `replicas - unavailable` ready nodes. Never is one made that would be more than `replicas + surge`.
    """
    ended = [w for w in workers if w.machine.phase is Phase.ENDED]
    leaving = [w for w in workers if w.leaving]
    failing = [w for w in workers if w.alive and w.failing and not w.leaving]
    held = bool(failing) and len(failing) + len(ended) > wish.unhealthy
    lost = ended if held else [*ended, *failing]
    leaving += [w for w in workers if w.alive and w.machine.evicted and w not in (*leaving, *lost)]
    good = sorted((w for w in workers if w.alive and w not in (*leaving, *lost)), key=_worth)
    fresh = [w for w in good if w.machine.template == wish.template]
    old = [w for w in good if w.machine.template != wish.template]
    kept, surplus = fresh[: wish.replicas], fresh[wish.replicas :]
    going = [*_outdated(wish, fresh, old), *surplus]
    if old and not wish.roll:
        most = wish.replicas + wish.surge
        kept, going = good[:most], good[most:]
    gone = sum(1 for w in going if not w.is_node)
    spent = [w for w in lost if now - w.machine.created >= PATIENCE]
    waiting = len(lost) - len(spent)
    discard = spent if len(good) < wish.replicas else lost
    there = len(good) - gone + sum(1 for w in leaving if w.is_node)
    there += sum(1 for w in lost if w.alive and w not in discard)
    return Scaling(
        add=max(0, min(wish.replicas - len(kept) - waiting, wish.replicas + wish.surge - there)),
        drain=tuple(w.machine for w in (*leaving, *going)),
        discard=tuple(w.machine for w in discard),
        held=held,
    )


def _worth(worker: Worker) -> tuple[bool, bool, bool, float, datetime, str]:
    """Order in which machines are kept: nodes, then ready ones, then those in use, then the oldest."""
    machine = worker.machine
    idle = machine.idle_since
    longest = -idle.timestamp() if idle else 0.0
    state = (not worker.is_node, not worker.serves, idle is not None, longest)
    return (*state, machine.created, machine.name)


def _outdated(wish: Wish, fresh: Sequence[Worker], old: Sequence[Worker]) -> list[Worker]:
    """Those of an older template that can go now: no ready node that must be, and of the others the same number."""
    unborn = [w for w in old if not w.is_node]
    failing = [w for w in old if w.is_node and not w.serves]
    ready = [w for w in old if w.is_node and w.serves]
    spare = sum(w.serves for w in fresh) + len(ready) - (wish.replicas - wish.unavailable)
    return [*unborn, *failing[: max(0, spare + len(failing))], *ready[: max(0, spare)]]
