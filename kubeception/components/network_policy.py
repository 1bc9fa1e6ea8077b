"""Who may talk to whom in the host, where the host's network enforces it: nothing but what is needed."""

from collections.abc import Iterator

from kubeception.components.base import Component
from kubeception.plan.context import PlanContext
from kubeception.plan.endpoint import API_PORT, TUNNEL_PORT
from kubeception.plan.facts import HostFacts, Object
from kubeception.plan.network import LINK_LOCAL, ipv4


class NetworkPolicies(Component):
    """Both namespaces are shut, then opened for the ways the tenant lives by."""

    name = "network-policy"

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        ports = {"api_port": API_PORT, "tunnel_port": TUNNEL_PORT}
        for namespace in (ctx.namespace, ctx.nodes_namespace):
            yield ctx.manifest("network-policy/deny-all.yaml.j2", namespace=namespace)
        yield ctx.manifest("network-policy/control-plane.yaml.j2", **ports)
        yield ctx.manifest("network-policy/etcd.yaml.j2")
        machines = ctx.manifest(
            "network-policy/machines.yaml.j2", **ports, forbidden=forbidden(ctx.facts.host)
        )
        if mirror := _mirror(ctx.facts.host.registry_mirror):
            machines["spec"]["egress"].append(mirror)
        yield machines


def forbidden(host: HostFacts) -> list[str]:
    """The ranges that hold the host cluster's own pods, Services and nodes, and metadata services."""
    ranges = (*host.pod_cidrs, *host.service_cidrs, *host.node_addresses, LINK_LOCAL[0])
    return sorted({str(network) for text in ranges if (network := ipv4(text)) is not None})


def _mirror(registry: str) -> Object | None:
    """The way to the registry mirror, where it has an address of its own."""
    host, _, port = registry.partition(":")
    network = ipv4(host)
    if network is None or not port.isdigit():
        return None
    return {
        "to": [{"ipBlock": {"cidr": str(network)}}],
        "ports": [{"protocol": "TCP", "port": int(port)}],
    }
