"""The address planner: ranges for a tenant's pods and Services that overlap nothing its machines must reach.

A range once taken is remembered on the control plane's namespace and never moves: addresses of running
pods, the API server's certificate and every node's configuration hang on it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, TypeVar

from kubeception import names
from kubeception.api.v1alpha1 import IPv6, Networking, TenantCluster
from kubeception.errors import KubeceptionError, SpecError
from kubeception.plan.facts import Facts

Network = IPv4Network | IPv6Network
N = TypeVar("N", IPv4Network, IPv6Network)

POOLS: Final = (IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"))
"""Private ranges (RFC 1918) free ones are looked for in, in this order."""
POD_PREFIXES: Final = (16, 18, 20)
"""Sizes of a pod range to try, the largest first: 256, 64 or 16 nodes of 254 pods."""
SERVICE_PREFIXES: Final = (20, 22, 24)

POOLS6: Final = (IPv6Network("fd00::/8"),)
"""Unique local addresses (RFC 4193), of which each tenant has a site."""
SITE_PREFIX: Final = 48
POD_PREFIX6, SERVICE_PREFIX6 = 56, 112
"""Of a site, its first addresses are for pods: 256 nodes; those of its last subnet are for Services."""
NODE_PREFIX6: Final = 64

VXLAN_PORT: Final = 8473
"""Between the nodes of a tenant; that of a tenant's tenant is the next one, and so on. Not 8472, which is Linux's own:
a host on Cilium has its tunnel there, and drops what pods send to it.
"""

GUEST: Final = ("10.0.2.0/24", "the network a virtual machine sees itself in")
LINK_LOCAL: Final = ("169.254.0.0/16", "link-local and metadata addresses")
LINK_LOCAL6: Final = ("fe80::/10", "link-local addresses")
RESERVED: Final = (
    GUEST,
    LINK_LOCAL,
    ("fd10:0:2::/120", GUEST[1]),
    LINK_LOCAL6,
    ("ff00::/8", "multicast addresses"),
    ("::/96", "addresses of one machine, or of IPv4"),
)


@dataclass(frozen=True)
class NetworkPlan:
    """A tenant's ranges and the addresses that follow from them."""

    pod_cidr: str
    service_cidr: str
    dns_domain: str
    pod_cidr6: str = ""
    """The IPv6 ranges; empty where there is but one family."""
    service_cidr6: str = ""

    @property
    def dual(self) -> bool:
        """Whether there are both families of addresses."""
        return bool(self.pod_cidr6)

    @property
    def pod_cidrs(self) -> str:
        """The ranges of pods, as flags and annotations have them."""
        return ",".join(filter(None, (self.pod_cidr, self.pod_cidr6)))

    @property
    def service_cidrs(self) -> str:
        """The ranges of Services, likewise: the first is the one of Services that ask for no family."""
        return ",".join(filter(None, (self.service_cidr, self.service_cidr6)))

    @property
    def all(self) -> tuple[str, ...]:
        """Every range."""
        return (*self.pod_cidrs.split(","), *self.service_cidrs.split(","))

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

    network: Network
    owner: str


def plan_network(cluster: TenantCluster, facts: Facts, namespace: str) -> NetworkPlan:
    """The ranges remembered on the control plane's namespace, else those of the spec, else free ones.

    Raises SpecError where the spec contradicts what is remembered or overlaps something, and
    KubeceptionError when nothing is free.
    """
    networking = cluster.spec.networking
    seen = facts.seen("Namespace", "", namespace)
    remembered = (seen or {}).get("metadata", {}).get("annotations", {})
    pods = remembered.get(names.POD_CIDR_ANNOTATION, "").split(",")
    services = remembered.get(names.SERVICE_CIDR_ANNOTATION, "").split(",")
    if pods[0] and services[0]:
        plan = NetworkPlan(pods[0], services[0], networking.dns_domain, *pods[1:2], *services[1:2])
        _unchanged(cluster, plan)
        return plan

    taken = tuple(_taken(facts))
    _check(cluster, facts, taken)
    start = int(names.digest(cluster.metadata.uid, cluster.name), 16)
    wished = [IPv4Network(c) for c in (networking.pod_cidr, networking.service_cidr) if c]
    used = [t.network for t in taken if isinstance(t.network, IPv4Network)] + wished
    service = networking.service_cidr or str(
        _free(used, SERVICE_PREFIXES, start, "Services", POOLS)
    )
    used.append(IPv4Network(service))
    pod = networking.pod_cidr or str(_free(used, POD_PREFIXES, start, "pods", POOLS))
    second = _plan6(cluster, networking.ipv6, taken) if networking.ipv6 else ()
    return NetworkPlan(pod, service, networking.dns_domain, *second)


def _plan6(cluster: TenantCluster, asked: IPv6, taken: Sequence[Taken]) -> tuple[str, str]:
    """The IPv6 ranges of pods and Services: those asked for, else those of a free site."""
    used = [t.network for t in taken if isinstance(t.network, IPv6Network)]
    used += [IPv6Network(c) for c in (asked.pod_cidr, asked.service_cidr) if c]
    start = int(names.digest(cluster.metadata.uid, cluster.name, length=10), 16)
    site = _free(used, (SITE_PREFIX,), start, "IPv6 addresses", POOLS6)
    pods = IPv6Network((int(site[0]), POD_PREFIX6))
    services = IPv6Network((int(site[-1]) >> 64 << 64, SERVICE_PREFIX6))
    return asked.pod_cidr or str(pods), asked.service_cidr or str(services)


