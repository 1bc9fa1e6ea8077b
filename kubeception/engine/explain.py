"""The cause of what isn't ready, read where it is known: only then, and only as much as it takes."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from kubeception import names
from kubeception.api.reasons import Reason
from kubeception.components.base import Component, Readiness, Side
from kubeception.components.causes import cause, refusal
from kubeception.engine.nodes import is_open
from kubeception.engine.report import Report
from kubeception.errors import KubeceptionError, StoppedError
from kubeception.kube.client import Cluster
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Key, Object

YOUNG: Final = timedelta(seconds=3)
"""A workload younger than this is on its way, and isn't asked for excuses."""
LOOK_AGAIN: Final = 5.0
"""Seconds after which it is looked at again: a pod that comes into trouble changes nothing of its workload."""
WORKLOADS: Final = ("DaemonSet", "Deployment", "StatefulSet")


def explain(report: Report, ctx: PlanContext, host: Cluster, tenant: Cluster | None) -> None:
    """Say in the report why workloads that aren't ready aren't.

    Of the tenant's own only where its nodes are ready: before that, they are what it waits for.
    """
    _explain(report, Side.HOST, host, ctx.facts.objects, ctx.facts.now)
    if tenant is not None and report.nodes_wanted and report.nodes.ok:
        _explain(report, Side.TENANT, tenant, ctx.facts.tenant_objects, ctx.facts.now)


def _explain(
    report: Report, side: Side, cluster: Cluster, seen: Mapping[Key, Object], now: datetime
) -> None:
    unready = [
        (component, readiness, workload)
        for component, readiness in report.components.values()
        if component.side is side and readiness.reason is Reason.REPLICAS_NOT_READY
        for workload in _workloads(component, seen, now)
    ]
    pods: dict[str, list[Object]] = {}
    events: dict[str, list[Object]] = {}
    for component, readiness, workload in unready:
        report.look_again(LOOK_AGAIN)
        namespace = workload["metadata"]["namespace"]
        if namespace not in pods:
            pods[namespace] = _list(cluster, "Pod", namespace)
            events[namespace] = _list(cluster, "Event", namespace, "type=Warning")
        mine = [pod for pod in pods[namespace] if _selects(workload, pod)]
        claims = [o for k, o in seen.items() if k[:2] == ("PersistentVolumeClaim", namespace)]
        found = cause(mine, claims, events[namespace], now)
        if found is None and not mine:
            found = refusal(workload, events[namespace])
        if found is not None and not (side is Side.TENANT and is_on_its_way(found, report)):
            text = f"{readiness.message}: {found.message}"
            report.record(component, Readiness.waiting(text, found.reason))


def is_on_its_way(found: Readiness, report: Report) -> bool:
    """Whether a pod of the tenant has no node only because none takes pods yet, before its network is up."""
    nodes = [state.node for state in report.machines if state.node]
    return found.reason is Reason.UNSCHEDULABLE and not any(map(is_open, nodes))


def _list(cluster: Cluster, kind: str, namespace: str, fields: str = "") -> list[Object]:
    """The objects there; none where they can't be read: an explanation isn't worth a failure."""
    try:
        return cluster.list(kind, namespace, fields=fields)
    except StoppedError:
        raise
    except KubeceptionError:
        return []


def _workloads(component: Component, seen: Mapping[Key, Object], now: datetime) -> list[Object]:
    """The component's workloads that have had their time."""
    return [
        obj
        for key, obj in seen.items()
        if key[0] in WORKLOADS
        and obj["metadata"].get("labels", {}).get(names.COMPONENT_LABEL) == component.name
        and now - datetime.fromisoformat(obj["metadata"]["creationTimestamp"]) >= YOUNG
    ]


def _selects(workload: Object, pod: Object) -> bool:
    """Whether a pod is one of a workload's; the selectors here know labels only."""
    wanted = workload["spec"]["selector"].get("matchLabels") or {}
    labels = pod["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in wanted.items())
