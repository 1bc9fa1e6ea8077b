"""A TenantCluster's and its pools' status, as a report says it: derived anew each time, written where it differs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from kubeception.api.reasons import TROUBLES, Reason
from kubeception.api.status import Phase
from kubeception.api.v1alpha1 import NodePool, TenantCluster
from kubeception.components.base import Readiness, State
from kubeception.engine.probe import CONDITION as POLICIES
from kubeception.engine.report import FAILED, Report
from kubeception.errors import ApiError, BudgetError, ConflictError, KubeceptionError, SpecError
from kubeception.plan.context import PlanContext

Status = Mapping[str, Any]

WORDS: Final = {State.READY: "True", State.UNKNOWN: "Unknown"}
"""`status` of a condition; of all other states False."""
MESSAGE_LIMIT: Final = 1000
"""Characters of a message: what a cluster says may be long, and is repeated in each list."""


def clip(text: str) -> str:
    """A text as it was found, cut to what a status or an event may hold."""
    return text if len(text) <= MESSAGE_LIMIT else f"{text[: MESSAGE_LIMIT - 1]}…"


def cluster_status(ctx: PlanContext, report: Report) -> dict[str, Any]:
    """`status` of the TenantCluster."""
    cluster, now = ctx.cluster, ctx.facts.now
    ready = _ready(report)
    phase = Phase.READY if ready.ok else Phase.FAILED if report.failures else Phase.PROGRESSING
    parts = {
        "Ready": ready,
        "DatastoreReady": report.datastore,
        "APIServerReady": report.api_server,
        "EncryptionReady": report.encryption,
        "AddonsReady": report.addons,
        "NodesReady": report.nodes,
        "Paused": Readiness.waiting("", Reason.NOT_PAUSED),
    }
    kept = [c for c in cluster.status.get("conditions") or () if c["type"] == POLICIES]
    if report.policies and not (kept and report.policies.state is State.UNKNOWN):
        parts, kept = {**parts, POLICIES: report.policies}, []
    return {
        "observedGeneration": cluster.metadata.generation,
        "phase": str(phase),
        "lastOperation": _operation(
            cluster.status, _did(_kind(cluster, ready), report, ready.message), now
        ),
        "version": ctx.spec.version,
        "endpoint": report.endpoint,
        "controlPlaneNamespace": ctx.namespace,
        "nodesNamespace": ctx.nodes_namespace,
        **_ranges(ctx),
        "nodes": report.nodes_wanted,
        "readyNodes": report.nodes_ready,
        **({} if report.clusters is None else {"clusters": report.clusters}),
        "conditions": [
            *conditions(cluster.status, parts, cluster.metadata.generation, now),
            *kept,  # what was seen counts until somebody sees otherwise
        ],
    }


def pool_status(ctx: PlanContext, pool: NodePool, report: Report) -> dict[str, Any]:
    """`status` of a NodePool."""
    mine = report.of_pool(pool.name)
    generation = pool.metadata.generation
    paused = Readiness.waiting("", Reason.NOT_PAUSED)
    if pool.spec.paused:
        paused = Readiness.ready("spec.paused is true", Reason.PAUSED)
    parts = {
        "Ready": report.nodes_of(pool.name, pool.spec.replicas),
        "UpToDate": report.updated_of(pool.name),
        "Healthy": report.healthy_of(pool.name),
        "Paused": paused,
    }
    return {
        "observedGeneration": generation,
        "version": ctx.version_of(pool),
        "replicas": len(mine),
        "readyReplicas": sum(state.ready for state in mine),
        "updatedReplicas": sum(state.updated for state in mine),
        "unhealthyReplicas": sum(state.state in FAILED for state in mine),
        "conditions": conditions(pool.status, parts, generation, ctx.facts.now),
    }


def paused_status(cluster: TenantCluster, now: datetime) -> dict[str, Any]:
    """`status` of a TenantCluster that is left alone: as it was, but for the pause itself."""
    why = "spec.paused is true" if cluster.spec.paused else "its annotation says so"
    paused = Readiness.ready(f"{why}: nothing is changed or removed", Reason.PAUSED)
    generation = cluster.metadata.generation
    others = [c for c in cluster.status.get("conditions") or () if c["type"] != "Paused"]
    made = conditions(cluster.status, {"Paused": paused}, generation, now)
    return {
        "observedGeneration": generation,
        "phase": str(Phase.PAUSED),
        "conditions": [*others, *made],
    }


def deleting_status(
    cluster: TenantCluster, report: Report, forced: Sequence[str], now: datetime
) -> dict[str, Any]:
    """`status` of a TenantCluster that is being removed, with what lost its finalizers for that."""
    old, generation = cluster.status, cluster.metadata.generation
    parts = {"Ready": Readiness.waiting(report.waits_for, Reason.DELETING)}
    known = {c["type"]: c for c in old.get("conditions") or ()}.get("ForcedDeletion", {})
    before = str(known.get("message") or "").split("; ") if known else []
    if all_forced := list(dict.fromkeys([*before, *forced])):
        parts["ForcedDeletion"] = Readiness.ready("; ".join(all_forced), Reason.FINALIZERS_CLEARED)
    operation = _operation(old, _did("Delete", report, report.waits_for), now)
    return {
        "observedGeneration": generation,
        "phase": str(Phase.DELETING),
        "lastOperation": operation,
        "conditions": conditions(old, parts, generation, now),
    }


def refused_status(
    cluster: TenantCluster, error: KubeceptionError, now: datetime
) -> dict[str, Any]:
    """`status` of a TenantCluster that can't be read or planned."""
    report = Report(cluster, failures=[error])
    ready = _ready(report)
    kind = _kind(cluster, ready)
    return {
        "observedGeneration": cluster.metadata.generation,
        "phase": str(Phase.FAILED),
        "lastOperation": _operation(cluster.status, _did(kind, report, ready.message), now),
        "conditions": conditions(
            cluster.status, {"Ready": ready}, cluster.metadata.generation, now
        ),
    }


