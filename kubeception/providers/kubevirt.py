"""Worker nodes as KubeVirt virtual machines: one VirtualMachine each, its user data in a Secret of the same name."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Final

from kubeception import names
from kubeception.api.reasons import Reason
from kubeception.api.v1alpha1 import KubeVirtOptions, NodePool
from kubeception.errors import KubeceptionError, SpecError
from kubeception.kube.client import Cluster
from kubeception.plan import control_plane, kernel
from kubeception.plan.amounts import Amounts, amounts
from kubeception.plan.bootstrap import GROW, READ_NETWORK, Bootstrap
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object
from kubeception.plan.render import manifest
from kubeception.plan.site import problems, site_of
from kubeception.plan.way import forward
from kubeception.providers import migration, volume
from kubeception.providers.base import (
    EXCEEDED,
    Machine,
    NodeProvider,
    Phase,
    first_ipv6,
    marks,
    require,
    require_image,
    resolvers,
)

CONSOLE_CONTAINER: Final = "guest-console-log"
"""Container of the virt-launcher pod whose log is the serial console."""

VM_NAMESPACE: Final = "cluster.x-k8s.io/cluster-namespace"
"""Annotation of a Node by which, beside its provider id, others of KubeVirt's world find its VirtualMachine."""

VERSION: Final = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")

CPUS: Final = 1
MEMORY: Final = "1536Mi"
"""Of a machine of which nothing else is said."""

SAFE: Final = (1, 8, 3)
"""Releases before this one have published holes by which a guest comes to its host: CVE-2026-7374 is one."""

TROUBLES: Final[Mapping[str, tuple[Reason, str]]] = {
    "CrashLoopBackOff": (Reason.CONTAINER_ENDS, "it ends again and again while it starts"),
    "DataVolumeError": (Reason.VOLUME_PENDING, "its disk can't be imported"),
    "ErrImagePull": (Reason.IMAGE_NOT_PULLED, "its disk image can't be pulled"),
    "ErrorDataVolumeNotFound": (Reason.VOLUME_PENDING, "a DataVolume it names is missing"),
    "ErrorPvcNotFound": (Reason.VOLUME_PENDING, "a volume claim it names is missing"),
    "ErrorUnschedulable": (Reason.UNSCHEDULABLE, "no host node has room for it"),
    "ImagePullBackOff": (Reason.IMAGE_NOT_PULLED, "its disk image can't be pulled"),
    "Provisioning": (Reason.IN_PROGRESS, "its disk is being filled"),
    "WaitingForVolumeBinding": (Reason.IN_PROGRESS, "its volume waits for a host node"),
}
"""What `printableStatus` says of a machine that doesn't start, or not yet."""
CONDITIONS: Final[Mapping[tuple[str, str], Reason]] = {
    ("Failure", "True"): Reason.MACHINE_NOT_STARTED,
    ("PodScheduled", "False"): Reason.UNSCHEDULABLE,
}
"""Which of its conditions say the same, in words of their own."""


