"""A DNS cache on each of the tenant's nodes: NodeLocal DNSCache."""

from collections.abc import Iterator
from typing import Final

from kubeception.components.rbac import service_account
from kubeception.components.tenant import SYSTEM, TenantComponent, config_map, everywhere
from kubeception.plan.context import PlanContext
from kubeception.plan.edit import restart_on_change
from kubeception.plan.facts import Object

LOCAL: Final = "169.254.20.10"
"""Upstream's choice: the address of each node's own cache, beside the one of kube-dns."""

COREFILE: Final = """\
{domain}:53 in-addr.arpa:53 ip6.arpa:53 {{
    errors
    cache {{
       success 9984 30
       denial 9984 5
    }}
    reload
    loop
    bind {local} {dns}
    forward . __PILLAR__CLUSTER__DNS__ {{
       force_tcp
    }}
    prometheus :9253
    health {local}:8080
}}
.:53 {{
    errors
    cache 30
    reload
    loop
    bind {local} {dns}
    forward . /etc/resolv.conf
    prometheus :9253
}}
"""
"""What node-cache itself fills in is the address of its upstream Service; the rest is as upstream has it."""


class NodeLocalDns(TenantComponent):
    """node-cache on every node, where kube-dns is asked for: no pod and no kubelet is told of it."""

    name = "node-local-dns"
    workload = ("DaemonSet", SYSTEM, "node-local-dns")

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        if not ctx.spec.addons.node_local_dns:
            return
        network = ctx.network
        corefile = COREFILE.format(domain=network.dns_domain, local=LOCAL, dns=network.dns_ip)
        yield service_account(ctx, SYSTEM, "node-local-dns")
        yield ctx.manifest("node-local-dns/service.yaml.j2")
        yield config_map(ctx, SYSTEM, "node-local-dns", {"Corefile": corefile})
        daemonset = ctx.manifest(
            "node-local-dns/daemonset.yaml.j2", tolerations=everywhere(ctx), local=LOCAL
        )
        restart_on_change(daemonset, corefile)
        yield daemonset
