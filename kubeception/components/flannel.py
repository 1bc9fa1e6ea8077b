"""The tenant's pod network between nodes: flannel with VXLAN."""

import json
from collections.abc import Iterator

from kubeception.components.rbac import (
    account,
    bind_cluster_role,
    cluster_role,
    rule,
    service_account,
)
from kubeception.components.tenant import TenantComponent, config_map, everywhere
from kubeception.plan.context import PlanContext
from kubeception.plan.edit import restart_on_change
from kubeception.plan.endpoint import API_PORT
from kubeception.plan.facts import Object
from kubeception.plan.network import VXLAN_PORT

NAMESPACE = "kube-flannel"


class Flannel(TenantComponent):
    """flanneld on every node; absent where people bring their own network."""

    name = "flannel"
    workload = ("DaemonSet", NAMESPACE, "kube-flannel-ds")

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        if ctx.spec.networking.cni != "flannel":
            return
        yield ctx.manifest("flannel/namespace.yaml.j2")
        yield service_account(ctx, NAMESPACE, "flannel")
        yield cluster_role(
            ctx,
            "flannel",
            rule(["pods"], ["get"]),
            rule(["nodes"], ["get", "list", "watch"]),
            rule(["nodes/status"], ["patch"]),
        )
        yield bind_cluster_role(ctx, "flannel", "flannel", account(NAMESPACE, "flannel"))
        network: Object = {
            "Network": ctx.network.pod_cidr,
            "EnableNFTables": True,
            "Backend": {"Type": "vxlan", "Port": VXLAN_PORT + len(ctx.facts.host.above)},
        }
        if ctx.network.dual:
            network |= {"EnableIPv6": True, "IPv6Network": ctx.network.pod_cidr6}
        data = {"net-conf.json": json.dumps(network)}
        yield config_map(ctx, NAMESPACE, "kube-flannel-cfg", data)
        daemonset = ctx.manifest(
            "flannel/daemonset.yaml.j2", tolerations=everywhere(ctx), api_port=API_PORT
        )
        restart_on_change(daemonset, *data.values())
        yield daemonset
