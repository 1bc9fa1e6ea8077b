"""The one path by which objects are written: only what differs, only what is ours, and nothing left behind."""

import base64
import copy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from kubeception import names
from kubeception.engine.parallel import together
from kubeception.errors import ConflictError
from kubeception.kube.client import Cluster
from kubeception.plan.facts import Key, Object, key_of
from kubeception.plan.quantity import number

WORKLOADS: Final = frozenset({"DaemonSet", "Deployment", "Job", "StatefulSet", "VirtualMachine"})
"""Applied last: their pods want the rest to exist, and come late by a back-off where it doesn't."""

KEPT: Final = frozenset(
    {"CustomResourceDefinition", "Namespace", "PersistentVolumeClaim", "Secret"}
)
"""Never pruned: what holds data or keys, or takes others' objects with it, goes with the whole tenant only."""

QUANTITIES: Final = frozenset(
    {
        "cpu",
        "divisor",
        "ephemeral-storage",
        "memory",
        "requests.memory",
        "requests.storage",
        "sizeLimit",
        "storage",
    }
)
"""Keys whose values an API server writes in its own way: 1 for 1000m."""

SELECTORS: Final = frozenset({"namespaceSelector", "podSelector", "selector"})


@dataclass(frozen=True)
class Target:
    """An API server to write to, and how objects there are known to be ours."""

    cluster: Cluster
    labels: Mapping[str, str]
    """Added to every object."""
    exclusive: bool = True
    """Whether an object without these labels belongs to somebody else, and is not touched."""


def apply(
    target: Target, component: str, wanted: Iterable[Object], live: Mapping[Key, Object]
) -> list[Object]:
    """Make the objects of a component what it wants, and remove those it no longer wants.

    `live` is what exists. Returns all wanted objects as the API server has them. Raises ConflictError
    for an object that is somebody else's, before anything is written.
    """
    manager = f"{names.FIELD_MANAGER}/{component}"
    labels = {**target.labels, names.COMPONENT_LABEL: component}
    prepared = [prepare(obj, labels) for obj in wanted]
    for obj in prepared:
        if target.exclusive:
            _check_owner(obj, live.get(key_of(obj)), target.labels)
    seen: list[Object] = []
    for stage in _stages(prepared):
        changed = [obj for obj in stage if not unchanged(obj, live.get(key_of(obj)))]
        seen += [live[key_of(obj)] for obj in stage if unchanged(obj, live.get(key_of(obj)))]
        seen += _parallel(target, manager, changed, live)
    prune(target.cluster, component, {key_of(obj) for obj in prepared}, live)
    return seen


def prune(
    cluster: Cluster, component: str, wanted: set[Key], live: Mapping[Key, Object]
) -> list[Key]:
    """Delete what was applied for a component and is no longer wanted; the keys of those objects."""
    gone = surplus(component, wanted, live)
    for key in gone:
        kind, namespace, name = key
        if names.FINALIZER in live[key]["metadata"].get("finalizers", ()):
            cluster.patch(kind, name, {"metadata": {"finalizers": []}}, namespace)
        of = cluster.kind_of(live[key])
        cluster.delete(of, name, namespace, uid=live[key]["metadata"]["uid"])
    return gone


def surplus(component: str, wanted: set[Key], live: Mapping[Key, Object]) -> list[Key]:
    """What was applied for a component and is no longer wanted."""
    return [key for key in _applied_for(component, live) if key not in wanted]


def _applied_for(component: str, live: Mapping[Key, Object]) -> Iterator[Key]:
    for key, obj in live.items():
        meta = obj["metadata"]
        if (
            key[0] not in KEPT
            and meta.get("labels", {}).get(names.COMPONENT_LABEL) == component
            and names.APPLIED_ANNOTATION in meta.get("annotations", {})
            and "deletionTimestamp" not in meta
        ):
            yield key


