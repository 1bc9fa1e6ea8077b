"""The tenant's DNS."""

from collections.abc import Iterator

from kubeception.components.rbac import (
    account,
    bind_cluster_role,
    cluster_role,
    rule,
    service_account,
)
from kubeception.components.tenant import SYSTEM, TenantComponent, machines
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object

COREFILE = """\
.:53 {{
    errors
    health {{
       lameduck 5s
    }}
    ready
    kubernetes {domain} in-addr.arpa ip6.arpa {{
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }}
    prometheus :9153
    forward . /etc/resolv.conf {{
       max_concurrent 1000
    }}
    cache 30 {{
       disable success {domain}
       disable denial {domain}
    }}
    loop
    reload
    loadbalance
}}
"""
"""As kubeadm writes it."""


class CoreDns(TenantComponent):
    """CoreDNS, on two nodes where there are two."""

    name = "coredns"
    title = "DNS"
    workload = ("Deployment", SYSTEM, "coredns")

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        if not ctx.spec.addons.core_dns:
            return
        name = "system:coredns"
        watch = ["list", "watch"]
        yield service_account(ctx, SYSTEM, "coredns")
        yield cluster_role(
            ctx,
            name,
            rule(["endpoints", "services", "pods", "namespaces"], watch),
            rule(["endpointslices"], watch, group="discovery.k8s.io"),
        )
        yield bind_cluster_role(ctx, name, name, account(SYSTEM, "coredns"))
        corefile = COREFILE.format(domain=ctx.network.dns_domain)
        yield ctx.manifest("coredns/configmap.yaml.j2", corefile=corefile)
        yield ctx.manifest("coredns/service.yaml.j2")
        yield ctx.manifest("coredns/deployment.yaml.j2", replicas=min(2, max(1, machines(ctx))))
