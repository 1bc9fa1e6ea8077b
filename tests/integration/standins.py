"""What stands, beside a host without nodes, for its kubelets and its load balancer, and for the way to a tenant."""

from typing import Any, Final

from kubeception.kube.client import Cluster, Object
from kubeception.plan.context import PlanContext

BALANCED: Final[Object] = {"loadBalancer": {"ingress": [{"ip": "127.77.0.1"}]}}
"""The status of a Service whose address is of this machine; nobody listens there."""
COUNTS: Final = {
    "DaemonSet": (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "numberMisscheduled",
    ),
}
WORKLOAD_COUNTS: Final = ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")


class Straight:
    """The way to a tenant whose API server is at hand."""

    def __init__(self, tenant: Cluster) -> None:
        self.tenant = tenant

    def wait(self, ctx: PlanContext, _: float, *, runs: bool = True) -> Cluster | None:
        return self.tenant if ctx.endpoint else None

    def lost(self) -> None:
        """It answers again at once."""

    def close(self) -> None:
        """It is whose it was."""


def report_ready(cluster: Cluster, workload: Object) -> bool:
    """Say of a workload that all its pods are ready, unless that was said of this generation."""
    meta, kind = workload["metadata"], workload["kind"]
    if workload.get("status", {}).get("observedGeneration") == meta["generation"]:
        return False
    count = workload["spec"].get("replicas", 1)
    status: dict[str, Any] = dict.fromkeys(COUNTS.get(kind, WORKLOAD_COUNTS), count)
    status["observedGeneration"] = meta["generation"]
    cluster.patch(kind, meta["name"], {"status": status}, meta["namespace"], subresource="status")
    return True
