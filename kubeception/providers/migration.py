"""Virtual machines whose host node is emptied: which ones move as they run, and which are drained and go. Pure.

KubeVirt only notes that a host node is to be emptied (`evictionStrategy: External`); whether the machine can move is
known then and not before, and one that can't must be drained in its cluster, which KubeVirt can't do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from kubeception import names
from kubeception.kube.conditions import condition
from kubeception.plan.facts import Object

KIND: Final = "VirtualMachineInstanceMigration"
LIVE: Final = "LiveMigrate"
"""Value of the annotation of a machine that is to move."""
ENDED: Final = ("Failed", "Succeeded")


@dataclass(frozen=True)
class Eviction:
    """What becomes of a machine where its host node is to be emptied."""

    leaves: bool = False
    """Whether its node is to be drained, and the machine to go."""
    moves: bool = False
    """Whether it is moved, whoever wanted it."""
    due: bool = False
    """Whether it is to be moved, and nobody was told yet."""
    message: str = ""
    """Why it goes although it was to move."""


def eviction(vm: Object, vmi: Object | None, migrations: Iterable[Object]) -> Eviction:
    """The same, of a machine with this instance and these migrations of it."""
    status, marks = (vmi or {}).get("status", {}), vm["metadata"].get("annotations") or {}
    known = list(migrations)
    moves = any(_phase(each) not in ENDED for each in known)
    emptied = status.get("evacuationNodeName")
    if not emptied or emptied != status.get("nodeName", emptied):
        return Eviction(moves=moves)
    if marks.get(names.EVICTION_ANNOTATION) != LIVE or names.DRAINING_ANNOTATION in marks:
        return Eviction(leaves=True)
    if moves:
        return Eviction(moves=True)
    if failed := [each for each in known if _phase(each) == "Failed" and _is_ours(each)]:
        said = (failed[-1]["status"].get("migrationState") or {}).get("failureReason")
        return Eviction(leaves=True, message=f"its migration failed{f': {said}' if said else ''}")
    migratable = condition(vmi or {}, "LiveMigratable")
    if status.get("phase") == "Running" and migratable.get("status") == "True":
        return Eviction(due=True)
    said = migratable.get("message") or migratable.get("reason") or "KubeVirt says no more"
    return Eviction(leaves=True, message=f"it can't be migrated: {said}")


def by_machine(objects: Iterable[Object]) -> dict[str, list[Object]]:
    """The migrations among these objects, by the name of their machine."""
    found: dict[str, list[Object]] = {}
    for obj in objects:
        if obj["kind"] == KIND:
            found.setdefault(obj["spec"].get("vmiName", ""), []).append(obj)
    return found


def due(objects: Sequence[Object], pools: Iterable[str]) -> list[Object]:
    """The migrations to ask for, of the machines of these pools."""
    instances = {o["metadata"]["name"]: o for o in objects if o["kind"] == "VirtualMachineInstance"}
    moves, chosen = by_machine(objects), set(pools)
    return [
        _migration(vm)
        for vm in objects
        if vm["kind"] == "VirtualMachine"
        and vm["metadata"].get("labels", {}).get(names.POOL_LABEL) in chosen
        and "deletionTimestamp" not in vm["metadata"]
        and eviction(vm, instances.get(name := vm["metadata"]["name"]), moves.get(name, ())).due
    ]


def _migration(vm: Object) -> Object:
    """A migration that goes with its machine."""
    meta = vm["metadata"]
    labels = (names.CLUSTER_LABEL, names.MACHINE_LABEL, names.POOL_LABEL)
    owner = {"apiVersion": "kubevirt.io/v1", "kind": vm["kind"]}
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": KIND,
        "metadata": {
            "generateName": f"{meta['name']}-",
            "namespace": meta["namespace"],
            "labels": {key: meta["labels"][key] for key in labels if key in meta["labels"]},
            "ownerReferences": [{**owner, "name": meta["name"], "uid": meta["uid"]}],
        },
        "spec": {"vmiName": meta["name"]},
    }


def _phase(migration: Object) -> str:
    return str((migration.get("status") or {}).get("phase") or "Pending")


def _is_ours(migration: Object) -> bool:
    return names.MACHINE_LABEL in migration["metadata"].get("labels", {})
