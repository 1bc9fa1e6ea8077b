"""Conditions of objects, as almost every kind reports them."""

from collections.abc import Mapping
from typing import Any


def condition(obj: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The condition of this type; empty where there is none. A server may say null where there are none yet."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    found: Mapping[str, Any] = next((c for c in conditions if c["type"] == name), {})
    return found


def is_true(obj: Mapping[str, Any] | None, name: str) -> bool:
    """Whether the condition of this type is True."""
    return condition(obj or {}, name).get("status") == "True"