def prepare(obj: Object, labels: Mapping[str, str]) -> Object:
    """The object as it is sent: our labels, `stringData` as `data`, and the hash of all that."""
    result = {**obj, "metadata": copy.deepcopy(obj["metadata"])}
    if texts := result.pop("stringData", None):
        encoded = {
            key: base64.b64encode(str(text).encode()).decode() for key, text in texts.items()
        }
        result["data"] = {**result.get("data", {}), **encoded}
    meta = result["metadata"]
    meta["labels"] = {**meta.get("labels", {}), **labels}
    annotations = meta.setdefault("annotations", {})
    annotations.pop(names.APPLIED_ANNOTATION, None)
    annotations[names.APPLIED_ANNOTATION] = names.digest(
        json.dumps(result, sort_keys=True), length=16
    )
    return result


def unchanged(wanted: Object, live: Object | None) -> bool:
    """Whether applying a prepared object would change nothing: it is what was applied last, and still there."""
    if live is None or "deletionTimestamp" in live["metadata"]:
        return False
    applied = live["metadata"].get("annotations", {}).get(names.APPLIED_ANNOTATION)
    if applied != wanted["metadata"]["annotations"][names.APPLIED_ANNOTATION]:
        return False
    return contains(live, wanted)


def contains(live: Any, wanted: Any) -> bool:
    """Whether `live` says all that `wanted` says; a server adds defaults and leaves out what is empty."""
    if isinstance(wanted, dict):  # not Mapping: this is asked ten thousand times in a pass
        return isinstance(live, dict) and all(
            _says(key, live[key], value) if key in live else not value
            for key, value in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        if not isinstance(live, list | tuple) or len(live) != len(wanted):
            return False
        return all(map(contains, live, wanted))
    return bool(live == wanted)


def _says(key: str, live: Any, wanted: Any) -> bool:
    """`contains` of a field; a selector is compared as a whole, for one that says more selects less."""
    if key in SELECTORS:
        return bool(live == wanted)
    return contains(live, wanted) or (key in QUANTITIES and _same_amount(live, wanted))


def _same_amount(live: Any, wanted: Any) -> bool:
    try:
        return number(str(live)) == number(str(wanted))
    except ValueError:
        return False


def _check_owner(obj: Object, live: Object | None, labels: Mapping[str, str]) -> None:
    """Raise a ConflictError unless it bears these labels, or lost them and was applied by us all the same."""
    if live is None:
        return
    theirs = live["metadata"].get("labels", {})
    applied = names.APPLIED_ANNOTATION in live["metadata"].get("annotations", {})
    if any(theirs.get(key, value if applied else "") != value for key, value in labels.items()):
        kind, namespace, name = key_of(obj)
        where = f"{namespace}/{name}" if namespace else name
        raise ConflictError(
            f"{kind} {where} exists and does not belong to this tenant cluster",
            hint=f"Look at it; delete or rename it if it is yours: kubectl get {kind} {name} -o yaml",
        )


def _stages(objects: Sequence[Object]) -> Iterator[list[Object]]:
    """Namespaces, then all that workloads may need, then those."""
    yield [obj for obj in objects if obj["kind"] == "Namespace"]
    yield [obj for obj in objects if obj["kind"] not in WORKLOADS | {"Namespace"}]
    yield [obj for obj in objects if obj["kind"] in WORKLOADS]


def _parallel(
    target: Target, manager: str, objects: Sequence[Object], live: Mapping[Key, Object]
) -> list[Object]:
    """Write independent objects at the same time; the first error is raised after all were tried.

    Inside a tenant no Secret holds what exists only there: one that lost its labels is written over.
    """

    def write(obj: Object) -> Object:
        if not target.exclusive:
            return target.cluster.apply(obj, manager=manager)
        return write_one(target.cluster, manager, obj, live.get(key_of(obj)))

    return together([partial(write, obj) for obj in objects])


def write_one(cluster: Cluster, manager: str, obj: Object, live: Object | None) -> Object:
    """Apply one prepared object.

    A Secret is only created where there is none, and only changed as it was read: whoever loses that
    race gets a ConflictError and finds the winner's keys at the next look, instead of replacing them.
    """
    if obj["kind"] != "Secret":
        return cluster.apply(obj, manager=manager)
    if live is None:
        return cluster.create(obj, manager=manager)
    meta = {**obj["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}
    return cluster.apply({**obj, "metadata": meta}, manager=manager)