class KubeVirt(NodeProvider):
    """VirtualMachines of the host cluster."""

    name: ClassVar[str] = "kubevirt"
    kinds: ClassVar[tuple[str, ...]] = (
        "VirtualMachine",
        "VirtualMachineInstance",
        migration.KIND,
    )
    selector: ClassVar[str] = ""
    head_start: ClassVar[timedelta] = timedelta(seconds=10)

    def preflight(self, host: Cluster) -> None:
        served = host.raw("/apis/kubevirt.io/v1")
        if served is None:
            raise KubeceptionError(
                f"{host.title}: KubeVirt is not installed there, and workers are virtual machines",
                hint="Install it (https://kubevirt.io/user-guide/cluster_admin/installation) or use --workers 0; "
                "`kubeception lab up` makes a host cluster that has it.",
            )
        found = host.list("KubeVirt")
        phases = [item.get("status", {}).get("phase", "not deployed yet") for item in found]
        if "Deployed" not in phases:
            state = phases[0] if phases else "without a KubeVirt object"
            raise KubeceptionError(
                f"{host.title}: KubeVirt is there but not ready: {state}",
                hint="Wait until `kubectl get kubevirt --all-namespaces` shows Deployed.",
            )
        for kubevirt in found:
            meta, version = kubevirt["metadata"], unsafe(kubevirt)
            if version and meta.get("annotations", {}).get(names.ACCEPTED_ANNOTATION) != version:
                raise KubeceptionError(
                    f"{host.title}: KubeVirt {version} has published holes by which a virtual machine "
                    f"comes to its host; v{'.'.join(map(str, SAFE))} closes them",
                    hint="Upgrade it. Where you trust whoever gets these machines, an administrator accepts it: "
                    f"kubectl annotate kubevirt {meta['name']} --namespace {meta['namespace']} --overwrite "
                    f"{names.ACCEPTED_ANNOTATION}={version}",
                )
        if not any(r["name"] == "virtualmachines" for r in json.loads(served)["resources"]):
            raise KubeceptionError(f"{host.title}: KubeVirt there serves no VirtualMachines")

    def check(self, ctx: PlanContext, pool: NodePool) -> None:
        volume.check(ctx, pool)
        if site_of(pool) is None:
            options = pool.spec.kubevirt or KubeVirtOptions()
            require_image(ctx, pool, options.image, "spec.kubevirt.image")
            return
        require(ctx, pool, names.ALLOW_INFRA_CLUSTERS, "spec.kubevirt.infraKubeconfigSecretRef")
        if found := list(problems(ctx.spec, [pool])):
            raise SpecError(found, what=f"NodePool {pool.name}")

    def takes(self, pool: NodePool) -> Amounts:
        options = pool.spec.kubevirt or KubeVirtOptions()
        if site_of(pool) is not None:
            return Amounts()
        if options.instancetype:
            problem = (
                "spec.kubevirt.instancetype: a budget counts cpus and memory: name these instead"
            )
            raise SpecError([problem], what=f"NodePool {pool.name}")
        disk = options.root_disk.size if options.root_disk else "0"
        return amounts(str(options.cpus or CPUS), options.memory or MEMORY, disk)

    def render(
        self, ctx: PlanContext, pool: NodePool, machine: str, boot: Bootstrap
    ) -> list[Object]:
        site = site_of(pool)
        namespace = site.namespace if site else ctx.nodes_namespace
        way = forward(ctx.endpoint, ctx.network.api_ip) if site and ctx.endpoint else ""
        labels = {names.MACHINE_LABEL: machine, names.POOL_LABEL: pool.name}
        if site:
            labels[names.SITE_LABEL] = site.name
        options = pool.spec.kubevirt or KubeVirtOptions()
        disk = options.image or ctx.image("node-disk", ctx.version_of(pool))
        data = {"userdata": _on_disk(boot.on_systemd(way), options).cloud_config()}
        if options.network_data:
            data["networkdata"] = options.network_data
        seed: Object = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": machine, "namespace": namespace, "labels": labels},
            "stringData": data,
        }
        vm = manifest(
            "kubevirt/vm.yaml.j2",
            {
                "machine": machine,
                "namespace": namespace,
                "labels": {**labels, names.CLUSTER_LABEL: ctx.id},
                "spread": {names.CLUSTER_LABEL: ctx.id, names.POOL_LABEL: pool.name},
                "image": disk,
            },
        )
        if options.image is None:
            vm["spec"]["template"]["spec"]["domain"]["firmware"] = {
                "kernelBoot": kernel_boot(disk, configured=bool(options.network_data))
            }
        vm["spec"]["template"]["spec"] |= resolvers(ctx)
        _configure(vm["spec"], options)
        if options.root_disk:
            _fill(vm["spec"], volume.template(ctx, machine, disk, options.root_disk))
        if options.network_data:
            _network(vm["spec"], machine)
        if options.eviction == migration.LIVE:
            vm["metadata"]["annotations"] = {names.EVICTION_ANNOTATION: migration.LIVE}
        return [seed, vm]

    def machines(self, objects: Iterable[Object]) -> list[Machine]:
        known = list(objects)
        instances = {
            obj["metadata"]["name"]: obj for obj in known if obj["kind"] == "VirtualMachineInstance"
        }
        moves = migration.by_machine(known)
        return [
            _machine(obj, instances.get(name := obj["metadata"]["name"]), moves.get(name, ()))
            for obj in known
            if obj["kind"] == "VirtualMachine" and names.MACHINE_LABEL in _labels(obj)
        ]

    def provider_id(self, ctx: PlanContext, machine: str) -> str:
        return f"kubevirt://{machine}"

    def node_annotations(self, ctx: PlanContext) -> Mapping[str, str]:
        return {VM_NAMESPACE: ctx.nodes_namespace}

    def explain(self, host: Cluster, ctx: PlanContext, machine: Machine) -> Machine:
        vm = ctx.facts.seen("VirtualMachine", ctx.nodes_namespace, machine.name)
        if vm is None or "dataVolumeTemplates" not in vm["spec"]:
            return machine
        found = host.get("DataVolume", machine.name, ctx.nodes_namespace)
        if found is None or (said := volume.state(found)) is None:
            return machine
        return replace(machine, reason=said[0], message=said[1])

    def tend(self, host: Cluster, ctx: PlanContext) -> list[Callable[[], None]]:
        mine = [o for key, o in ctx.facts.objects.items() if key[1] == ctx.nodes_namespace]
        pools = [pool.name for pool in ctx.pools if not pool.spec.paused]
        if own := control_plane.pool_of(ctx):
            pools.append(own.name)
        return [partial(_create, host, wanted) for wanted in migration.due(mine, pools)]


