"""Status as it is written, and Events of what is different in it: told once, when it becomes so."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from kubeception import names
from kubeception.api.reasons import TROUBLES, Reason
from kubeception.api.v1alpha1 import NodePool, TenantCluster
from kubeception.engine.apply import contains
from kubeception.engine.news import NORMAL, WARNING, News
from kubeception.engine.probe import CONDITION as POLICIES
from kubeception.engine.status import clip, time
from kubeception.errors import ConflictError, KubeceptionError, StoppedError
from kubeception.kube.client import Cluster
from kubeception.plan.facts import Object

Status = Mapping[str, Any]
Resource = TenantCluster | NodePool


def publish(host: Cluster, resource: Resource, status: Status, now: datetime) -> None:
    """Write a status where it differs from what is written there, and tell what changed with it."""
    if contains(resource.status, status):
        return
    meta, patch = resource.metadata, {"status": status}
    host.patch(resource.kind, meta.name, patch, meta.namespace, subresource="status")
    emit(host, resource, list(transitions(resource.status, status)), now)


def emit(host: Cluster, resource: Resource, events: Sequence[News], now: datetime) -> None:
    """Tell events about an object of ours; one that was told before is counted. What can't be told is left."""
    tell(host, _reference(resource), events, now)


def leave(host: Cluster, resource: Resource, event: News, now: datetime) -> None:
    """The same of one event without which what it tells of may not be done.

    Raises ApiError where it can't be told.
    """
    _emit(host, _reference(resource), event, now)


def tell(cluster: Cluster, about: Object, events: Sequence[News], now: datetime) -> None:
    """The same of any object, given a reference to it."""
    for event in events:
        try:
            _emit(cluster, about, event, now)
        except StoppedError:
            raise
        except KubeceptionError:
            return


def transitions(old: Status, new: Status) -> Iterator[News]:
    """What became different between two states of a TenantCluster or a NodePool."""
    before, after = _conditions(old), _conditions(new)
    ready, was_ready = after.get("Ready", {}), before.get("Ready", {})
    yield from _operation(old, new)
    if ready.get("status") != was_ready.get("status") and was_ready:
        yield from _readiness(old, new, ready)
    known = {condition["reason"] for condition in before.values()}
    told: set[str] = set()
    for condition in after.values():
        reason = condition["reason"]
        if reason in TROUBLES and reason not in known | told and condition["type"] in TOLD:
            told.add(reason)
            yield News(WARNING, reason, condition["message"])
    paused, was_paused = (c.get("Paused", {}).get("status") == "True" for c in (after, before))
    if paused != was_paused:
        yield News(
            NORMAL, "Paused" if paused else "Resumed", after.get("Paused", {}).get("message", "")
        )
    forced = after.get("ForcedDeletion", {}).get("message", "")
    if forced != before.get("ForcedDeletion", {}).get("message", ""):
        yield News(WARNING, Reason.FINALIZERS_CLEARED, forced)


TOLD: Final = (
    "Ready",
    "DatastoreReady",
    "APIServerReady",
    "EncryptionReady",
    "AddonsReady",
    "NodesReady",
    POLICIES,
)
"""Conditions whose reasons are told when a person must act."""


def _operation(old: Status, new: Status) -> Iterator[News]:
    before, after = ((s.get("lastOperation") or {}) for s in (old, new))
    was, now = ((o.get("type"), o.get("state")) for o in (before, after))
    if was == now:
        return
    if now[0] == "Create" and not before:
        space = new.get("controlPlaneNamespace", "")
        yield News(NORMAL, "Creating", f"control plane in namespace {space}" if space else "")
    if now == ("Create", "Succeeded"):
        yield News(NORMAL, "Created", after["description"])
    if now[0] == "Delete" and was[0] != "Delete":
        yield News(NORMAL, "Deleting", after["description"])


def _readiness(old: Status, new: Status, ready: Status) -> Iterator[News]:
    """Ready became true, or ceased to be; the first time is told as Created."""
    if new.get("phase") in ("Deleting", "Paused"):
        return
    if ready["status"] == "True":
        if (new.get("lastOperation") or {}).get("type") != "Create":
            yield News(NORMAL, "Ready", ready["message"])
    elif ready["reason"] not in TROUBLES:
        asked = ("observedGeneration", "nodes")
        changed = any(old.get(key) != new.get(key) for key in asked)
        yield News(
            NORMAL if changed else WARNING, "Updating" if changed else "Degraded", ready["message"]
        )


def _conditions(status: Status) -> dict[str, Any]:
    return {condition["type"]: condition for condition in status.get("conditions") or ()}


def _reference(resource: Resource) -> Object:
    meta = resource.metadata
    return {
        "apiVersion": names.API_VERSION,
        "kind": resource.kind,
        "namespace": meta.namespace,
        "name": meta.name,
        "uid": meta.uid,
    }


def _emit(cluster: Cluster, about: Object, event: News, now: datetime) -> None:
    message, namespace = clip(event.message), about["namespace"]
    unique = names.digest(about["uid"], event.type, event.reason, message, length=16)
    name, moment = f"{about['name']}.{unique}", time(now)
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": about,
        "type": event.type,
        "reason": event.reason,
        "message": message,
        "source": {"component": names.FIELD_MANAGER},
        "reportingComponent": names.FIELD_MANAGER,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
    try:
        cluster.create(body)
    except ConflictError:
        known = cluster.get("Event", name, namespace) or {}
        again = {"lastTimestamp": moment, "count": known.get("count", 0) + 1}
        cluster.patch("Event", name, again, namespace)
