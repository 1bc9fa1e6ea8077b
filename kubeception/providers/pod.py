"""Worker nodes as privileged pods of the host: quick, and no wall between tenants, so its admins must allow it."""

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, Final

from kubeception import names
from kubeception.api.v1alpha1 import NodePool, PodOptions
from kubeception.errors import SpecError
from kubeception.kube.client import Cluster
from kubeception.plan.amounts import Amounts, amounts
from kubeception.plan.bootstrap import Bootstrap
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object
from kubeception.plan.render import manifest
from kubeception.providers.base import (
    Machine,
    NodeProvider,
    Phase,
    first_ipv6,
    marks,
    require,
    require_image,
    resolvers,
)

CONTAINER: Final = "node"
"""Container of the pod; its log is the node's console."""


class PodProvider(NodeProvider):
    """Pods of the host cluster, never restarted: what ends is replaced, so a node has one life."""

    name: ClassVar[str] = "pod"
    kinds: ClassVar[tuple[str, ...]] = ("Pod",)
    selector: ClassVar[str] = f"{names.PROVIDER_LABEL}=pod"

    def preflight(self, host: Cluster) -> None:
        """Every cluster runs pods; whether privileged ones are allowed depends on the namespace."""

    def check(self, ctx: PlanContext, pool: NodePool) -> None:
        require(ctx, pool, names.ALLOW_POD_NODES)
        require_image(ctx, pool, pool.spec.pod.image if pool.spec.pod else None, "spec.pod.image")

    def takes(self, pool: NodePool) -> Amounts:
        options = pool.spec.pod or PodOptions()
        if options.cpus is None or options.memory is None:
            problem = "spec.pod: cpus and memory must be said, for the cluster has a budget of them"
            raise SpecError([problem], what=f"NodePool {pool.name}")
        return amounts(str(options.cpus), options.memory)

    def render(
        self, ctx: PlanContext, pool: NodePool, machine: str, boot: Bootstrap
    ) -> list[Object]:
        labels = {
            names.MACHINE_LABEL: machine,
            names.POOL_LABEL: pool.name,
            names.PROVIDER_LABEL: self.name,
        }
        options = pool.spec.pod or PodOptions()
        seed = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": machine, "namespace": ctx.nodes_namespace, "labels": labels},
            "stringData": {"bootstrap.json": boot.document()},
        }
        pod = manifest(
            "pod/pod.yaml.j2",
            {
                "machine": machine,
                "namespace": ctx.nodes_namespace,
                "labels": labels,
                "spread": {names.CLUSTER_LABEL: ctx.id, names.POOL_LABEL: pool.name},
                "image": options.image or ctx.image("node", ctx.version_of(pool)),
            },
        )
        pod["spec"] |= resolvers(ctx)
        limits = {"cpu": options.cpus, "memory": options.memory}
        if limits := {key: value for key, value in limits.items() if value is not None}:
            pod["spec"]["containers"][0]["resources"]["limits"] = limits
        return [seed, pod]

    def machines(self, objects: Iterable[Object]) -> list[Machine]:
        return [_machine(obj) for obj in objects if obj["kind"] == "Pod" and _is_ours(obj)]

    def provider_id(self, ctx: PlanContext, machine: str) -> str:
        return f"pod://{ctx.nodes_namespace}/{machine}"


def _is_ours(pod: Object) -> bool:
    """Whether it is a node: the pods of virtual machines have most labels of theirs, but not this one."""
    return bool(pod["metadata"].get("labels", {}).get(names.PROVIDER_LABEL) == PodProvider.name)


def _machine(pod: Object) -> Machine:
    meta, status = pod["metadata"], pod.get("status", {})
    phase, message = _phase(pod)
    return Machine(
        name=meta["name"],
        pool=meta["labels"].get(names.POOL_LABEL, ""),
        phase=phase,
        created=datetime.fromisoformat(meta["creationTimestamp"]),
        uid=meta["uid"],
        instance=meta["uid"],
        address=status.get("podIP", ""),
        address6=first_ipv6(each["ip"] for each in status.get("podIPs") or ()),
        host_node=pod["spec"].get("nodeName", ""),
        provider=PodProvider.name,
        message=message,
        **marks(pod),
    )


def _phase(pod: Object) -> tuple[Phase, str]:
    """The phase, and why, where that needs saying."""
    meta, status = pod["metadata"], pod.get("status", {})
    if "deletionTimestamp" in meta:
        return Phase.REMOVING, ""
    if meta.get("annotations", {}).get(names.INSTANCE_ANNOTATION, meta["uid"]) != meta["uid"]:
        return Phase.ENDED, "the pod it was is gone"
    if status.get("phase") in ("Failed", "Succeeded"):
        why = status.get("message") or status.get("reason") or status["phase"]
        return Phase.ENDED, f"the pod ended: {why}"
    if status.get("phase") == "Running":
        return Phase.RUNNING, ""
    return Phase.PENDING, _trouble(status)


def _trouble(status: Object) -> str:
    """What keeps a pod from starting, as the host says it; what is only slow is no trouble."""
    for container in status.get("containerStatuses") or ():
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            return str(waiting.get("message") or waiting["reason"])
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason") or "")
    return ""
