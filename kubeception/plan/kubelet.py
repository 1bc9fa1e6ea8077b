"""What the kubelets of a tenant go by: its configuration for all of them, and what their pool says besides."""

from typing import TYPE_CHECKING, Any, Final

from kubeception.api.v1alpha1 import NodePool
from kubeception.plan.facts import Object

if TYPE_CHECKING:
    from kubeception.plan.context import PlanContext

MAX_PODS: Final = 110
"""The kubelet's own default."""


def kubelet_configuration(ctx: "PlanContext") -> Object:
    """The KubeletConfiguration of all, unless their pool says otherwise."""
    addresses = 2 ** (32 - ctx.network.node_mask)
    # Three addresses of a node's range are not for pods: network, gateway, broadcast.
    return ctx.manifest(
        "kubeadm/kubelet-configuration.yaml.j2", max_pods=min(MAX_PODS, addresses - 3)
    )


def kubelet_patch(pool: NodePool) -> dict[str, Any]:
    """What the pool says otherwise than the cluster's KubeletConfiguration."""
    said: dict[str, Any] = pool.spec.kubelet.model_dump(
        by_alias=True, mode="json", exclude_none=True
    )
    return said


def kubelet_arguments(pool: NodePool) -> dict[str, str]:
    """Flags of the kubelet, for what its configuration has no fields."""
    arguments = {"cloud-provider": "external"}
    if pool.spec.labels:
        arguments["node-labels"] = ",".join(f"{k}={v}" for k, v in sorted(pool.spec.labels.items()))
    return arguments
