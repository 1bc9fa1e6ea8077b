"""kube-proxy of the tenant, in nftables mode."""

from collections.abc import Iterator

from kubeception.components.kubeadm import TOKENS
from kubeception.components.rbac import (
    account,
    bind_cluster_role,
    bind_role,
    role,
    rule,
    service_account,
)
from kubeception.components.tenant import SYSTEM, TenantComponent, config_map, everywhere
from kubeception.plan.context import PlanContext
from kubeception.plan.edit import restart_on_change
from kubeception.plan.facts import Object
from kubeception.plan.render import document


class KubeProxy(TenantComponent):
    """A DaemonSet; joining nodes may read its configuration, as kubeadm wants it."""

    name = "kube-proxy"
    workload = ("DaemonSet", SYSTEM, "kube-proxy")

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        if not ctx.spec.addons.kube_proxy:
            return
        yield service_account(ctx, SYSTEM, "kube-proxy")
        yield bind_cluster_role(
            ctx, "kubeadm:node-proxier", "system:node-proxier", account(SYSTEM, "kube-proxy")
        )
        read = rule(["configmaps"], ["get"], only=["kube-proxy"])
        yield role(ctx, SYSTEM, "kube-proxy", read)
        yield bind_role(ctx, SYSTEM, "kube-proxy", "kube-proxy", TOKENS)

        everywhere_dialled = ["0.0.0.0/0", *(["::/0"] if ctx.network.dual else ())]
        configuration = ctx.manifest(
            "kube-proxy/configuration.yaml.j2", node_ports=everywhere_dialled
        )
        data = {
            "config.conf": document(configuration),
            "kubeconfig.conf": document(ctx.manifest("kube-proxy/kubeconfig.yaml.j2")),
        }
        yield config_map(ctx, SYSTEM, "kube-proxy", data)
        daemonset = ctx.manifest("kube-proxy/daemonset.yaml.j2", tolerations=everywhere(ctx))
        restart_on_change(daemonset, *data.values())
        yield daemonset
