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
from kubeception.engine.sites import Ways, clear, release
from kubeception.engine.status import deleting_status, time
from kubeception.errors import ApiError, ConflictError
from kubeception.kube.client import Cluster
from kubeception.plan.facts import HostFacts, Object, bears
from kubeception.plan.site import left_behind, recorded
from kubeception.providers import PROVIDERS

LIMIT: Final = timedelta(seconds=60)
"""After which what hinders the end is cleared away: finalizers nobody answers to, pods nobody ends."""
POLL_SECONDS: Final = 0.2
"""Between looks: what is awaited is that objects are no more."""
STUCK_KINDS: Final = (
    "VirtualMachineInstanceMigration",
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


def delete(
    host: Cluster,
    cluster: TenantCluster,
    now: datetime,
    ways: Ways,
    facts: Callable[[], HostFacts],
) -> Report:
    """One pass of the removal; when the report is ready, the TenantCluster is gone.

    The namespaces are marked first, because the host lets `namespaceDeletionGracePeriod`, 5 s, go by
    before it does anything about them. In that time machines, then the API server and its controllers,
    and only then etcd end in order. What does not end within `LIMIT` is freed of its finalizers.

    Machines elsewhere go like those of the host, by `ways`; where there is none within `LIMIT`, status and an
    Event say what may be left, and where.

    With `deletionPolicy: Retain` the control plane's namespace stays, with the volume and the keys; and that
    of the machines, where the tenant has volumes of its host.
    """
    report = Report(cluster, steps=3)
    before = host.writes.count
    own = names.control_plane_namespace(cluster.metadata.uid, cluster.name)
    nodes = names.nodes_namespace(cluster.metadata.uid, cluster.name)
    spaces = [n for n in (_namespace(host, cluster, name) for name in (own, nodes)) if n]
    retained = cluster.spec.deletion_policy == "Retain"
    kept = _kept(host, own, nodes) if retained else []
    going = [s for s in spaces if s["metadata"]["name"] not in kept]
    _delete_all(host, going)
    stuck = now - datetime.fromisoformat(cluster.metadata.deletion_timestamp or "") > LIMIT
    rest = partial(_remove_rest, host, own, nodes, going)
    elsewhere = partial(_remove_elsewhere, host, cluster, nodes, ways, facts)
    steps = (
        (NODES, partial(_remove_machines, host, nodes, now, elsewhere)),
        (CONTROL_PLANE, partial(_remove_control_plane, host, own)),
        (STORAGE, partial(_retain, host, kept, going) if kept else rest),
    )
    for component, step in steps:
        left = _permitted(step)
        if left:
            report.record(component, Readiness.waiting(f"{left} to go"))
            break
        report.record(component, Readiness.ready())
    else:
        if retained and len(going) < len(spaces):
            _seal(host, cluster, kept, now)
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


def _remove_machines(
    host: Cluster, namespace: str, now: datetime, elsewhere: Callable[[], list[str]]
) -> str:
    """Delete all machines; what is left of them, in words."""
    left = 0
    others = elsewhere()
    for provider in PROVIDERS.values():
        kind, *parts = provider.kinds
        found = host.list(kind, namespace, labels=provider.selector)
        _delete_all(host, found)
        together(provider.release(host, found, now))
        left += len(found) or sum(len(host.list(part, namespace)) for part in parts)
    return ", ".join([*([f"{left} machines"] if left else ()), *others])


def _remove_elsewhere(
    host: Cluster,
    cluster: TenantCluster,
    namespace: str,
    ways: Ways,
    facts: Callable[[], HostFacts],
) -> list[str]:
    """Delete the machines in other clusters; of each place where some are left, or nothing is known of them, why."""
    records = host.list("ConfigMap", namespace, labels=names.SITE_LABEL)
    if not records:
        return []
    home = host.get("Namespace", cluster.namespace) or {"metadata": {}}
    allowed = bears(home, names.ALLOW_INFRA_CLUSTERS)
    _delete_all(host, records)
    left = []
    for obj in records:
        site = recorded(obj)
        if site is None:
            continue
        ours = site.labels(names.cluster_id(cluster.metadata.uid, cluster.name))
        if not allowed:
            left.append(f"NodePool {site.pool}: its infra cluster may not be dialled")
            continue
        place = ways.enter(host, facts(), cluster.namespace, site, ours)
        if isinstance(place, Readiness):
            left.append(place.message)
        elif why := clear(place):
            left.append(f"NodePool {site.pool}: {why}")
        else:
            release(host, obj)
    return left


def _remove_control_plane(host: Cluster, namespace: str) -> str:
    """Delete everything that talks to etcd; which pods are left, in words."""
    _delete_all(host, host.list("Deployment", namespace))
    pods = host.list("Pod", namespace)
    left = [pod for pod in pods if not _is_of(pod, "StatefulSet")]
    return f"{len(left)} pods" if left else ""


def _remove_rest(host: Cluster, own: str, nodes: str, spaces: Sequence[Object]) -> str:
    """Delete etcd; what is left of the namespaces and of volumes, in words."""
    _permitted(lambda: _delete_all(host, host.list("StatefulSet", own)))
    if spaces:
        return " and ".join(f"Namespace {space['metadata']['name']}" for space in spaces)
    volumes = [
        volume
        for volume in host.list("PersistentVolume")
        if volume["spec"].get("claimRef", {}).get("namespace") in (own, nodes)
        and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    ]
    return f"{len(volumes)} volumes" if volumes else ""


def _kept(host: Cluster, own: str, nodes: str) -> list[str]:
    """The namespaces that hold what is to be retained."""
    return [own, nodes] if host.list("PersistentVolumeClaim", nodes) else [own]


def _retain(host: Cluster, kept: Sequence[str], spaces: Sequence[Object]) -> str:
    """End etcd, and keep volumes and the tenant's keys; what is left of the rest, in words."""
    pods = []
    for namespace in kept:
        for kind in ("StatefulSet", "Service", "ConfigMap"):
            _delete_all(host, host.list(kind, namespace, labels=names.COMPONENT_LABEL))
        _delete_all(host, host.list("Secret", namespace, labels=names.MACHINE_LABEL))
        pods += host.list("Pod", namespace)
    if pods:
        return f"{len(pods)} pods"
    return " and ".join(f"Namespace {space['metadata']['name']}" for space in spaces)


def _seal(host: Cluster, cluster: TenantCluster, kept: Sequence[str], now: datetime) -> None:
    """Mark what stays, say where it is, and give up the right to touch it."""
    own = kept[0]
    mark = {"metadata": {"annotations": {names.RETAINED_ANNOTATION: time(now)}}}
    for namespace in kept:
        claims = [c["metadata"]["name"] for c in host.list("PersistentVolumeClaim", namespace)]
        host.patch("Namespace", namespace, mark)
        what = f"volume claim {', '.join(claims)}" if claims else "no volume"
        and_keys = " and the keys" if namespace == own else ""
        said = f"namespace {namespace} keeps {what}{and_keys}"
        emit(host, cluster, [News(NORMAL, "Retained", said)], now)
        for binding in (names.STORAGE, names.OPERATOR):
            host.delete("RoleBinding", binding, namespace)


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
                said = left_behind(obj) or f"{kind} {meta['name']}: {', '.join(finalizers)}"
                forced.append(said)
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
