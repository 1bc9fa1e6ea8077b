"""The operator's way into a tenant's namespaces: a RoleBinding in each, in effect a moment after it was written."""

import time
from collections.abc import Iterable
from typing import Final

from kubeception import names
from kubeception.api.v1alpha1 import TenantCluster
from kubeception.components.install import tenant_access
from kubeception.engine.apply import prepare, write_one
from kubeception.errors import ApiError
from kubeception.kube.client import Cluster

PATIENCE_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.02
PROBE: Final = "PersistentVolumeClaim"
"""A kind that is quickly listed, and only by who may work in the namespace."""
USED_FOR: Final = ("VirtualMachine", "VirtualMachineInstance", "Pod")
"""What has to be looked after until it is gone; the rest goes with the namespace by itself."""


def settle(host: Cluster, namespaces: Iterable[str]) -> None:
    """Return when these namespaces may be read, or after some time anyway: the next request tells."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    for namespace in namespaces:
        while not _open(host, namespace) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def mend(host: Cluster, cluster: TenantCluster) -> None:
    """Give the operator its RoleBindings, in those of the tenant's namespaces that lack one and aren't ending."""
    uid, name = cluster.metadata.uid, cluster.name
    labels = {names.CLUSTER_LABEL: names.cluster_id(uid, name), names.COMPONENT_LABEL: "namespace"}
    spaces = (names.control_plane_namespace(uid, name), names.nodes_namespace(uid, name))
    lacking = [space for space in spaces if _lacks(host, space)]
    for space in lacking:
        binding = prepare(tenant_access(space), labels)
        write_one(host, f"{names.FIELD_MANAGER}/namespace", binding, None)
    settle(host, lacking)


def release(host: Cluster, namespace: str) -> None:
    """Let the RoleBinding go with its namespace, once nothing is left there that it is needed for."""
    binding = host.get("RoleBinding", names.OPERATOR, namespace)
    if binding is None or names.FINALIZER not in binding["metadata"].get("finalizers", ()):
        return
    records = host.list("ConfigMap", namespace)
    kept = any(names.FINALIZER in obj["metadata"].get("finalizers", ()) for obj in records)
    if not kept and not any(host.list(kind, namespace) for kind in USED_FOR):
        host.patch("RoleBinding", names.OPERATOR, {"metadata": {"finalizers": []}}, namespace)


def _lacks(host: Cluster, namespace: str) -> bool:
    found = host.get("Namespace", namespace)
    if found is None or "deletionTimestamp" in found["metadata"]:
        return False
    return host.get("RoleBinding", names.OPERATOR, namespace) is None


def _open(host: Cluster, namespace: str) -> bool:
    try:
        host.list(PROBE, namespace)
    except ApiError as error:
        if error.status == 403:
            return False
        raise
    return True
