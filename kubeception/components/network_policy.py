"""Who may talk to whom in the host, where the host's network enforces it: nothing but what is needed."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Final

from kubeception import names
from kubeception.components.base import Component
from kubeception.plan import control_plane
from kubeception.plan.context import PlanContext
from kubeception.plan.endpoint import API_PORT, TUNNEL_PORT
from kubeception.plan.facts import HostFacts, Object
from kubeception.plan.network import LINK_LOCAL, LINK_LOCAL6, ipv4, ipv6

HOST_DNS: Final[Object] = {
    "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}
"""The way to the host cluster's DNS, which knows its Services."""
HALVES: Final = (IPv4Network("0.0.0.0/1"), IPv4Network("128.0.0.0/1"))


class NetworkPolicies(Component):
    """Both namespaces are shut, then opened for the ways the tenant lives by."""

    name = "network-policy"

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        ports = {"api_port": API_PORT, "tunnel_port": TUNNEL_PORT}
        for namespace in (ctx.namespace, ctx.nodes_namespace):
            yield ctx.manifest("network-policy/deny-all.yaml.j2", namespace=namespace)
        if pool := control_plane.pool_of(ctx):
            of = {names.POOL_LABEL: pool.name}
            yield ctx.manifest("network-policy/api-server.yaml.j2", selector=of, **ports)
        else:
            yield ctx.manifest("network-policy/control-plane.yaml.j2", **ports)
            yield ctx.manifest("network-policy/etcd.yaml.j2")
        machines = ctx.manifest(
            "network-policy/machines.yaml.j2", **ports, forbidden=forbidden(ctx.facts.host)
        )
        if ctx.network.dual:
            world = {"cidr": "::/0", "except": forbidden6(ctx.facts.host)}
            machines["spec"]["egress"].append({"to": [{"ipBlock": world}]})
        if ctx.spec.networking.host_dns:
            machines["spec"]["egress"].append(HOST_DNS)
        if mirror := _mirror(ctx.facts.host.registry_mirror):
            machines["spec"]["egress"].append(mirror)
        yield machines


def forbidden(host: HostFacts) -> list[str]:
    """The ranges that hold the host cluster's own pods, Services and nodes, and metadata services."""
    ranges = (*host.pod_cidrs, *host.service_cidrs, *host.node_addresses, LINK_LOCAL[0])
    return sorted({str(network) for text in ranges if (network := ipv4(text)) is not None})


def any_address(closed: Iterable[str]) -> list[Object]:
    """Whom an address of IPv4 outside of these ranges may belong to, the host's nodes among them.

    In halves: to Cilium the whole of it means what is outside of the cluster, and no node.
    """
    ranges = sorted({network for text in closed if (network := ipv4(text)) is not None})
    blocks: list[Object] = []
    for half in HALVES:
        inside = [str(network) for network in ranges if network.subnet_of(half)]
        blocks.append({"cidr": str(half), **({"except": inside} if inside else {})})
    return [{"ipBlock": block} for block in blocks]


def is_the_hosts(host: HostFacts, address: str) -> bool:
    """Whether a request to it would come from within: to the host's pods, Services, nodes or metadata service."""
    found = ip_address(address)
    ranges = map(ip_network, forbidden(host))
    own = found.is_loopback or found.is_multicast or found.is_unspecified
    return own or any(found in each for each in ranges)


def forbidden6(host: HostFacts) -> list[str]:
    """The same ranges among IPv6 addresses."""
    ranges = (*host.pod_cidrs, *host.service_cidrs, *host.node_addresses, LINK_LOCAL6[0])
    return sorted({str(network) for text in ranges if (network := ipv6(text)) is not None})


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
