"""The right to work: a Lease that one run holds, so that two don't pull in two directions."""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from kubeception import names
from kubeception.errors import ConflictError, NotFoundError
from kubeception.kube.client import Cluster

DURATION: Final = 15.0
"""Seconds after which a holder that was not heard of is taken for dead."""
RENEWAL: Final = 5.0
"""Seconds between renewals."""
MARGIN: Final = 5.0
"""Seconds before its end from which a Lease isn't relied on any more: no request under way may outlast it."""


def identity() -> str:
    """This process: host name, pid namespace, pid and its start, so that a dead one is known on its own machine."""
    return "/".join((socket.gethostname(), _pid_namespace(), str(os.getpid()), _start(os.getpid())))


def is_dead(holder: str) -> bool:
    """Whether a holder was a process of this machine that no longer runs."""
    match holder.split("/"):
        case [host, space, pid, start] if (host, space) == (socket.gethostname(), _pid_namespace()):
            return not pid.isdigit() or _start(int(pid)) != start
    return False


class Lease:
    """A Lease; `hold` gets or renews it.

    Whether another's is over is judged by how long it has stayed the same before our eyes: its times
    are by a clock that may differ from ours.
    """

    def __init__(
        self,
        host: Cluster,
        namespace: str,
        name: str,
        clock: Callable[[], datetime],
        me: str = "",
        *,
        labels: Mapping[str, str] | None = None,
        renewal: float = RENEWAL,
    ) -> None:
        self._host, self._namespace, self._name = host, namespace, name
        self._clock, self._me = clock, me or identity()
        self._labels, self._renewal = dict(labels or {}), renewal
        self._lock = threading.Lock()
        self._renewed: float | None = None
        self._other: tuple[str, float] = ("", 0.0)

    @classmethod
    def of_tenant(
        cls, host: Cluster, namespace: str, tenant: str, clock: Callable[[], datetime], me: str = ""
    ) -> Self:
        """The right to work on one tenant, beside its TenantCluster."""
        labels = {names.TENANT_LABEL: tenant}
        return cls(host, namespace, names.lease(tenant), clock, me, labels=labels)

    @property
    def ours(self) -> bool:
        """Whether it certainly is ours for a while longer; asks nobody."""
        return self._renewed is not None and time.monotonic() - self._renewed < DURATION - MARGIN

    def hold(self) -> bool:
        """True while it is ours; False while another run, which is alive, has it. From any thread."""
        with self._lock:
            return self._hold()

    def _hold(self) -> bool:
        began = time.monotonic()
        if self._renewed is not None and began - self._renewed < self._renewal:
            return True
        found = self._host.get("Lease", self._name, self._namespace)
        holder = (found or {}).get("spec", {}).get("holderIdentity") or ""
        if found and holder not in ("", self._me) and not self._over(found, holder):
            self._renewed = None
            return False
        body = self._body()
        try:
            if found is None:
                self._host.create(body)
            else:
                meta = {**found["metadata"], "managedFields": None, "labels": self._labels}
                self._host.replace({**body, "metadata": meta})
        except (ConflictError, NotFoundError):
            self._renewed = None
            return False  # another run was quicker
        self._renewed = began
        return True

    def holder(self) -> str:
        """Who has it, in words."""
        found = self._host.get("Lease", self._name, self._namespace) or {}
        parts = (found.get("spec", {}).get("holderIdentity") or "nobody").split("/")
        return f"process {parts[2]} on {parts[0]}" if len(parts) == 4 else parts[0]

    def release(self) -> None:
        """Give it up, if it is ours."""
        self._renewed = None
        found = self._host.get("Lease", self._name, self._namespace)
        if found and found["spec"].get("holderIdentity") == self._me:
            self._host.delete("Lease", self._name, self._namespace, uid=found["metadata"]["uid"])

    def _over(self, found: dict[str, Any], holder: str) -> bool:
        version, now = found["metadata"]["resourceVersion"], time.monotonic()
        if version != self._other[0]:
            self._other = (version, now)
        return is_dead(holder) or now - self._other[1] > DURATION

    def _body(self) -> dict[str, Any]:
        moment = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        meta = {"name": self._name, "namespace": self._namespace, "labels": self._labels}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": meta,
            "spec": {
                "holderIdentity": self._me,
                "leaseDurationSeconds": int(DURATION),
                "renewTime": moment,
            },
        }


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return "?"


def _start(pid: int) -> str:
    """When a process was started, in ticks since boot; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