def _create(host: Cluster, obj: Object) -> None:
    host.create(obj)


def _on_disk(boot: Bootstrap, options: KubeVirtOptions) -> Bootstrap:
    """What is done besides on our own disk; those of others see to it themselves."""
    wanted = ((READ_NETWORK, options.network_data), (GROW, options.root_disk))
    first = [command for command, asked in wanted if asked and options.image is None]
    return replace(boot, commands=(*first, *boot.commands))


def _configure(spec: Object, options: KubeVirtOptions) -> None:
    """Put a pool's options into a VirtualMachine's spec."""
    template = spec["template"]["spec"]
    domain = template["domain"]
    if options.instancetype is None:
        domain["cpu"] = {"cores": options.cpus or CPUS}
        domain["memory"] = {"guest": options.memory or MEMORY}
    for key in ("instancetype", "preference"):
        if chosen := getattr(options, key):
            spec[key] = chosen.model_dump(mode="json")
    if options.dedicated_cpus:
        domain.setdefault("cpu", {})["dedicatedCpuPlacement"] = True
    if options.hugepages:
        domain.setdefault("memory", {})["hugepages"] = {"pageSize": options.hugepages}
    if options.requests:
        requests = options.requests.model_dump(mode="json", exclude_none=True)
        domain["resources"] = {"requests": requests}
    if options.node_selector:
        template["nodeSelector"] = dict(options.node_selector)
    if options.spread == "Required":
        template["topologySpreadConstraints"][0]["whenUnsatisfiable"] = "DoNotSchedule"
    for disk in options.disks:
        name = f"disk-{disk.name}"
        device = {"name": name, "serial": disk.name, "disk": {"bus": "virtio"}}
        domain["devices"]["disks"].append(device)
        template["volumes"].append({"name": name, "emptyDisk": {"capacity": disk.size}})


def _fill(spec: Object, data_volume: Object) -> None:
    """Have a VirtualMachine's root disk on a volume that comes and goes with it."""
    root, *_ = spec["template"]["spec"]["volumes"]
    spec["dataVolumeTemplates"] = [data_volume]
    del root["containerDisk"]
    root["dataVolume"] = {"name": data_volume["metadata"]["name"]}


