from dataclasses import replace
from typing import Any

import pytest

from kubeception.api.reasons import Reason
from kubeception.api.v1alpha1 import RootDisk
from kubeception.errors import KubeceptionError, SpecError
from kubeception.lab import disk
from kubeception.providers import provider, volume
from tests.plans import plan, pool


def with_disk(**root: Any) -> Any:
    return pool(1, kubevirt={"rootDisk": {"size": "20Gi", **root}})


def test_a_volume_is_filled_by_what_pulls_images_on_the_node() -> None:
    assert volume.template(plan(), "m-1", "registry.example/disk:1", RootDisk(size="20Gi")) == {
        "metadata": {"name": "m-1"},
        "spec": {
            "source": {
                "registry": {"url": "docker://registry.example/disk:1", "pullMethod": "node"}
            },
            "storage": {
                "resources": {"requests": {"storage": "20Gi"}},
                "storageClassName": "standard",
            },
        },
    }


def test_what_is_said_of_a_volume_goes_to_cdi() -> None:
    root = RootDisk(
        size="20Gi",
        storage_class_name="fast",
        access_mode="ReadWriteMany",
        volume_mode="Block",
    )
    storage = volume.template(plan(), "m-1", "i", root)["spec"]["storage"]
    assert storage["storageClassName"] == "fast"
    assert storage["accessModes"] == ["ReadWriteMany"]
    assert storage["volumeMode"] == "Block"


def test_a_host_without_cdi_is_told_what_to_install() -> None:
    ctx = plan()
    host = replace(ctx.facts.host, data_volumes=False)
    without = plan(facts=replace(ctx.facts, host=host))
    kubevirt = provider("kubevirt")
    kubevirt.check(without, pool(1))
    kubevirt.check(without, pool(1, kubevirt={}))
    kubevirt.check(ctx, with_disk())
    with pytest.raises(KubeceptionError, match="the host has no CDI") as caught:
        kubevirt.check(without, with_disk())
    assert "NodePool demo" in caught.value.message
    assert "Install it" in caught.value.hint


def test_a_host_without_a_default_class_has_one_named() -> None:
    ctx = plan()
    host = replace(ctx.facts.host, default_storage_class="")
    without = plan(facts=replace(ctx.facts, host=host))
    volume.check(without, with_disk(storageClassName="fast"))
    with pytest.raises(SpecError, match="the host has no default StorageClass"):
        volume.check(without, with_disk())


def test_a_volume_holds_the_disk_of_our_image() -> None:
    assert volume.NODE_DISK == disk.SIZE
    volume.check(plan(), with_disk(size="12Gi"))
    with pytest.raises(SpecError, match=r"spec\.kubevirt\.rootDisk\.size: 12G"):
        volume.check(plan(), with_disk(size="12G"))
    small = pool(1, kubevirt={"rootDisk": {"size": "1Gi"}, "image": "example.org/disk:1"})
    volume.check(plan(), small)


def data_volume(phase: str, *conditions: tuple[str, str, str, str]) -> dict[str, Any]:
    keys = ("type", "status", "reason", "message")
    said = [dict(zip(keys, condition, strict=True)) for condition in conditions]
    return {"kind": "DataVolume", "status": {"phase": phase, "conditions": said}}


READY = ("Ready", "False", "TransferRunning", "")


@pytest.mark.parametrize(
    ("found", "reason", "message"),
    [
        ({"kind": "DataVolume"}, Reason.IN_PROGRESS, "its disk is Pending"),
        (
            data_volume("Pending", ("Bound", "False", "Pending", "PVC m-1 Pending"), READY),
            Reason.IN_PROGRESS,
            "its disk is Pending: PVC m-1 Pending",
        ),
        (
            data_volume("WaitForFirstConsumer", ("Bound", "False", "Pending", "PVC m-1 Pending")),
            Reason.IN_PROGRESS,
            "its disk is WaitForFirstConsumer",
        ),
        (
            data_volume(
                "ImportInProgress",
                ("Bound", "True", "Bound", "PVC m-1 Bound"),
                ("Running", "True", "Pod is running", ""),
                READY,
            ),
            Reason.IN_PROGRESS,
            "its disk is ImportInProgress",
        ),
        (
            data_volume("Pending", ("Bound", "Unknown", "ErrExceededQuota", "exceeded quota: q")),
            Reason.QUOTA_EXCEEDED,
            "its disk: exceeded quota: q",
        ),
        (
            data_volume(
                "ImportInProgress",
                ("Running", "False", "ImagePullFailed", "manifest unknown"),
            ),
            Reason.IMAGE_NOT_PULLED,
            "its disk: manifest unknown",
        ),
        (
            data_volume(
                "ImportInProgress",
                ("Running", "False", "Error", "virtual image size 12884901888 is larger"),
            ),
            Reason.VOLUME_PENDING,
            "its disk: virtual image size 12884901888 is larger",
        ),
        (data_volume("Failed"), Reason.VOLUME_PENDING, "its disk can't be filled"),
    ],
)
def test_how_far_a_disk_is(found: dict[str, Any], reason: Reason, message: str) -> None:
    assert volume.state(found) == (reason, message)


def test_of_a_disk_that_is_done_nothing_is_said() -> None:
    done = data_volume("Succeeded", ("Running", "False", "Completed", "Import Complete"))
    assert volume.state(done) is None
