from typing import Any

import pytest

from kubeception import names
from kubeception.providers import migration
from kubeception.providers.base import Machine, Phase
from kubeception.providers.kubevirt import KubeVirt
from tests.unit.providers.test_kubevirt import JOINED, vm, vmi

MIGRATABLE = {"type": "LiveMigratable", "status": "True"}
NOT_SHARED = {
    "type": "LiveMigratable",
    "status": "False",
    "reason": "DisksNotLiveMigratable",
    "message": "cannot migrate VMI: PVC demo-1 is not shared",
}
MOVES = {**JOINED, names.EVICTION_ANNOTATION: "LiveMigrate"}


def emptied(condition: dict[str, str] | None = MIGRATABLE, **status: Any) -> dict[str, Any]:
    said = [condition] if condition else []
    return vmi("Running", **{"evacuationNodeName": "host-1", "conditions": said, **status})


def move(phase: str, *, ours: bool = True, **status: Any) -> dict[str, Any]:
    labels = {names.MACHINE_LABEL: "demo-1"} if ours else {}
    return {
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {"name": "demo-1-x7k2p", "labels": labels},
        "spec": {"vmiName": "demo-1"},
        "status": {"phase": phase, **status},
    }


def found(*objects: dict[str, Any]) -> Machine:
    (machine,) = KubeVirt().machines(objects)
    assert machine.phase is Phase.RUNNING
    return machine


@pytest.mark.parametrize(
    ("objects", "evicted", "moving"),
    [
        ([vm(annotations=MOVES), vmi("Running", conditions=[MIGRATABLE])], False, False),
        ([vm(annotations=JOINED), emptied()], True, False),
        ([vm(annotations=MOVES), emptied()], False, True),
        ([vm(annotations=MOVES), emptied(NOT_SHARED)], True, False),
        ([vm(annotations=MOVES), emptied(None)], True, False),
        ([vm(annotations=MOVES), emptied(), move("Running")], False, True),
        ([vm(annotations=MOVES), emptied(NOT_SHARED), move("Running")], False, True),
        ([vm(annotations=MOVES), emptied(), move("Failed")], True, False),
        ([vm(annotations=MOVES), emptied(), move("Failed", ours=False)], False, True),
        ([vm(annotations=MOVES), emptied(), move("Succeeded")], False, True),
        # it was moved, and nobody has taken back yet that its old host node is emptied
        ([vm(annotations=MOVES), emptied(nodeName="host-2"), move("Succeeded")], False, False),
        # somebody else moves it, for a newer KubeVirt for instance
        ([vm(annotations=JOINED), vmi("Running"), move("Running", ours=False)], False, True),
        ([vm(annotations=JOINED), vmi("Running"), move("Succeeded", ours=False)], False, False),
        (
            [
                vm(annotations={**MOVES, names.DRAINING_ANNOTATION: "2026-01-02T03:04:05Z"}),
                emptied(),
            ],
            True,
            False,
        ),
    ],
)
def test_who_moves_and_who_is_drained(
    objects: list[dict[str, Any]], *, evicted: bool, moving: bool
) -> None:
    machine = found(*objects)
    assert (machine.evicted, machine.moving) == (evicted, moving)


def test_why_a_machine_goes_that_was_to_move_is_said() -> None:
    stays = found(vm(annotations=MOVES), emptied(NOT_SHARED))
    assert stays.message == "it can't be migrated: cannot migrate VMI: PVC demo-1 is not shared"
    reason = {"failureReason": "no host node has room"}
    failed = found(vm(annotations=MOVES), emptied(), move("Failed", migrationState=reason))
    assert failed.message == "its migration failed: no host node has room"
    assert found(vm(annotations=JOINED), emptied()).message == ""


def test_a_migration_is_asked_for_once_and_goes_with_its_machine() -> None:
    machine = vm(annotations=MOVES, metadata={"namespace": "nodes"})
    objects = [machine, emptied()]
    (wanted,) = migration.due(objects, ["demo"])
    assert wanted == {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {
            "generateName": "demo-1-",
            "namespace": "nodes",
            "labels": {names.MACHINE_LABEL: "demo-1", names.POOL_LABEL: "demo"},
            "ownerReferences": [
                {
                    "apiVersion": "kubevirt.io/v1",
                    "kind": "VirtualMachine",
                    "name": "demo-1",
                    "uid": "vm-uid",
                }
            ],
        },
        "spec": {"vmiName": "demo-1"},
    }
    assert migration.due(objects, ["other"]) == []
    assert migration.due([*objects, move("Pending")], ["demo"]) == []
    assert migration.due([machine, emptied(NOT_SHARED)], ["demo"]) == []
    assert migration.due([machine, vmi("Running", conditions=[MIGRATABLE])], ["demo"]) == []


def test_after_a_migration_it_is_the_same_machine_elsewhere() -> None:
    interfaces = [{"name": "default", "ipAddress": "10.244.3.4"}]
    moved = vmi("Running", nodeName="host-2", interfaces=interfaces, conditions=[MIGRATABLE])
    machine = found(vm(annotations=MOVES), moved, move("Succeeded"))
    assert (machine.instance, machine.joined_instance) == ("life-1", "life-1")
    assert (machine.address, machine.host_node) == ("10.244.3.4", "host-2")
