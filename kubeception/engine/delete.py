"""The end of a tenant, in an order in which nobody waits for what has already gone. It may be ended anywhere too."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from kubeception import names
from kubeception.api.v1alpha1 import TenantCluster
from kubeception.components.base import Component, Readiness
from kubeception.engine import access
from kubeception.engine.events import emit, publish
from kubeception.engine.news import NORMAL, News
from kubeception.engine.parallel import together
from kubeception.engine.report import Report
from kubeception.engine.status import deleting_status, time
from kubeception.errors import ApiError, ConflictError
from kubeception.kube.client import Cluster
from kubeception.plan.facts import Object
from kubeception.providers import PROVIDERS

LIMIT: Final = timedelta(seconds=60)
"""After which what hinders the end is cleared away: finalizers nobody answers to, pods nobody ends."""
POLL_SECONDS: Final = 0.2
"""Between looks: what is awaited is that objects are no more."""
STUCK_KINDS: Final = (
    "VirtualMachineInstance",
    "VirtualMachine",
    "ConfigMap",
    "PersistentVolumeClaim",
    "Pod",
)


class Removal(Component):
    """A step of the removal, as the report shows it."""

    def __init__(self, name: str, title: str) -> None:
        self.name, self.title = name, title  # type: ignore[misc]  # of the class elsewhere


NODES = Removal("remove-nodes", "Nodes")
CONTROL_PLANE = Removal("remove-control-plane", "Control plane")
STORAGE = Removal("remove-storage", "Namespaces and volumes")


def delete(host: Cluster, cluster: TenantCluster, now: datetime) -> Report:
    """One pass of the removal; when the report is ready, the TenantCluster is gone.

    The namespaces are marked first, because the host lets `namespaceDeletionGracePeriod`, 5 s, go by
    before it does anything about them. In that time machines, then the API server and its controllers,
    and only then etcd end in order. What does not end within `LIMIT` is freed of its finalizers.

    With `deletionPolicy: Retain` the control plane's namespace stays, with the volume and the keys.
    """
    report = Report(cluster, steps=3)
    before = host.writes.count
    own = names.control_plane_namespace(cluster.metadata.uid, cluster.name)
    nodes = names.nodes_namespace(cluster.metadata.uid, cluster.name)
    spaces = [n for n in (_namespace(host, cluster, name) for name in (own, nodes)) if n]
    retained = cluster.spec.deletion_policy == "Retain"
    going = [s for s in spaces if not retained or s["metadata"]["name"] != own]
    _delete_all(host, going)
    stuck = now - datetime.fromisoformat(cluster.metadata.deletion_timestamp or "") > LIMIT
    steps = (
        (NODES, partial(_remove_machines, host, nodes, now)),
        (CONTROL_PLANE, partial(_remove_control_plane, host, own)),
        (STORAGE, partial(_retain if retained else _remove_rest, host, own, going)),
    )
    for component, step in steps:
        left = _permitted(step)
        if left:
            report.record(component, Readiness.waiting(f"{left} to go"))
            break
        report.record(component, Readiness.ready())
    else:
        if retained and len(going) < len(spaces):
            _seal(host, cluster, own, now)
        _finish(host, cluster)
        report.api_answers = True  # nothing is left that could answer
    for space in spaces:
        access.release(host, space["metadata"]["name"])
    forced: list[str] = []
    if stuck and not report.ready:
        for namespace in (own, nodes):
            _permitted(partial(_free, host, namespace, forced))
    if not report.ready:
        publish(host, cluster, deleting_status(cluster, report, forced, now), now)
    report.again = POLL_SECONDS
    report.writes = host.writes.count - before
    return report


def _remove_machines(host: Cluster, namespace: str, now: datetime) -> str:
    """Delete all machines; what is left of them, in words."""
    left = 0
    for provider in PROVIDERS.values():
        kind, *parts = provider.kinds
        found = host.list(kind, namespace, labels=provider.selector)
        _delete_all(host, found)
        together(provider.release(host, found, now))
        left += len(found) or sum(len(host.list(part, namespace)) for part in parts)
    return f"{left} machines" if left else ""


def _remove_control_plane(host: Cluster, namespace: str) -> str:
    """Delete everything that talks to etcd; which pods are left, in words."""
    _delete_all(host, host.list("Deployment", namespace))
    pods = host.list("Pod", namespace)
    left = [pod for pod in pods if not _is_of(pod, "StatefulSet")]
    return f"{len(left)} pods" if left else ""


def _remove_rest(host: Cluster, namespace: str, spaces: Sequence[Object]) -> str:
    """Delete etcd; what is left of the namespaces and of volumes, in words."""
    _permitted(lambda: _delete_all(host, host.list("StatefulSet", namespace)))
    if spaces:
        return " and ".join(f"Namespace {space['metadata']['name']}" for space in spaces)
    volumes = [
        volume
        for volume in host.list("PersistentVolume")
        if volume["spec"].get("claimRef", {}).get("namespace") == namespace
        and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    ]
    return f"{len(volumes)} volumes" if volumes else ""


def _retain(host: Cluster, namespace: str, spaces: Sequence[Object]) -> str:
    """End etcd, and keep its volume and all Secrets; what is left of the rest, in words."""
    for kind in ("StatefulSet", "Service", "ConfigMap"):
        _delete_all(host, host.list(kind, namespace, labels=names.COMPONENT_LABEL))
    if pods := host.list("Pod", namespace):
        return f"{len(pods)} pods"
    return " and ".join(f"Namespace {space['metadata']['name']}" for space in spaces)


def _seal(host: Cluster, cluster: TenantCluster, namespace: str, now: datetime) -> None:
    """Mark what stays, say where it is, and give up the right to touch it."""
    claims = [c["metadata"]["name"] for c in host.list("PersistentVolumeClaim", namespace)]
    mark = {"metadata": {"annotations": {names.RETAINED_ANNOTATION: time(now)}}}
    host.patch("Namespace", namespace, mark)
    what = (
        f"volume claim {', '.join(claims)} and the keys" if claims else "the keys; it had no volume"
    )
    emit(host, cluster, [News(NORMAL, "Retained", f"namespace {namespace} keeps {what}")], now)
    host.delete("RoleBinding", names.OPERATOR, namespace)


def refuse_protected(cluster: Object) -> None:
    """Raise ConflictError for a TenantCluster with deletion protection, as its API server would refuse it."""
    meta = cluster["metadata"]
    if meta.get("annotations", {}).get(names.PROTECTED_ANNOTATION) == "true":
        raise ConflictError(
            f"TenantCluster {meta['namespace']}/{meta['name']} is protected from deletion",
            hint=f"Lift it: kubectl annotate tenantcluster {meta['name']} "
            f"--namespace {meta['namespace']} {names.PROTECTED_ANNOTATION}-",
        )


def _permitted(step: Callable[[], object]) -> str:
    """What a step left, in words; nothing where an operator's rights have gone with the namespace: so has the rest."""
    try:
        return str(step() or "")
    except ApiError as error:
        if error.status != 403:
            raise
        return ""


