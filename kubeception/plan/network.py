"""The address planner: ranges for a tenant's pods and Services that overlap nothing its machines must reach.

A range once taken is remembered on the control plane's namespace and never moves: addresses of running
pods, the API server's certificate and every node's configuration hang on it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from kubeception import names
from kubeception.api.v1alpha1 import TenantCluster
from kubeception.errors import KubeceptionError, SpecError
from kubeception.plan.facts import Facts

POOLS: Final = (IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"))
"""Private ranges (RFC 1918) free ones are looked for in, in this order."""
POD_PREFIXES: Final = (16, 18, 20)
"""Sizes of a pod range to try, the largest first: 256, 64 or 16 nodes of 254 pods."""
SERVICE_PREFIXES: Final = (20, 22, 24)

GUEST: Final = ("10.0.2.0/24", "the network a virtual machine sees itself in")
LINK_LOCAL: Final = ("169.254.0.0/16", "link-local and metadata addresses")


@dataclass(frozen=True)
class NetworkPlan:
    """A tenant's ranges and the addresses that follow from them."""

    pod_cidr: str
    service_cidr: str
    dns_domain: str

    @property
    def api_ip(self) -> str:
        """The Service `kubernetes`: the first address of the service range."""
        return str(IPv4Network(self.service_cidr)[1])

    @property
    def dns_ip(self) -> str:
        """The Service `kube-dns`: the tenth address of the service range, as kubeadm has it."""
        return str(IPv4Network(self.service_cidr)[10])

    @property
    def node_mask(self) -> int:
        """Prefix length of the part of the pod range each node gets: /24, less where the whole is small."""
        return min(max(24, IPv4Network(self.pod_cidr).prefixlen + 4), 28)


@dataclass(frozen=True)
class Taken:
    """A range that is in use, and by what."""

    network: IPv4Network
    owner: str


def plan_network(cluster: TenantCluster, facts: Facts, namespace: str) -> NetworkPlan:
    """The ranges remembered on the control plane's namespace, else those of the spec, else free ones.

    Raises SpecError where the spec contradicts what is remembered or overlaps something, and
    KubeceptionError when nothing is free.
    """
    networking = cluster.spec.networking
    seen = facts.seen("Namespace", "", namespace)
    remembered = (seen or {}).get("metadata", {}).get("annotations", {})
    pods = remembered.get(names.POD_CIDR_ANNOTATION)
    services = remembered.get(names.SERVICE_CIDR_ANNOTATION)
    if pods and services:
        _unchanged(cluster, pods, services)
        return NetworkPlan(pods, services, networking.dns_domain)

    taken = tuple(_taken(facts))
    _check(cluster, taken)
    start = int(names.digest(cluster.metadata.uid, cluster.name), 16)
    wished = [IPv4Network(c) for c in (networking.pod_cidr, networking.service_cidr) if c]
    used = [t.network for t in taken] + wished
    service = networking.service_cidr or str(_free(used, SERVICE_PREFIXES, start, "Services"))
    used.append(IPv4Network(service))
    pod = networking.pod_cidr or str(_free(used, POD_PREFIXES, start, "pods"))
    return NetworkPlan(pod, service, networking.dns_domain)


def _taken(facts: Facts) -> Iterator[Taken]:
    host = facts.host
    for network, owner in (GUEST, LINK_LOCAL):
        yield Taken(IPv4Network(network), owner)
    for owner, ranges in (
        ("the host cluster's pods", host.pod_cidrs),
        ("the host cluster's Services", host.service_cidrs),
        ("another tenant", host.tenant_cidrs),
        ("a node of the host cluster", host.node_addresses),
    ):
        for text in ranges:
            if (known := ipv4(text)) is not None:
                yield Taken(known, owner)


def ipv4(text: str) -> IPv4Network | None:
    """The range, or None for what can't overlap an IPv4 range: IPv6, a host name."""
    try:
        return IPv4Network(text, strict=False)
    except ValueError:
        return None


def _check(cluster: TenantCluster, taken: Sequence[Taken]) -> None:
    """Raise SpecError with every range of the spec that can't be used."""
    networking = cluster.spec.networking
    problems = []
    for field, text in (
        ("podCIDR", networking.pod_cidr),
        ("serviceCIDR", networking.service_cidr),
    ):
        if text is None:
            continue
        network = IPv4Network(text)
        problems += [
            f"spec.networking.{field}: {text} overlaps {other.network} of {other.owner}"
            for other in taken
            if network.overlaps(other.network)
        ]
    if problems:
        raise SpecError(
            problems,
            what=f"TenantCluster {cluster.name}",
            hint="Leave podCIDR and serviceCIDR out, and free ranges are chosen.",
        )


def _unchanged(cluster: TenantCluster, pods: str, services: str) -> None:
    """Raise SpecError when the spec asks for ranges other than those in use."""
    networking = cluster.spec.networking
    problems = [
        f"spec.networking.{field}: {wish} was asked for, but the cluster runs with {have}"
        for field, wish, have in (
            ("podCIDR", networking.pod_cidr, pods),
            ("serviceCIDR", networking.service_cidr, services),
        )
        if wish not in {None, have}
    ]
    if problems:
        raise SpecError(
            problems,
            what=f"TenantCluster {cluster.name}",
            hint="The ranges of a running cluster can't be changed: delete it, or create another.",
        )


def _free(
    used: Iterable[IPv4Network], prefixes: Sequence[int], start: int, what: str
) -> IPv4Network:
    """A range that overlaps none of `used`.

    The search begins at a place of the tenant's own (`start`), so that two tenants planned at the same
    moment, blind to each other, hardly ever meet.
    """
    taken = _merged(used)
    for prefix in prefixes:
        for pool in POOLS:
            count = 1 << (prefix - pool.prefixlen)
            first, size = int(pool.network_address), 1 << (32 - prefix)
            for step in range(count):
                begin = first + (start + step) % count * size
                before = bisect_left(taken, (begin + size,)) - 1
                if before < 0 or taken[before][1] < begin:
                    return IPv4Network((begin, prefix))
    raise KubeceptionError(
        f"no range is left for the {what} of a tenant in {', '.join(map(str, POOLS))}",
        hint="Delete tenants, or give the range as spec.networking.podCIDR and serviceCIDR.",
    )


def _merged(networks: Iterable[IPv4Network]) -> list[tuple[int, int]]:
    """The first and last addresses of ranges, in order, none within another."""
    result: list[tuple[int, int]] = []
    for network in sorted(networks):
        span = (int(network.network_address), int(network.broadcast_address))
        if not result or result[-1][1] < span[0]:
            result.append(span)
    return result
