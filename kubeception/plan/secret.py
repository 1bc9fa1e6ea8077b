"""Secrets: their data as octets, in and out of base64."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from kubeception.plan.facts import Object


def opaque(namespace: str, name: str, data: Mapping[str, bytes]) -> Object:
    """A Secret that holds `data`."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "data": {key: base64.b64encode(value).decode("ascii") for key, value in data.items()},
    }


def data_of(secret: Mapping[str, Any]) -> dict[str, bytes]:
    """What a Secret holds; an entry that is no base64 counts as empty."""
    return {key: _decoded(value) for key, value in (secret.get("data") or {}).items()}


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""
