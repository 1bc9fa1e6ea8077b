"""The operator and what it needs in a host, as `components.install` declares it: written, judged, removed."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from kubeception import __version__, names
from kubeception.components.base import Readiness, deployment_ready
from kubeception.components.install import (
    POD_NODES,
    VERSION_LABEL,
    Options,
    host_prerequisites,
    operator,
)
from kubeception.engine.apply import Target, apply, prepare
from kubeception.engine.leader import leader
from kubeception.engine.parallel import together
from kubeception.errors import ApiError, KubeceptionError, WaitTimeoutError
from kubeception.kube.client import Cluster
from kubeception.kube.conditions import is_true
from kubeception.plan.facts import Key, Object, key_of
from kubeception.plan.images import ALLOWED, DIGESTS, lines

PREREQUISITES: Final = "install"
OPERATOR: Final = "operator"
"""The values of the component label."""
OPERATOR_KINDS: Final = (
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "Deployment",
    "Namespace",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Role",
    "RoleBinding",
    "ServiceAccount",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)
"""Kinds of which any release has installed something: what a later one no longer declares is removed."""

SERVED_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.05
OLDEST_HOST: Final = 30
"""Minor of Kubernetes 1 from which ValidatingAdmissionPolicy is served."""
STUCK: Final = (
    "CreateContainerConfigError",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
)


def documents(options: Options) -> list[Object]:
    """Everything that an installation is, as it is written: for a file."""
    parts = ((PREREQUISITES, host_prerequisites()), (OPERATOR, operator(options)))
    return [prepare(o, {names.COMPONENT_LABEL: part}) for part, objects in parts for o in objects]


def prepare_host(host: Cluster) -> None:
    """Have the prerequisites; where an operator is installed, they change with it and with nothing else."""
    if not installed_version(host):
        install(host)


def install(host: Cluster) -> None:
    """Bring the host's prerequisites up to this version; returns when the kinds are served.

    Raises ApiError, saying who must do it, when this user may not.
    """
    wanted = host_prerequisites()
    reads = [partial(host.get, obj["kind"], obj["metadata"]["name"]) for obj in wanted]
    live = {key_of(obj): obj for obj in together(reads) if obj is not None}
    try:
        seen = apply(Target(host, {}, exclusive=False), PREREQUISITES, wanted, live)
    except ApiError as error:
        if error.status != 403:
            raise
        raise ApiError(
            error.message,
            status=403,
            reason=error.reason,
            hint="An administrator of the host must run `kubeception install` once.",
        ) from None
    for obj in seen:
        if obj["kind"] == "CustomResourceDefinition":
            _wait(host, obj)


def install_operator(host: Cluster, options: Options) -> None:
    """Write the operator, and remove what an earlier release had and this one has not."""
    apply(Target(host, {}, exclusive=False), OPERATOR, operator(options), _installed(host))


def chosen(
    host: Cluster,
    image: str | None,
    replicas: int | None,
    pod_nodes: bool | None = None,
    *,
    allowed: tuple[str, ...] | None = None,
    digests: tuple[str, ...] | None = None,
) -> Options:
    """The options of an installation: as asked for, else as they are, else as they are at first."""
    found = _deployment(host)
    known = int(found["spec"].get("replicas", 1)) if found else Options.replicas
    role = host.get("ClusterRole", names.TENANT_ROLE) or {}
    makes_pods = POD_NODES in (role.get("rules") or ())
    said = (host.get("ConfigMap", names.IMAGES, names.SYSTEM_NAMESPACE) or {}).get("data") or {}
    options = Options(
        allowed=lines(said.get(ALLOWED, "")) if allowed is None else allowed,
        digests=lines(said.get(DIGESTS, "")) if digests is None else digests,
        replicas=known if replicas is None else replicas,
        pod_nodes=makes_pods if pod_nodes is None else pod_nodes,
    )
    return replace(options, image=image) if image else options


def check(host: Cluster) -> None:
    """Raise KubeceptionError where this release can't follow what is installed."""
    minor = _minor(host.version())
    if minor < OLDEST_HOST:
        raise KubeceptionError(
            f"{host.title} is Kubernetes 1.{minor}, and the operator needs 1.{OLDEST_HOST} or later",
            hint="Older hosts lack ValidatingAdmissionPolicy; `kubeception create` works without an operator.",
        )
    there = installed_version(host)
    if there and newness(there) > newness(__version__):
        raise KubeceptionError(
            f"{host.title}: release {there} is installed, and this is the older {__version__}",
            hint="There is no way back: use a kubeception that is at least as new.",
        )
    wanted = [o for o in host_prerequisites() if o["kind"] == "CustomResourceDefinition"]
    for crd in wanted:
        found = host.get(crd["kind"], crd["metadata"]["name"]) or {}
        stored = set(found.get("status", {}).get("storedVersions", ()))
        if lost := stored - {version["name"] for version in crd["spec"]["versions"]}:
            raise KubeceptionError(
                f"{host.title}: {crd['metadata']['name']} are stored as {', '.join(sorted(lost))}, "
                f"which release {__version__} no longer knows",
                hint="Upgrade to the releases in between first.",
            )


def installed_version(host: Cluster) -> str:
    """The operator's release; empty where there is none."""
    labels = (_deployment(host) or {}).get("metadata", {}).get("labels", {})
    return str(labels.get(VERSION_LABEL, ""))


