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