def _namespace(host: Cluster, cluster: TenantCluster, name: str) -> Object | None:
    """The namespace of this name if it is the tenant's."""
    found = host.get("Namespace", name)
    label = (found or {}).get("metadata", {}).get("labels", {}).get(names.CLUSTER_LABEL)
    return found if label == names.cluster_id(cluster.metadata.uid, cluster.name) else None


def _finish(host: Cluster, cluster: TenantCluster) -> None:
    """Delete the pools, and let the TenantCluster go."""
    meta = cluster.metadata
    for pool in host.list("NodePool", meta.namespace):
        if pool["spec"].get("clusterRef", {}).get("name") == meta.name:
            host.delete("NodePool", pool["metadata"]["name"], meta.namespace)
    kept = [finalizer for finalizer in meta.finalizers if finalizer != names.FINALIZER]
    host.patch("TenantCluster", meta.name, {"metadata": {"finalizers": kept}}, meta.namespace)


def _free(host: Cluster, namespace: str, forced: list[str]) -> None:
    """Take the finalizers from what is being deleted and doesn't go, and end pods without asking their node.

    What was done to what is added to `forced`.
    """
    for kind in STUCK_KINDS:
        for obj in host.list(kind, namespace):
            meta = obj["metadata"]
            if "deletionTimestamp" not in meta:
                continue
            if finalizers := meta.get("finalizers"):
                forced.append(f"{kind} {meta['name']}: {', '.join(finalizers)}")
                host.patch(kind, meta["name"], {"metadata": {"finalizers": []}}, namespace)
            if kind == "Pod":
                forced.append(f"Pod {meta['name']}: ended without its node")
                host.delete(kind, meta["name"], namespace, uid=meta["uid"], grace=0)


def _delete_all(host: Cluster, objects: Sequence[Object]) -> None:
    """Delete these objects, exactly these, unless that is under way."""
    together(
        partial(
            host.delete,
            obj["kind"],
            obj["metadata"]["name"],
            obj["metadata"].get("namespace", ""),
            uid=obj["metadata"]["uid"],
        )
        for obj in objects
        if "deletionTimestamp" not in obj["metadata"]
    )


def _is_of(pod: Object, kind: str) -> bool:
    return any(owner["kind"] == kind for owner in pod["metadata"].get("ownerReferences", ()))