def installed_image(host: Cluster) -> str:
    """The operator's image; empty where there is none."""
    pod = (_deployment(host) or {}).get("spec", {}).get("template", {}).get("spec", {})
    return next((str(c["image"]) for c in pod.get("containers", ())), "")


def readiness(host: Cluster) -> Readiness:
    """How far the operator is, with the cause where it gets no further."""
    found = deployment_ready(_deployment(host))
    if not found.ok:
        why = next(_complaints(host), "")
        return replace(found, message=f"{found.message}{': ' if why else ''}{why}")
    if not (who := leader(host)):
        return Readiness.waiting("no replica leads yet")
    return Readiness.ready(f"{found.message}, {who} leads")


def wait(host: Cluster, seconds: float, told: Callable[[Readiness], None]) -> Readiness:
    """Return when the operator works. Raises WaitTimeoutError."""
    deadline = time.monotonic() + seconds
    while True:
        found = readiness(host)
        if found.ok:
            return found
        told(found)
        if time.monotonic() > deadline:
            raise WaitTimeoutError(
                f"{host.title}: the operator is not ready after {seconds:.0f} s: {found.message}",
                hint=f"kubectl --namespace {names.SYSTEM_NAMESPACE} describe pods",
            )
        time.sleep(0.25)


def tenants(host: Cluster) -> list[Object]:
    """All TenantClusters of the host."""
    return host.list("TenantCluster")


def uninstall_operator(host: Cluster) -> None:
    """Remove the operator and all it had: first itself, then its rights."""
    found = _installed(host)
    if deployment := _deployment(host):
        _delete(host, [deployment], propagation="Foreground")
        _gone(host, [deployment], "the operator")
    bindings = host.list("RoleBinding", labels=names.CLUSTER_LABEL)
    for binding in bindings:
        meta = binding["metadata"]
        if meta["name"] == names.OPERATOR:
            host.patch(
                "RoleBinding", meta["name"], {"metadata": {"finalizers": []}}, meta["namespace"]
            )
            _delete(host, [binding])
    rest = [obj for obj in found.values() if obj["kind"] != "Deployment"]
    _delete(host, rest)
    _gone(host, rest, "the operator's objects")


def uninstall(host: Cluster) -> None:
    """Remove the prerequisites: the kinds and whatever objects there are of them."""
    wanted = host_prerequisites()
    reads = [partial(host.get, obj["kind"], obj["metadata"]["name"]) for obj in wanted]
    found = [obj for obj in together(reads) if obj is not None]
    _delete(host, found)
    _gone(host, found, "the kinds")


def _installed(host: Cluster) -> dict[Key, Object]:
    labels = f"{names.COMPONENT_LABEL}={OPERATOR}"
    found = together(partial(host.list, kind, labels=labels) for kind in OPERATOR_KINDS)
    return {key_of(obj): obj for objects in found for obj in objects}


def _deployment(host: Cluster) -> Object | None:
    return host.get("Deployment", names.OPERATOR, names.SYSTEM_NAMESPACE)


def _complaints(host: Cluster) -> Iterator[str]:
    """What keeps the operator's pods from running."""
    for pod in host.list("Pod", names.SYSTEM_NAMESPACE):
        status = pod.get("status", {})
        for condition in status.get("conditions", ()):
            if condition.get("reason") == "Unschedulable":
                yield condition.get("message", "")
        for container in status.get("containerStatuses", ()):
            waiting = container.get("state", {}).get("waiting", {})
            last = container.get("lastState", {}).get("terminated", {})
            if waiting.get("reason") in STUCK:
                yield f"{waiting['reason']}: {waiting.get('message', '')}"
            elif last:
                said = (last.get("message") or "").strip().splitlines()
                yield f"it ended with {last.get('exitCode')}: {said[-1] if said else last.get('reason')}"
    for replicas in host.list("ReplicaSet", names.SYSTEM_NAMESPACE):
        for condition in replicas.get("status", {}).get("conditions", ()):
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                yield condition.get("message", "")


def _delete(host: Cluster, objects: Sequence[Object], *, propagation: str = "Background") -> None:
    together(
        partial(
            host.delete,
            obj["kind"],
            obj["metadata"]["name"],
            obj["metadata"].get("namespace", ""),
            uid=obj["metadata"]["uid"],
            propagation=propagation,
        )
        for obj in objects
    )


def _gone(host: Cluster, objects: Sequence[Object], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    for obj in objects:
        kind, namespace, name = key_of(obj)
        while (found := host.get(kind, name, namespace)) is not None:
            if found["metadata"]["uid"] != obj["metadata"]["uid"]:
                break
            if time.monotonic() > deadline:
                raise WaitTimeoutError(
                    f"{host.title}: {what} are not gone after {seconds:.0f} s: {kind} {name} is still there",
                    hint=f"kubectl get {kind} {name} -o yaml shows what holds it.",
                )
            time.sleep(POLL_SECONDS)


def _wait(host: Cluster, crd: Object | None) -> None:
    deadline = time.monotonic() + SERVED_SECONDS
    while crd is not None and not is_true(crd, "Established"):
        if time.monotonic() > deadline:
            name = crd["metadata"]["name"]
            raise ApiError(f"{host.title}: CustomResourceDefinition {name} is not served")
        time.sleep(POLL_SECONDS)
        crd = host.get("CustomResourceDefinition", crd["metadata"]["name"])


def _minor(version: str) -> int:
    """The minor in `v1.36.3`."""
    parts = version.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


def newness(version: str) -> tuple[int, ...]:
    """What releases are compared by; a part that is no number counts as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))
