"""The tenant's DNS."""

from collections.abc import Iterator
from typing import Final

from kubeception import names
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


NODES_EACH: Final = 16
"""For how many nodes a replica is enough: upstream's rule, less its part for the number of CPUs."""
SLACK: Final = NODES_EACH // 2
"""How many more nodes there could be without a replica more, before one is taken away."""


class CoreDns(TenantComponent):
    """CoreDNS: a replica for so many nodes, and two of them as soon as there are two nodes."""

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
        families = "PreferDualStack" if ctx.network.dual else "SingleStack"
        yield ctx.manifest("coredns/service.yaml.j2", families=families)
        nodes = machines(ctx)
        there = ctx.facts.tenant_objects.get(self.workload, {"metadata": {}})["metadata"]
        given = str(there.get("annotations", {}).get(names.REPLICAS_ANNOTATION, ""))
        count = replicas(nodes, int(given) if len(given) < 5 and given.isdecimal() else 0)
        if nodes > 1:
            yield ctx.manifest("coredns/pod-disruption-budget.yaml.j2")
        yield ctx.manifest("coredns/deployment.yaml.j2", replicas=count)


def replicas(nodes: int, given: int) -> int:
    """How many there should be for so many nodes, after so many: more at once, fewer with some slack."""
    wanted = _replicas(nodes)
    return wanted if wanted >= given else max(wanted, min(given, _replicas(nodes + SLACK)))


def _replicas(nodes: int) -> int:
    return max(1, min(2, nodes), -(-nodes // NODES_EACH))
