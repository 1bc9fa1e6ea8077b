"""Looking on while an operator works on a tenant: the report of its latest pass, as the status it wrote tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kubeception.api.reasons import Reason
from kubeception.api.v1alpha1 import NodePool, TenantCluster
from kubeception.components.base import Component, Readiness, Side, State
from kubeception.engine import observe
from kubeception.engine.report import Report
from kubeception.errors import KubeceptionError, NotFoundError
from kubeception.kube.client import Cluster

WATCHED: Final = ("TenantCluster", "NodePool")
"""What changes when the operator has something to tell."""
UNSEEN: Final = Readiness.waiting("the operator has not looked at it yet", Reason.NOT_CREATED)


class Aspect(Component):
    """A condition of the status, as the report shows it."""

    def __init__(self, name: str, title: str, side: Side) -> None:
        self.name, self.title, self.side = name, title, side  # type: ignore[misc]  # of the class elsewhere


ASPECTS: Final = (
    Aspect("DatastoreReady", "Datastore", Side.HOST),
    Aspect("AddonsReady", "Add-ons", Side.TENANT),
)


@dataclass
class Told(Report):
    """A report that is read, not made."""

    conditions: Mapping[str, Readiness] = field(default_factory=dict)

    @property
    def nodes(self) -> Readiness:
        return self.conditions.get("NodesReady", UNSEEN)

    @property
    def api_server(self) -> Readiness:
        return self.conditions.get("APIServerReady", UNSEEN)

    @property
    def encryption(self) -> Readiness:
        return self.conditions.get("EncryptionReady", UNSEEN)

    @property
    def ready(self) -> bool:
        return not self.failures and self.conditions.get("Ready", UNSEEN).ok

    @property
    def waits_for(self) -> str:
        return "" if self.ready else self.conditions.get("Ready", UNSEEN).message


def look(host: Cluster, namespace: str, name: str) -> Report:
    """What the operator last told of a tenant. Raises NotFoundError when there is none (any more)."""
    cluster = observe.find_cluster(host, namespace, name)
    if cluster is None:
        raise NotFoundError(f"{host.title}: no TenantCluster {namespace}/{name}")
    return told(cluster, observe.find_pools(host, cluster))


def told(cluster: TenantCluster, pools: tuple[NodePool, ...]) -> Told:
    """The report that these objects' status is of; of nothing where a spec has changed since."""
    status = cluster.status
    current = _current(cluster) and all(map(_current, pools))
    known = {c["type"]: c for c in status.get("conditions") or ()} if current else {}
    conditions = {name: _readiness(condition) for name, condition in known.items()}
    report = Told(cluster, conditions=conditions)
    report.nodes_wanted = sum(pool.spec.replicas for pool in pools)
    report.endpoint = str(status.get("endpoint") or "")
    report.api_answers = report.api_server.ok
    if not cluster.metadata.deletion_timestamp:
        for aspect in ASPECTS:
            report.record(aspect, conditions.get(aspect.name, UNSEEN))
    if current and status.get("phase") == "Failed":
        report.failures.append(KubeceptionError(conditions.get("Ready", UNSEEN).message))
    return report


def _current(resource: TenantCluster | NodePool) -> bool:
    seen = resource.status.get("observedGeneration", 0)
    return bool(seen == resource.metadata.generation)


def _readiness(condition: Mapping[str, Any]) -> Readiness:
    state = State.READY if condition["status"] == "True" else State.WAITING
    reason = condition["reason"]
    known = next((r for r in Reason if str(r) == reason), Reason.WAITING)
    return Readiness(state, known, str(condition.get("message") or ""))