def _network(spec: Object, secret: str) -> None:
    """Say where a VirtualMachine's network data is."""
    _, seed, *_ = spec["template"]["spec"]["volumes"]
    seed["cloudInitNoCloud"]["networkDataSecretRef"] = {"name": secret}


def unsafe(kubevirt: Object) -> str:
    """The version of an installation that is older than SAFE; empty where it isn't, or says none."""
    version = str(kubevirt.get("status", {}).get("observedKubeVirtVersion", ""))
    found = VERSION.match(version)
    return version if found and tuple(map(int, found.groups())) < SAFE else ""


def kernel_boot(disk: str, *, configured: bool = False) -> Object:
    """How a machine starts from our own disk image: without firmware and boot loader, seconds sooner.

    Whether cloud-init may configure its network is said here: nothing else would keep it from doing so.
    """
    network = () if configured else ("network-config=disabled",)
    container = {
        "image": disk,
        "imagePullPolicy": "IfNotPresent",
        "kernelPath": "/boot/vmlinux",
        "initrdPath": "/boot/initrd",
    }
    return {"container": container, "kernelArgs": " ".join((*kernel.ARGUMENTS, *network))}


def _machine(vm: Object, vmi: Object | None, migrations: Iterable[Object] = ()) -> Machine:
    meta, status = vm["metadata"], vm.get("status", {})
    phase, message = _phase(vm, vmi)
    asked = migration.eviction(vm, vmi, migrations)
    reason, trouble = (None, "") if phase is not Phase.PENDING else _trouble(status)
    return Machine(
        name=meta["name"],
        pool=_labels(vm).get(names.POOL_LABEL, ""),
        phase=phase,
        created=datetime.fromisoformat(meta["creationTimestamp"]),
        uid=meta["uid"],
        instance=vmi["metadata"]["uid"] if vmi else "",
        address=control_plane.address_of(vmi),
        address6=first_ipv6(_interface(vmi).get("ipAddresses") or ()),
        host_node=(vmi or {}).get("status", {}).get("nodeName", ""),
        provider=KubeVirt.name,
        message=message or trouble or asked.message,
        reason=reason,
        evicted=asked.leaves,
        moving=asked.moves or asked.due,
        **marks(vm),
    )


def _phase(vm: Object, vmi: Object | None) -> tuple[Phase, str]:
    """The phase, and why, where that needs saying."""
    if "deletionTimestamp" in vm["metadata"]:
        return Phase.REMOVING, ""
    joined = vm["metadata"].get("annotations", {}).get(names.INSTANCE_ANNOTATION)
    found = vmi["metadata"]["uid"] if vmi else ""
    if joined and found != joined:
        return Phase.ENDED, "the guest it was is gone"
    status = (vmi or {}).get("status", {})
    if status.get("phase") in ("Failed", "Succeeded"):
        return Phase.ENDED, f"the guest ended: {status.get('reason') or status['phase']}"
    if status.get("phase") == "Running":
        return Phase.RUNNING, ""
    return Phase.PENDING, ""


def _trouble(status: Object) -> tuple[Reason | None, str]:
    """What keeps a machine from starting, as KubeVirt says it: its own words where it has any."""
    reason, said = TROUBLES.get(status.get("printableStatus", ""), (None, ""))
    for condition in status.get("conditions") or ():
        found = CONDITIONS.get((condition["type"], condition["status"]))
        words = str(condition.get("message") or condition.get("reason") or "")
        if EXCEEDED in words:
            return Reason.QUOTA_EXCEEDED, words
        if found and words:
            return reason or found, words
    return reason, said


def _interface(vmi: Object | None) -> Mapping[str, Any]:
    """The interface by which the machine is reached."""
    interfaces: list[Mapping[str, Any]] = (vmi or {}).get("status", {}).get("interfaces") or []
    return next((found for found in interfaces if found.get("name") == control_plane.INTERFACE), {})


def _labels(obj: Object) -> Mapping[str, str]:
    labels: Mapping[str, str] = obj["metadata"].get("labels", {})
    return labels
