"""What commands ask the host about tenant clusters, and the table they make of it."""

from typing import TYPE_CHECKING, Final

from kubeception import names
from kubeception.cli.output import Column, Row
from kubeception.errors import NotFoundError

if TYPE_CHECKING:
    from kubeception.kube.client import Cluster, Object

COLUMNS: Final = (
    Column("NAME", least=12),
    Column("VERSION"),
    Column("STATUS"),
    Column("ENDPOINT", least=10),
    Column("NODES"),
    Column("PODS", least=8, wide=True),
    Column("SERVICES", least=8, wide=True),
    Column("EXPOSURE", least=8, wide=True),
    Column("CONTROL PLANE", least=12, wide=True),
    Column("MACHINES", least=12, wide=True),
    Column("MESSAGE", least=10, wide=True),
)
NAMESPACE: Final = Column("NAMESPACE", least=8)


def find(host: "Cluster", namespace: str, name: str) -> "Object":
    """The TenantCluster. Raises NotFoundError."""
    found = host.get("TenantCluster", name, namespace)
    if found is None:
        raise NotFoundError(
            f"{host.title}: no tenant cluster {name} in namespace {namespace}",
            hint="`kubeception list --all-namespaces` shows those there are.",
        )
    return found


def pools_of(host: "Cluster", namespace: str, name: str) -> "list[Object]":
    """The NodePools of a tenant cluster."""
    found = host.list("NodePool", namespace)
    return [pool for pool in found if pool["spec"].get("clusterRef", {}).get("name") == name]


def status_line(cluster: "Object") -> str:
    """One word for how it is."""
    if "deletionTimestamp" in cluster["metadata"]:
        return "Deleting"
    annotations = cluster["metadata"].get("annotations", {})
    if cluster["spec"].get("paused") or annotations.get(names.PAUSED_ANNOTATION) == "true":
        return "Paused"
    return str(cluster.get("status", {}).get("phase") or "Pending")


def condition(obj: "Object", name: str) -> "Object":
    """The condition of this type; an empty one where there is none."""
    found = (obj.get("status") or {}).get("conditions") or ()
    return next((c for c in found if c["type"] == name), {})


def row(cluster: "Object", *, namespace: bool) -> Row:
    """A line of the list."""
    meta, spec, status = cluster["metadata"], cluster["spec"], cluster.get("status") or {}
    ready = condition(cluster, "Ready")
    cells = [
        meta["name"],
        status.get("version") or spec.get("version", ""),
        status_line(cluster),
        status.get("endpoint", "").removeprefix("https://"),
        f"{status.get('readyNodes', 0)}/{status.get('nodes', 0)}",
        status.get("podCIDR", ""),
        status.get("serviceCIDR", ""),
        (spec.get("exposure") or {}).get("type", ""),
        status.get("controlPlaneNamespace", ""),
        status.get("nodesNamespace", ""),
        "" if ready.get("status") == "True" else ready.get("message", ""),
    ]
    return Row(
        meta["name"],
        [meta["namespace"], *cells] if namespace else cells,
        cluster,
        meta["creationTimestamp"],
    )
