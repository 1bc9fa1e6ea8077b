"""Whether an operator works in a host: its leader's Lease is looked at, never written."""

import time
from datetime import UTC, datetime
from typing import Final

from kubeception import names
from kubeception.engine.lease import DURATION, RENEWAL
from kubeception.kube.client import Cluster, Object

SLACK_SECONDS: Final = 2.0
"""How much later than due a renewal may come."""


def leader(host: Cluster, *, patient: bool = False) -> str:
    """The replica that leads, empty where none does.

    Its Lease bears times of a clock that may differ from ours: `patient` means to look, where it seems
    to be over, whether it is still being renewed. That takes seconds, and no operator is the usual case.
    """
    lease = _lease(host)
    if not _holder(lease) or lease is None:
        return ""
    if abs(_age(lease)) <= DURATION:
        return _holder(lease)
    deadline = time.monotonic() + (RENEWAL + SLACK_SECONDS if patient else 0)
    before = lease["metadata"]["resourceVersion"]
    while time.monotonic() < deadline:
        time.sleep(0.5)
        lease = _lease(host)
        if lease is not None and lease["metadata"]["resourceVersion"] != before:
            return _holder(lease)
    return ""


def _lease(host: Cluster) -> Object | None:
    return host.get("Lease", names.OPERATOR, names.SYSTEM_NAMESPACE)


def _holder(lease: Object | None) -> str:
    return str((lease or {}).get("spec", {}).get("holderIdentity") or "")


def _age(lease: Object) -> float:
    """Seconds since the last renewal."""
    renewed = lease["spec"].get("renewTime") or "1970-01-01T00:00:00Z"
    return (datetime.now(UTC) - datetime.fromisoformat(renewed)).total_seconds()
