"""What commands ask the host about tenant clusters."""

from typing import TYPE_CHECKING

from kubeception.errors import NotFoundError

if TYPE_CHECKING:
    from kubeception.kube.client import Cluster, Object


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
    if cluster["spec"].get("paused"):
        return "Paused"
    return str(cluster.get("status", {}).get("phase", "Pending"))
