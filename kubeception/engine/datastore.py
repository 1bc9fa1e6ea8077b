"""A tenant's etcd that is full: what can be won is won, and it is written to again; what can't is said.

Nobody asks each etcd how it is. The host's kubelet does, by the readiness probe, which fails while etcd has raised an
alarm, and a pass hears of it. Only then etcd is asked, through the API of the host.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from kubeception.api.reasons import Reason
from kubeception.components.base import Readiness
from kubeception.errors import KubeceptionError, StoppedError
from kubeception.kube.client import Cluster
from kubeception.kube.etcd import Etcd, Fill
from kubeception.kube.portforward import PortForward
from kubeception.plan.context import PlanContext
from kubeception.plan.endpoint import ETCD_PORT
from kubeception.plan.kubeconfig import kubeconfig

POD: Final = "etcd-0"
SETTLED: Final = timedelta(seconds=15)
"""An etcd that runs for less is starting, and isn't asked."""
LOOK_SECONDS: Final = 15.0
"""How often it is asked while it isn't ready: of what is deleted in the tenant nothing is heard here."""
ROOM: Final = 0.9
"""Of the quota: with more in use than that it would soon be full again, and each time costs it a pause."""


def unwell(ctx: PlanContext) -> bool:
    """Whether etcd runs, and isn't ready although it has had its time."""
    pod = ctx.seen("Pod", POD) or {}
    for container in pod.get("status", {}).get("containerStatuses") or ():
        running = (container.get("state") or {}).get("running") or {}
        if container["name"] == "etcd" and running and container.get("started"):
            since = ctx.facts.now - datetime.fromisoformat(running["startedAt"])
            return since >= SETTLED and not container.get("ready")
    return False


def look(host: Cluster, ctx: PlanContext) -> Readiness | None:
    """Why etcd isn't ready, where it is full or can't be asked; room is made where there is any to win."""
    try:
        with _reached(host, ctx) as etcd:
            return mend(etcd)
    except StoppedError:
        raise
    except KubeceptionError as error:
        return Readiness.waiting(f"it is not ready, and why isn't known: {error.message}")


def mend(etcd: Etcd) -> Readiness | None:
    """Make room where etcd is full; what came of it, or None where it is not. Raises ApiError.

    Nothing is remembered: what a pass that broke off had done, the next one finds done. Where too much is in use,
    only the compaction is tried again, which costs nothing as long as nothing was deleted.
    """
    if not (members := etcd.alarmed()):
        return None
    etcd.compact(etcd.fill().revision)
    found = etcd.fill()
    if found.used > ROOM * found.quota:
        return Readiness.waiting(_full(found), Reason.DATASTORE_FULL)
    if found.size > ROOM * found.quota:
        etcd.defragment()
    for member in members:
        etcd.disarm(member)
    said = f"it was full, and takes writes again: {_of_quota(found)} are in use"
    return Readiness.waiting(said, Reason.IN_PROGRESS)


@contextmanager
def _reached(host: Cluster, ctx: PlanContext) -> Iterator[Etcd]:
    """etcd, as kube-apiserver comes to it, but through the API of the host: no NetworkPolicy is opened for this."""
    pair, ca = ctx.pki.leaf("kube-apiserver", "etcd-client"), ctx.pki.ca("etcd").cert
    with PortForward(host, ctx.namespace, POD, ETCD_PORT, lambda: "") as forward:
        address, port = forward.address
        document = kubeconfig(
            name="etcd",
            server=f"https://{address}:{port}",
            ca=ca,
            user="kube-apiserver",
            cert=pair.cert,
            key=pair.key,
        )
        with Cluster(document, f"etcd of {ctx.cluster.name}") as cluster:
            yield Etcd(cluster.limited(host.limit))


def _full(found: Fill) -> str:
    enough = f"{ROOM * found.quota / 2**20:.0f} MiB"
    return (
        f"it is full, so the tenant's API refuses writes, but not deletions: {_of_quota(found)} are in use, "
        f"and there is nothing to compact; it goes on by itself once objects were deleted and less than {enough} are"
    )


def _of_quota(found: Fill) -> str:
    return f"{found.used / 2**20:.0f} of {found.quota / 2**20:.0f} MiB"
