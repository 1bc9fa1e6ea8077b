"""How the machines of a node pool come, are replaced and go: the fields of NodePool that need no new machine."""

from datetime import timedelta
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, StrictInt, WithJsonSchema, model_validator

from kubeception.api.model import Model

DURATION: Final = r"^(0|[1-9][0-9]{0,4})(s|m|h)$"
PERCENT: Final = r"^(100|[1-9]?[0-9])%$"
LIMIT: Final = 1000
"""Of machines of a pool."""

UNITS: Final = {"s": 1, "m": 60, "h": 3600}

Duration = Annotated[str, Field(pattern=DURATION, max_length=6)]
"""A number with its unit: `90s`, `10m`, `1h`."""


def duration(text: str) -> timedelta:
    """The time a Duration says."""
    return timedelta(seconds=int(text[:-1]) * UNITS[text[-1]])


def _count(value: int | str) -> int | str:
    if isinstance(value, int) and not 0 <= value <= LIMIT:
        raise ValueError(f"must be from 0 to {LIMIT}, or a percentage such as 25%")
    return value


Share = Annotated[
    StrictInt | Annotated[str, Field(pattern=PERCENT)],
    AfterValidator(_count),
    WithJsonSchema(
        {"x-kubernetes-int-or-string": True, "minimum": 0, "maximum": LIMIT, "pattern": PERCENT}
    ),
]
"""How many machines: a number, or a percentage of the pool."""


def share(value: int | str, whole: int, *, up: bool = False) -> int:
    """How many of `whole` a Share is; a part of one counts where it is rounded up."""
    if isinstance(value, int):
        return value
    hundredths = int(value[:-1]) * whole
    return -(-hundredths // 100) if up else hundredths // 100


class Strategy(Model):
    """How machines are replaced when what they are made of has changed."""

    max_surge: Share = Field(
        default=1,
        description="How many machines there may be beyond the replicas, those that leave included: "
        "a number, or a percentage, rounded up.",
    )
    max_unavailable: Share = Field(
        default=0,
        description="How many nodes may be missing meanwhile: a number, or a percentage, rounded down. "
        "It and maxSurge can't both be 0.",
    )

    @model_validator(mode="after")
    def _moves(self) -> Self:
        if {self.max_surge, self.max_unavailable} <= {0, "0%"}:
            raise ValueError(
                "maxSurge and maxUnavailable can't both be 0: nothing could be replaced"
            )
        return self

    def limits(self, replicas: int) -> tuple[int, int]:
        """(surge, unavailable) of a pool of this size; as with Deployments, they are never both 0."""
        surge = share(self.max_surge, replicas, up=True)
        unavailable = share(self.max_unavailable, replicas)
        return (surge, unavailable) if surge or unavailable else (0, 1)


class Health(Model):
    """Which machines are replaced because they fail."""

    unready_timeout: Duration = Field(
        default="5m", description="How long a node may be not Ready before its machine is replaced."
    )
    join_timeout: Duration = Field(
        default="30m",
        description="How long a machine may take to become a node, from its creation.",
    )
    max_unhealthy: Share = Field(
        default="40%",
        description="When more machines than this fail at once, none is replaced: the cause is elsewhere. "
        "A number, or a percentage, rounded down; one may always fail.",
    )

    def limit(self, replicas: int) -> int:
        """How many of a pool of this size may fail at once and be replaced."""
        return max(1, share(self.max_unhealthy, replicas))


class Autoscaling(Model):
    """As many workers as pods ask for; `replicas` is set by it."""

    min: Annotated[int, Field(ge=0, le=LIMIT)] = Field(
        default=0, description="The fewest workers; with 0 the pool goes when nobody needs it."
    )
    max: Annotated[int, Field(ge=1, le=LIMIT)] = Field(description="The most workers.")
    scale_down_after: Duration = Field(
        default="10m",
        description="How long a node must have been empty, or its pods have had room elsewhere, before it goes.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max}")
        return self

    def clamp(self, replicas: int) -> int:
        """The number nearest to this that is allowed."""
        return max(self.min, min(self.max, replicas))


def made_of(spec: dict[str, Any]) -> dict[str, Any]:
    """What of a dumped NodePoolSpec a machine is made of; all else changes without a new machine."""
    return {key: value for key, value in spec.items() if key not in APART and value}


APART: Final = frozenset(
    {
        "autoscaling",
        "clusterRef",
        "drainTimeout",
        "health",
        "paused",
        "replicas",
        "ssh",
        "strategy",
        "version",
    }
)
"""Fields of NodePoolSpec that aren't part of a machine: how to reach one neither; its version is, as it comes out."""
