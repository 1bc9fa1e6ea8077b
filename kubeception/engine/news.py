"""Something a person would want to know, before it is told as an Event."""

from dataclasses import dataclass
from typing import Final

NORMAL: Final = "Normal"
WARNING: Final = "Warning"


@dataclass(frozen=True)
class News:
    """What happened to a TenantCluster, or to a machine of one of its pools."""

    type: str
    """NORMAL or WARNING."""
    reason: str
    """One word in CamelCase: what happened, or the Reason of a condition."""
    message: str
    pool: str = ""
    """The NodePool it is about; empty: the TenantCluster."""
