"""A TenantCluster's and its pools' status, as a report says it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubeception.api.v1alpha1 import NodePool
from kubeception.components.base import Readiness
from kubeception.engine.report import Report
from kubeception.plan.context import PlanContext


def cluster_status(ctx: PlanContext, report: Report) -> dict[str, Any]:
    """`status` of the TenantCluster."""
    old = ctx.cluster.status
    waiting = Readiness.waiting(report.waits_for, "InProgress")
    failed = [
        Readiness.failed(f.message, type(f).__name__.removesuffix("Error")) for f in report.failures
    ]
    ready = failed[0] if failed else Readiness.ready() if report.ready else waiting
    answers = (
        Readiness.ready(report.endpoint)
        if report.api_answers
        else Readiness.waiting("the API server does not answer yet", "NoAnswer")
    )
    parts = {"Ready": ready, "APIServerReady": answers, "NodesReady": report.nodes}
    return {
        "observedGeneration": ctx.cluster.metadata.generation,
        "phase": "Failed" if failed else "Ready" if report.ready else "Progressing",
        "version": ctx.spec.version,
        "endpoint": report.endpoint,
        "controlPlaneNamespace": ctx.namespace,
        "nodesNamespace": ctx.nodes_namespace,
        "podCIDR": ctx.network.pod_cidr,
        "serviceCIDR": ctx.network.service_cidr,
        "nodes": report.nodes_wanted,
        "readyNodes": report.nodes_ready,
        "conditions": _conditions(old, parts, ctx.cluster.metadata.generation, ctx.facts.now),
    }


def pool_status(ctx: PlanContext, pool: NodePool, report: Report) -> dict[str, Any]:
    """`status` of a NodePool; `replicas` and `selector` are what the scale subresource shows."""
    mine = [state for state in report.machines if state.machine.pool == pool.name]
    ready = sum(state.ready for state in mine)
    done = ready == pool.spec.replicas == len(mine)
    summary = f"{ready}/{pool.spec.replicas} nodes ready"
    readiness = Readiness.ready(summary) if done else Readiness.waiting(summary, "NodesNotReady")
    generation = pool.metadata.generation
    return {
        "observedGeneration": generation,
        "replicas": len(mine),
        "readyReplicas": ready,
        "conditions": _conditions(pool.status, {"Ready": readiness}, generation, ctx.facts.now),
    }


def _conditions(
    old: Mapping[str, Any], parts: Mapping[str, Readiness], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """The conditions; each keeps its time as long as its status stays."""
    before = {c["type"]: c for c in old.get("conditions") or ()}
    result = []
    for name, readiness in parts.items():
        status = "True" if readiness.ok else "False"
        known = before.get(name, {})
        since = known.get("lastTransitionTime") if known.get("status") == status else None
        result.append(
            {
                "type": name,
                "status": status,
                "reason": readiness.reason,
                "message": readiness.message,
                "observedGeneration": generation,
                "lastTransitionTime": since or now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )
    return result
