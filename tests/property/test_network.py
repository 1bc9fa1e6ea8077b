from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import combinations

from hypothesis import given, settings, strategies as st

from kubeception.plan.facts import Facts, HostFacts
from kubeception.plan.lineage import KEY, document, parse
from kubeception.plan.network import GUEST, LINK_LOCAL, RESERVED, NetworkPlan, plan_network
from tests.plans import NOW, tenant

cidrs = st.builds(
    lambda address, prefix: str(IPv4Network((address, prefix), strict=False)),
    st.integers(IPv4Network("10.0.0.0/8")[0].__int__(), IPv4Network("10.0.0.0/8")[-1].__int__()),
    st.integers(12, 28),
)


@given(
    names=st.lists(st.from_regex(r"[a-z][a-z0-9]{0,20}", fullmatch=True), max_size=12, unique=True),
    pods=st.lists(cidrs, max_size=3),
    services=st.lists(cidrs, max_size=3),
)
def test_tenants_planned_one_after_the_other_overlap_nothing(
    names: list[str], pods: list[str], services: list[str]
) -> None:
    host = HostFacts(pod_cidrs=tuple(pods), service_cidrs=tuple(services))
    planned: list[IPv4Network] = []
    for name in names:
        plan = plan_network(tenant(name=name), Facts(NOW, host), f"kc-{name}")
        found = (plan.pod_cidr, plan.service_cidr)
        planned += map(IPv4Network, found)
        host = replace(host, tenant_cidrs=(*host.tenant_cidrs, *found))
    assert not any(a.overlaps(b) for a, b in combinations(planned, 2))
    used = [IPv4Network(c) for c in (*pods, *services, GUEST[0], LINK_LOCAL[0])]
    assert not any(a.overlaps(b) for a in planned for b in used)
    assert all(network.is_private for network in planned)


DUAL = {"networking": {"ipv6": {}, "cni": "none"}}
cidrs6 = st.builds(
    lambda address, prefix: str(IPv6Network((address, prefix), strict=False)),
    st.integers(int(IPv6Network("fd00::/8")[0]), int(IPv6Network("fd00::/8")[-1])),
    st.integers(12, 64),
)


@given(
    names=st.lists(st.from_regex(r"[a-z][a-z0-9]{0,20}", fullmatch=True), max_size=12, unique=True),
    used=st.lists(cidrs6, max_size=6),
    tight=st.booleans(),
)
def test_ipv6_ranges_of_tenants_overlap_nothing(
    names: list[str], used: list[str], tight: bool
) -> None:
    taken = [*used, *(["fd80::/9"] if tight else [])]
    host = HostFacts(pod_cidrs=("10.1.0.0/16", *taken))
    planned: list[IPv6Network] = []
    for name in names:
        plan = plan_network(tenant(DUAL, name=name), Facts(NOW, host), name)
        found = (plan.pod_cidr6, plan.service_cidr6)
        planned += map(IPv6Network, found)
        host = replace(host, tenant_cidrs=(*host.tenant_cidrs, *plan.all))
    assert not any(a.overlaps(b) for a, b in combinations(planned, 2))
    reserved = [ip_network(c) for c in (*taken, *(c for c, _ in RESERVED))]
    assert not any(a.overlaps(b) for a in planned for b in reserved if b.version == 6)
    assert all(network.is_private for network in planned)


def child_of(host: HostFacts, plan: NetworkPlan, node: str) -> HostFacts:
    """A tenant as the host of its own: what it is told of the clusters above it goes the way it does in a cluster."""
    above = parse({"data": {KEY: document(host)}})
    return HostFacts(
        pod_cidrs=(plan.pod_cidr,),
        service_cidrs=(plan.service_cidr,),
        node_addresses=(node,),
        above=above,
    )


DEPTH, CLUSTERS = 6, 200
node_addresses = st.builds(
    lambda number: str(IPv4Network("10.0.0.0/8")[number]), st.integers(0, (1 << 24) - 1)
)


@settings(max_examples=25, deadline=None)
@given(
    parents=st.lists(st.integers(0, CLUSTERS), min_size=1, max_size=CLUSTERS),
    node=node_addresses,
)
def test_no_cluster_of_a_tree_overlaps_one_above_it_or_beside_it(
    parents: list[int], node: str
) -> None:
    """Cluster 0 is nobody's tenant; cluster n + 1 is a tenant of one of those before it."""
    outermost = HostFacts(
        pod_cidrs=("10.244.0.0/16",), service_cidrs=("10.96.0.0/12",), node_addresses=(node,)
    )
    hosts, depth = [outermost], [0]
    used: list[list[IPv4Network]] = [[*map(IPv4Network, ("10.244.0.0/16", "10.96.0.0/12", node))]]
    for number, wish in enumerate(parents):
        parent = wish % len(hosts)
        while depth[parent] == DEPTH:
            parent = (parent + 1) % len(hosts)
        host = hosts[parent]
        plan = plan_network(tenant(name=f"c{number}"), Facts(NOW, host), f"kc-{number}")
        mine = [IPv4Network(plan.pod_cidr), IPv4Network(plan.service_cidr)]
        siblings = [IPv4Network(c) for c in host.tenant_cidrs]
        above_and_beside = [*used[parent], *siblings]
        assert not any(a.overlaps(b) for a in mine for b in above_and_beside)
        hosts[parent] = replace(host, tenant_cidrs=(*host.tenant_cidrs, *plan.all))
        hosts.append(child_of(host, plan, f"{mine[0][5]}"))
        depth.append(depth[parent] + 1)
        used.append([*used[parent], *mine])
