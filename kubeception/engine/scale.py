"""Which machines a pool gains and which it loses: pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kubeception.providers.base import Machine, Phase

PATIENCE: Final = timedelta(seconds=60)
"""Age at which an ended machine is replaced at the earliest, so that one that can't live isn't remade in a loop."""


@dataclass(frozen=True)
class Scaling:
    """What is to be done to a pool."""

    add: int
    """How many machines to make."""
    drain: tuple[Machine, ...]
    """Machines to empty and then remove."""
    discard: tuple[Machine, ...]
    """Machines to remove as they are: nothing runs there."""


def scale(
    replicas: int, machines: Sequence[Machine], ready: Callable[[Machine], bool], now: datetime
) -> Scaling:
    """How to come from these machines to `replicas` good ones.

    A machine already being drained is not taken back. Those that go first are not nodes yet, then
    not ready, then the newest.
    """
    ended = [m for m in machines if m.phase is Phase.ENDED]
    leaving = [
        m for m in machines if m.draining_since and m.phase in (Phase.PENDING, Phase.RUNNING)
    ]
    good = [
        m
        for m in machines
        if m.phase in (Phase.PENDING, Phase.RUNNING) and m.draining_since is None
    ]
    good.sort(key=lambda m: (not m.joined_instance, not ready(m), m.created, m.name))
    waiting = sum(1 for m in ended if now - m.created < PATIENCE)
    return Scaling(
        add=max(0, replicas - len(good) - waiting),
        drain=(*leaving, *good[replicas:]),
        discard=tuple(m for m in ended if now - m.created >= PATIENCE or len(good) >= replicas),
    )
