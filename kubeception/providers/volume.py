"""The root disk of a virtual machine on a volume that CDI fills from an image, and how far that is. Pure."""

from collections.abc import Mapping
from typing import Final

from kubeception.api.reasons import Reason
from kubeception.api.v1alpha1 import NodePool, RootDisk
from kubeception.errors import KubeceptionError, SpecError
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object
from kubeception.plan.quantity import octets

NODE_DISK: Final = 12 << 30
"""Octets of the disk in our own image, which no smaller volume holds."""

TROUBLES: Final[Mapping[str, Reason]] = {
    "ErrClaimNotValid": Reason.VOLUME_PENDING,
    "ErrExceededQuota": Reason.QUOTA_EXCEEDED,
    "Error": Reason.VOLUME_PENDING,
    "ImagePullFailed": Reason.IMAGE_NOT_PULLED,
}
"""By the reason of a DataVolume's condition that is not True, those that pass by no waiting."""


def check(ctx: PlanContext, pool: NodePool) -> None:
    """Raise KubeceptionError where no machine of this pool can have the root disk that it is to have."""
    options = pool.spec.kubevirt
    disk = options.root_disk if options else None
    if options is None or disk is None:
        return
    if options.image is None and octets(disk.size) < NODE_DISK:
        problem = f"spec.kubevirt.rootDisk.size: {disk.size}: the image's own disk has 12Gi"
        raise SpecError([problem], what=f"NodePool {pool.name}")
    if not ctx.root_class(disk):
        problem = "spec.kubevirt.rootDisk.storageClassName: is missing, and the host has no default StorageClass"
        raise SpecError([problem], what=f"NodePool {pool.name}")
    if not ctx.facts.host.data_volumes:
        raise KubeceptionError(
            f"NodePool {pool.name}: spec.kubevirt.rootDisk: the host has no CDI, which fills volumes from images",
            hint="Install it (https://kubevirt.io/user-guide/storage/containerized_data_importer), "
            "or leave rootDisk out: machines then keep their disk on their host node.",
        )


def template(ctx: PlanContext, machine: str, image: str, disk: RootDisk) -> Object:
    """The DataVolume of a machine, of the machine's name.

    The node's container runtime pulls the image, as it does where the disk is no volume: with its mirrors, its
    credentials and what it has already. CDI's own client knows neither.
    """
    storage: Object = {
        "resources": {"requests": {"storage": disk.size}},
        "storageClassName": ctx.root_class(disk),
    }
    if disk.access_mode:
        storage["accessModes"] = [disk.access_mode]
    if disk.volume_mode:
        storage["volumeMode"] = disk.volume_mode
    registry = {"url": f"docker://{image}", "pullMethod": "node"}
    return {
        "metadata": {"name": machine},
        "spec": {"source": {"registry": registry}, "storage": storage},
    }


def state(volume: Object) -> tuple[Reason, str] | None:
    """How far a DataVolume is, and why no further; None when it is done."""
    status = volume.get("status") or {}
    phase = status.get("phase") or "Pending"
    if phase == "Succeeded":
        return None
    conditions = [c for c in status.get("conditions") or () if c["status"] != "True"]
    for condition in conditions:
        if reason := TROUBLES.get(condition.get("reason", "")):
            return reason, f"its disk: {condition.get('message') or condition['reason']}"
    if phase == "Failed":
        return Reason.VOLUME_PENDING, "its disk can't be filled"
    bound = next((c for c in conditions if c["type"] == "Bound" and c.get("message")), None)
    why = f": {bound['message']}" if bound and phase == "Pending" else ""
    return Reason.IN_PROGRESS, f"its disk is {phase}{why}"
