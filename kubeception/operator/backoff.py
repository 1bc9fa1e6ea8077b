"""How long to leave a tenant alone after a pass that didn't bring it to its end."""

import random
from enum import StrEnum
from typing import Final

from kubeception.errors import (
    ApiError,
    ConflictError,
    KubeceptionError,
    SpecError,
    StoppedError,
)


class Trouble(StrEnum):
    """What a pass met, as far as it matters for when to try again; also a label of the metrics."""

    WAITING = "Waiting"
    """Something isn't ready yet; what is awaited wakes the tenant earlier."""
    HOST = "HostUnreachable"
    TENANT = "TenantUnreachable"
    EXCESS = "TenantExcess"
    """Its API server answers more than is read of one."""
    HEAVY = "Heavy"
    """Its API server answers much: the pass is run again where one such pass runs at a time."""
    CONFLICT = "Conflict"
    REFUSED = "Refused"
    """The host's API server said no: until a person or a right changes, of which nothing is heard."""
    SPEC = "Spec"
    DEADLINE = "Deadline"
    STOPPED = "Stopped"
    """Another run has the right to work on it."""
    BUG = "Bug"


PAUSES: Final[dict[Trouble, tuple[float, float]]] = {
    Trouble.WAITING: (5.0, 60.0),
    Trouble.HOST: (0.5, 15.0),
    Trouble.TENANT: (300.0, 1800.0),  # the search for its API wakes it earlier
    Trouble.EXCESS: (60.0, 1800.0),
    Trouble.HEAVY: (0.05, 0.05),
    Trouble.CONFLICT: (0.5, 60.0),
    Trouble.REFUSED: (2.0, 60.0),
    Trouble.SPEC: (30.0, 600.0),
    Trouble.DEADLINE: (5.0, 120.0),
    Trouble.STOPPED: (1.0, 15.0),
    Trouble.BUG: (10.0, 600.0),
}
"""The first pause in seconds, and the longest."""
JITTER: Final = 0.25
"""A pause is longer or shorter by up to this share, so that tenants which failed together don't return together."""


KINDS: Final[tuple[tuple[type[Exception], Trouble], ...]] = (
    (ConflictError, Trouble.CONFLICT),
    (SpecError, Trouble.SPEC),
    (KubeceptionError, Trouble.REFUSED),
)


ENDS: Final = {"Deadline": Trouble.DEADLINE, "Heavy": Trouble.HEAVY}
"""What a pass met that was ended, by the reason; else another run has the right to work."""


def trouble(error: Exception) -> Trouble:
    """What kind of trouble an error is."""
    if isinstance(error, StoppedError):
        return ENDS.get(error.reason, Trouble.STOPPED)
    if isinstance(error, ApiError) and (error.status in {0, 429} or error.status >= 500):
        return Trouble.HOST
    for kind, met in KINDS:
        if isinstance(error, kind):
            return met
    return Trouble.BUG


class Backoff:
    """The pauses of one tenant: doubled as long as the trouble stays the same."""

    def __init__(self) -> None:
        self._trouble: Trouble | None = None
        self._times = 0

    def reset(self) -> None:
        """A pass went well."""
        self._trouble, self._times = None, 0

    def pause(self, trouble: Trouble, first: float | None = None) -> float:
        """Seconds until the next pass; `first` instead of the first pause of this trouble."""
        self._times = self._times + 1 if trouble is self._trouble else 0
        self._trouble = trouble
        start, longest = PAUSES[trouble]
        length = min((start if first is None else first) * 2.0 ** min(self._times, 30), longest)
        return length * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # spreads load