def _taken(facts: Facts) -> Iterator[Taken]:
    host = facts.host
    for network, owner in RESERVED:
        yield Taken(ip_network(network), owner)
    for owner, ranges in (
        ("the host cluster's pods", host.pod_cidrs),
        ("the host cluster's Services", host.service_cidrs),
        ("another tenant", host.tenant_cidrs),
        ("a node of the host cluster", host.node_addresses),
    ):
        yield from _each(owner, ranges)
    for number, level in enumerate(reversed(host.above), start=1):
        who = f"the cluster {'that the host is in' if number == 1 else f'{number} levels above the host'}"
        yield from _each(f"{who}: its pods", level.pods)
        yield from _each(f"{who}: its Services", level.services)
        yield from _each(f"{who}: its nodes", level.nodes)


def _each(owner: str, ranges: Iterable[str]) -> Iterator[Taken]:
    for text in ranges:
        if (known := ipv4(text) or ipv6(text)) is not None:
            yield Taken(known, owner)


def ipv4(text: str) -> IPv4Network | None:
    """The range, or None for what can't overlap an IPv4 range: IPv6, a host name."""
    try:
        return IPv4Network(text, strict=False)
    except ValueError:
        return None


def ipv6(text: str) -> IPv6Network | None:
    """The range, or None for what can't overlap an IPv6 range."""
    try:
        return IPv6Network(text, strict=False)
    except ValueError:
        return None


def _asked(networking: Networking) -> Iterator[tuple[str, str | None]]:
    """Each range by its path in the spec; None where it is left to us."""
    yield "podCIDR", networking.pod_cidr
    yield "serviceCIDR", networking.service_cidr
    second = networking.ipv6 or IPv6()
    yield "ipv6.podCIDR", second.pod_cidr
    yield "ipv6.serviceCIDR", second.service_cidr


def _check(cluster: TenantCluster, facts: Facts, taken: Sequence[Taken]) -> None:
    """Raise SpecError with every range of the spec that can't be used."""
    networking, hint = cluster.spec.networking, ""
    problems = []
    for field, text in _asked(networking):
        if text is None:
            continue
        network = ip_network(text)
        problems += [
            f"spec.networking.{field}: {text} overlaps {other.network} of {other.owner}"
            for other in taken
            if network.version == other.network.version and network.overlaps(other.network)
        ]
    if problems:
        hint = "Leave podCIDR and serviceCIDR out, and free ranges are chosen."
    hosts = facts.host.pod_cidrs
    if networking.ipv6 and networking.cni == "flannel" and hosts and not any(map(ipv6, hosts)):
        problems.append(
            "spec.networking.ipv6: the host's pods have no IPv6 addresses, "
            "and flannel sends IPv6 over nothing else"
        )
        hint = f"{hint} Use cni custom or none, with a network that sends IPv6 over IPv4.".strip()
    if problems:
        raise SpecError(problems, what=f"TenantCluster {cluster.name}", hint=hint)


def _unchanged(cluster: TenantCluster, plan: NetworkPlan) -> None:
    """Raise SpecError when the spec asks for ranges other than those in use."""
    networking = cluster.spec.networking
    have = (plan.pod_cidr, plan.service_cidr, plan.pod_cidr6, plan.service_cidr6)
    problems = [
        f"spec.networking.{field}: {wish} was asked for, but the cluster runs with {there or 'none'}"
        for (field, wish), there in zip(_asked(networking), have, strict=True)
        if wish not in {None, there}
    ]
    if (networking.ipv6 is not None) is not plan.dual and not problems:
        runs = f"with {plan.pod_cidrs}" if plan.dual else "without IPv6"
        problems.append(f"spec.networking.ipv6: the cluster runs {runs}")
    if problems:
        raise SpecError(
            problems,
            what=f"TenantCluster {cluster.name}",
            hint="The ranges of a running cluster can't be changed: delete it, or create another.",
        )


def _free(
    used: Iterable[N], prefixes: Sequence[int], start: int, what: str, pools: Sequence[N]
) -> N:
    """A range of one of these pools that overlaps none of `used`.

    The search begins at a place of the tenant's own (`start`), so that two tenants planned at the same
    moment, blind to each other, hardly ever meet.
    """
    taken = _merged(used)
    for prefix in prefixes:
        for pool in pools:
            count = 1 << (prefix - pool.prefixlen)
            first, size = int(pool.network_address), 1 << (pool.max_prefixlen - prefix)
            begin = start % count
            for places in (range(begin, count), range(begin)):
                if (place := _first_free(taken, first, size, places)) is not None:
                    return type(pool)((first + place * size, prefix))
    raise KubeceptionError(
        f"no range is left for the {what} of a tenant in {', '.join(map(str, pools))}",
        hint="Delete tenants, or give the range as spec.networking.podCIDR and serviceCIDR.",
    )


def _first_free(
    taken: Sequence[tuple[int, int]], first: int, size: int, places: range
) -> int | None:
    """The first of these places, each of `size` addresses from `first` on, that holds nothing taken."""
    place = places.start
    while place < places.stop:
        begin = first + place * size
        before = bisect_left(taken, (begin + size,)) - 1
        if before < 0 or taken[before][1] < begin:
            return place
        place = (taken[before][1] - first) // size + 1
    return None


def _merged(networks: Iterable[Network]) -> list[tuple[int, int]]:
    """The first and last addresses of ranges of one family, in order, none within another."""
    result: list[tuple[int, int]] = []
    spans = ((int(n.network_address), int(n.broadcast_address)) for n in networks)
    for first, last in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not result or result[-1][1] < first:
            result.append((first, last))
    return result