def conditions(
    old: Status, parts: Mapping[str, Readiness], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """The conditions; each keeps its time as long as its status stays."""
    before = {c["type"]: c for c in old.get("conditions") or ()}
    result = []
    for name, readiness in parts.items():
        status = WORDS.get(readiness.state, "False")
        known = before.get(name, {})
        since = known.get("lastTransitionTime") if known.get("status") == status else None
        result.append(
            {
                "type": name,
                "status": status,
                "reason": str(readiness.reason),
                "message": clip(readiness.message),
                "observedGeneration": generation,
                "lastTransitionTime": since or time(now),
            }
        )
    return result


def time(moment: datetime) -> str:
    """A moment as the API has it: RFC 3339, UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _ready(report: Report) -> Readiness:
    if report.failures:
        first = report.failures[0]
        return Readiness.failed(first.message, reason_of(first))
    if report.ready:
        return Readiness.ready(f"{report.nodes.message}, API server at {report.endpoint}")
    cause = report.waiting[1].reason if report.waiting else Reason.WAITING
    return Readiness.waiting(report.waits_for, cause if cause in TROUBLES else Reason.IN_PROGRESS)


def reason_of(error: KubeceptionError) -> Reason:
    """What a condition says of an error that no repetition mends."""
    for kind, reason in (
        (BudgetError, Reason.BUDGET_EXCEEDED),
        (SpecError, Reason.SPEC_REFUSED),
        (ConflictError, Reason.CONFLICT),
        (ApiError, Reason.REQUEST_REFUSED),
    ):
        if isinstance(error, kind):
            return reason
    return Reason.FAILED


def _ranges(ctx: PlanContext) -> dict[str, str]:
    try:
        network = ctx.network
    except KubeceptionError:  # it is among the failures
        return {}
    found = {"podCIDR": network.pod_cidr, "serviceCIDR": network.service_cidr}
    if network.dual:
        found |= {"podCIDRv6": network.pod_cidr6, "serviceCIDRv6": network.service_cidr6}
    return found


def _kind(cluster: TenantCluster, ready: Readiness) -> str:
    """Create until it was ready once, and as long as nothing has changed since."""
    old = cluster.status.get("lastOperation") or {}
    known = cluster.status.get("observedGeneration", 0)
    if old and old.get("type") != "Create":
        return "Reconcile"
    succeeded = old.get("state") == "Succeeded"
    same = ready.ok and known == cluster.metadata.generation
    return "Reconcile" if succeeded and not same else "Create"


def _operation(old: Status, wanted: dict[str, Any], now: datetime) -> dict[str, Any]:
    """`lastOperation`; its time stays as long as all else of it does."""
    done = {**wanted, "description": clip(wanted["description"])}
    known = dict(old.get("lastOperation") or {})
    since = known.pop("lastUpdateTime", None)
    return {**done, "lastUpdateTime": since if since and known == done else time(now)}


def _did(kind: str, report: Report, description: str) -> dict[str, Any]:
    state = "Error" if report.failures else "Succeeded" if report.ready else "Processing"
    return {"type": kind, "state": state, "progress": report.progress, "description": description}
