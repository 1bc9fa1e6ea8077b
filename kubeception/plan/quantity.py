"""Kubernetes quantities of storage and memory, as far as the API accepts them."""

import re
from typing import Final

_FACTORS: Final[dict[str, int]] = {"": 1} | {
    unit: base**power
    for base, units in ((1000, "kMGT"), (1024, ("Ki", "Mi", "Gi", "Ti")))
    for power, unit in enumerate(units, start=1)
}


def octets(quantity: str) -> int:
    """How many octets a quantity such as `1536Mi` is.

    Raises ValueError when it is none.
    """
    match = re.fullmatch(r"([0-9]+)([A-Za-z]*)", quantity)
    if not match or match[2] not in _FACTORS:
        raise ValueError(f"{quantity!r} is not a quantity")
    return int(match[1]) * _FACTORS[match[2]]


_ALL: Final[dict[str, float]] = (
    {"": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3}
    | {unit: 1000.0**power for power, unit in enumerate("kMGTPE", start=1)}
    | {f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTPE", start=1)}
)


def number(quantity: str) -> float:
    """What any quantity of the API is in its unit: `500m` is half a CPU, `1e3` a thousand octets.

    Raises ValueError when it is none.
    """
    match = re.fullmatch(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)", quantity)
    if not match or match[2] not in _ALL:
        raise ValueError(f"{quantity!r} is not a quantity")
    return float(match[1]) * _ALL[match[2]]
