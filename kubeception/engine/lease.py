"""Who works on a tenant: a Lease beside its TenantCluster, so that two runs don't pull in two directions."""

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from kubeception import names
from kubeception.errors import ConflictError, NotFoundError
from kubeception.kube.client import Cluster

DURATION: Final = timedelta(seconds=15)
"""After which a holder that was not heard of is taken for dead."""
RENEWAL: Final = timedelta(seconds=5)


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
    """The right to work on one tenant; `hold` gets or renews it."""

    def __init__(
        self, host: Cluster, namespace: str, name: str, clock: Callable[[], datetime], me: str = ""
    ) -> None:
        self._host, self._namespace, self._tenant = host, namespace, name
        self._name = names.fit("kubeception", name)
        self._clock, self._me = clock, me or identity()
        self._renewed: datetime | None = None

    def hold(self) -> bool:
        """True while it is ours; False while another run, which is alive, has it."""
        now = self._clock()
        if self._renewed is not None and now - self._renewed < RENEWAL:
            return True
        self._renewed = None
        found = self._host.get("Lease", self._name, self._namespace)
        holder = (found or {}).get("spec", {}).get("holderIdentity") or ""
        if found and holder not in ("", self._me) and not self._over(found, now):
            return False
        body = self._body(now)
        try:
            if found is None:
                self._host.create(body)
            else:
                meta = {**found["metadata"], "managedFields": None}
                self._host.replace({**body, "metadata": meta})
        except (ConflictError, NotFoundError):
            return False  # another run was quicker
        self._renewed = now
        return True

    def holder(self) -> str:
        """Who has it, in words."""
        found = self._host.get("Lease", self._name, self._namespace) or {}
        parts = (found.get("spec", {}).get("holderIdentity") or "nobody").split("/")
        return f"process {parts[2]} on {parts[0]}" if len(parts) == 4 else parts[0]

    def release(self) -> None:
        """Give it up, if it is ours."""
        found = self._host.get("Lease", self._name, self._namespace)
        if found and found["spec"].get("holderIdentity") == self._me:
            self._host.delete("Lease", self._name, self._namespace, uid=found["metadata"]["uid"])
        self._renewed = None

    def _over(self, found: dict[str, Any], now: datetime) -> bool:
        spec = found["spec"]
        renewed = datetime.fromisoformat(spec.get("renewTime") or "1970-01-01T00:00:00Z")
        return now - renewed > DURATION or is_dead(spec.get("holderIdentity") or "")

    def _body(self, now: datetime) -> dict[str, Any]:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._me,
                "leaseDurationSeconds": int(DURATION.total_seconds()),
                "renewTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
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
