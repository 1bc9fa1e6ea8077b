"""The ways out of a virtual machine that KubeVirt offers, and a NodePool's author who wants one of them."""

import copy
from collections.abc import Iterator
from typing import Any, Final

import pytest

from kubeception.kube.client import Cluster, Object
from tests.integration.test_kubevirt_schema import faults, schema
from tests.integration.test_machines import World

TEMPLATE: Final = ("spec", "template", "spec")
WAYS: Final[dict[str, tuple[str, Any]]] = {
    "hostDisk": ("volumes", [{"name": "x", "hostDisk": {"path": "/disk.img", "type": "Disk"}}]),
    "serviceAccount": ("volumes", [{"name": "x", "serviceAccount": {"serviceAccountName": "x"}}]),
    "secret": ("volumes", [{"name": "x", "secret": {"secretName": "another"}}]),
    "persistentVolumeClaim": (
        "volumes",
        [{"name": "x", "persistentVolumeClaim": {"claimName": "another"}}],
    ),
    "downwardMetrics": ("volumes", [{"name": "x", "downwardMetrics": {}}]),
    "hostDevices": (
        "domain.devices.hostDevices",
        [{"name": "x", "deviceName": "example.com/disk"}],
    ),
    "gpus": ("domain.devices.gpus", [{"name": "x", "deviceName": "example.com/gpu"}]),
    "filesystems": ("domain.devices.filesystems", [{"name": "x", "virtiofs": {}}]),
    "lun": ("domain.devices.disks", [{"name": "x", "lun": {"reservation": True}}]),
    "clientPassthrough": ("domain.devices.clientPassthrough", {}),
    "sriov": ("domain.devices.interfaces", [{"name": "x", "sriov": {}}]),
    "bridge": ("domain.devices.interfaces", [{"name": "x", "bridge": {}}]),
    "multus": ("networks", [{"name": "x", "multus": {"networkName": "kube-system/any"}}]),
    "accessCredentials": (
        "accessCredentials",
        [
            {
                "userPassword": {
                    "source": {"secret": {"secretName": "another"}},
                    "propagationMethod": {"qemuGuestAgent": {}},
                }
            }
        ],
    ),
    "tolerations": ("tolerations", [{"operator": "Exists"}]),
}
"""By the field that nothing else has: where in a machine's spec it stands, and a value of it."""


def set_in(place: Object, path: str, value: Any) -> Object:
    """A field set, or a list made longer, on the way made where there is none."""
    *parents, last = path.split(".")
    for step in parents:
        place = place.setdefault(step, {})
    place[last] = [*place.get(last, ()), *value] if isinstance(value, list) else value
    return place


def fields(value: Any) -> Iterator[str]:
    """The names of all fields, at any depth."""
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from fields(inner)


def machine(world: World) -> Object:
    """The one virtual machine there is, as the host has it."""
    (name,) = world.vms()
    found = world.host.get("VirtualMachine", name, world.namespace)
    assert found
    return found


@pytest.fixture
def world(virtual_host: Cluster, tenant: Cluster) -> World:
    return World(virtual_host, tenant)


@pytest.mark.attack("A14", control="within")
@pytest.mark.parametrize("way", WAYS)
def test_a_pools_author_brings_no_way_out_of_the_machine(world: World, way: str) -> None:
    """Under whatever name it is written, also by who has no client that would refuse it."""
    path, value = WAYS[way]
    asked: Object = {}
    set_in(asked, path, value)
    spec = {**asked, "template": {"spec": copy.deepcopy(asked)}, "kubevirt": copy.deepcopy(asked)}
    world.scale(0)
    world.host.patch("NodePool", world.pool, {"spec": {**spec, "replicas": 1}}, "default")
    world.step(2)
    made = machine(world)
    assert way not in {*fields(made["spec"])}

    # Without the model in between: KubeVirt knows the field, and the host takes it.
    body = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine"}
    meta = {"name": "brought", "namespace": world.namespace}
    brought = {**body, "metadata": meta, "spec": copy.deepcopy(made["spec"])}
    place = brought
    for step in TEMPLATE:
        place = place[step]
    set_in(place, path, value)
    assert list(faults(brought, schema("VirtualMachine handles the VirtualMachines"))) == []
    world.host.apply(brought, manager="author")
    stored = world.host.get("VirtualMachine", "brought", world.namespace)
    assert stored
    assert way in {*fields(stored["spec"])}
    world.host.delete("VirtualMachine", "brought", world.namespace)
