"""What all kubelets of a tenant go by, unless their pool says otherwise."""

from typing import Final

from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object

MAX_PODS: Final = 110
"""The kubelet's own default."""


def kubelet_configuration(ctx: PlanContext) -> Object:
    """The KubeletConfiguration."""
    addresses = 2 ** (32 - ctx.network.node_mask)
    # Three addresses of a node's range are not for pods: network, gateway, broadcast.
    return ctx.manifest(
        "kubeadm/kubelet-configuration.yaml.j2", max_pods=min(MAX_PODS, addresses - 3)
    )
