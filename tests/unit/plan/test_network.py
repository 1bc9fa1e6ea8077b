from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network

import pytest
from hypothesis import given, strategies as st

from kubeception import names
from kubeception.api.v1alpha1 import TenantCluster
from kubeception.errors import KubeceptionError, SpecError
from kubeception.plan import network
from kubeception.plan.facts import Facts, HostFacts, Level
from kubeception.plan.network import NetworkPlan, plan_network
from tests.plans import NOW, tenant

NAMESPACE = "kc-demo"
HOST = HostFacts(
    pod_cidrs=("10.244.0.0/16",),
    service_cidrs=("10.96.0.0/12",),
    node_addresses=("10.200.0.2", "fd00::2", "node.example"),
    tenant_cidrs=("10.32.0.0/16",),
)


def planned(cluster: TenantCluster, host: HostFacts = HOST) -> NetworkPlan:
    return plan_network(cluster, Facts(NOW, host), NAMESPACE)


def test_addresses_follow_from_the_ranges() -> None:
    plan = NetworkPlan("10.64.0.0/16", "10.65.16.0/20", "cluster.local")
    assert (plan.api_ip, plan.dns_ip, plan.node_mask) == ("10.65.16.1", "10.65.16.10", 24)


@pytest.mark.parametrize(("prefix", "mask"), [(8, 24), (16, 24), (20, 24), (22, 26), (24, 28)])
def test_a_small_pod_range_still_has_room_for_several_nodes(prefix: int, mask: int) -> None:
    assert NetworkPlan(f"10.0.0.0/{prefix}", "10.1.0.0/20", "x").node_mask == mask


def test_the_same_facts_give_the_same_plan() -> None:
    assert planned(tenant()) == planned(tenant())


def test_ranges_of_the_spec_are_used() -> None:
    spec = {"networking": {"podCIDR": "10.20.0.0/16", "serviceCIDR": "10.21.0.0/20"}}
    plan = planned(tenant(spec))
    assert (plan.pod_cidr, plan.service_cidr) == ("10.20.0.0/16", "10.21.0.0/20")


def test_the_planned_range_avoids_the_one_the_spec_gives() -> None:
    for second in range(16, 256, 16):
        spec = {"networking": {"podCIDR": f"10.{second}.0.0/12"}}
        plan = planned(tenant(spec), HostFacts())
        assert not IPv4Network(plan.service_cidr).overlaps(IPv4Network(plan.pod_cidr))


@pytest.mark.parametrize(
    ("networking", "culprit"),
    [
        ({"podCIDR": "10.244.0.0/24"}, "podCIDR: 10.244.0.0/24 overlaps 10.244.0.0/16 of the host"),
        ({"serviceCIDR": "10.100.0.0/16"}, "the host cluster's Services"),
        ({"podCIDR": "10.200.0.0/24"}, "10.200.0.2/32 of a node of the host cluster"),
        ({"podCIDR": "10.32.7.0/24"}, "another tenant"),
        ({"podCIDR": "10.0.0.0/16"}, "the network a virtual machine sees itself in"),
        ({"podCIDR": "169.254.0.0/20"}, "link-local"),
        ({"serviceCIDR": "172.0.0.0/8"}, "serviceCIDR: 172.0.0.0/8 is too large"),
    ],
)
def test_a_range_in_use_is_refused_and_the_culprit_named(
    networking: dict[str, str], culprit: str
) -> None:
    with pytest.raises(SpecError, match=culprit):
        planned(tenant({"networking": networking}))


@pytest.mark.parametrize(
    ("networking", "culprit"),
    [
        ({"podCIDR": "10.5.0.0/16"}, "the cluster that the host is in: its pods"),
        ({"serviceCIDR": "10.7.0.0/20"}, "the cluster 2 levels above the host: its Services"),
        ({"podCIDR": "192.168.0.0/16"}, "the cluster 2 levels above the host: its nodes"),
    ],
)
def test_ranges_of_the_clusters_above_are_refused_too(
    networking: dict[str, str], culprit: str
) -> None:
    outermost = Level(("10.6.0.0/16",), ("10.7.0.0/16",), ("192.168.4.0/24",))
    host = replace(HOST, above=(outermost, Level(("10.5.0.0/16",), ("10.8.0.0/20",), ())))
    with pytest.raises(SpecError, match=culprit):
        planned(tenant({"networking": networking}), host)


def test_every_bad_range_is_told_at_once() -> None:
    bad = {"podCIDR": "10.244.0.0/16", "serviceCIDR": "10.96.0.0/16"}
    with pytest.raises(SpecError) as caught:
        planned(tenant({"networking": bad}))
    assert len(caught.value.problems) == 2


def remembered(pods: str, services: str) -> Facts:
    annotations = {names.POD_CIDR_ANNOTATION: pods, names.SERVICE_CIDR_ANNOTATION: services}
    namespace = {"kind": "Namespace", "metadata": {"name": NAMESPACE, "annotations": annotations}}
    return Facts(NOW, HOST).with_objects([namespace])


def test_what_is_remembered_stands_whatever_the_host_has_become() -> None:
    facts = remembered("10.244.0.0/16", "10.96.0.0/20")
    plan = plan_network(tenant(), facts, NAMESPACE)
    assert (plan.pod_cidr, plan.service_cidr) == ("10.244.0.0/16", "10.96.0.0/20")


def test_a_range_that_differs_from_the_one_in_use_is_refused() -> None:
    facts = remembered("10.50.0.0/16", "10.51.0.0/20")
    wish = tenant({"networking": {"podCIDR": "10.60.0.0/16", "serviceCIDR": "10.51.0.0/20"}})
    with pytest.raises(SpecError, match=r"runs with 10\.50\.0\.0/16") as caught:
        plan_network(wish, facts, NAMESPACE)
    assert len(caught.value.problems) == 1


def test_smaller_ranges_are_taken_when_large_ones_are_gone() -> None:
    full = replace(
        HOST, pod_cidrs=("10.0.0.0/8", "172.16.0.0/13", "172.24.0.0/14", "172.28.0.0/15")
    )
    crowded = replace(full, tenant_cidrs=("172.30.128.0/17", "172.31.0.0/17"))
    plan = planned(tenant(), crowded)
    assert IPv4Network(plan.pod_cidr).prefixlen == 18


def test_no_room_is_an_error_that_says_so() -> None:
    with pytest.raises(KubeceptionError, match="no range is left for the Services"):
        planned(tenant(), HostFacts(pod_cidrs=("10.0.0.0/8", "172.16.0.0/12")))


NETWORKS = st.builds(
    lambda first, prefix: IPv4Network((first, prefix), strict=False),
    st.integers(10 << 24, (10 << 24) + (1 << 19)),
    st.integers(13, 30),
)


@given(st.lists(NETWORKS, max_size=30), st.integers(0, 12))
def test_what_is_found_free_overlaps_nothing_and_is_the_first_that_does_not(
    used: list[IPv4Network], start: int
) -> None:
    def slow() -> IPv4Network | None:
        for pool in network.POOLS:
            count = 1 << (16 - pool.prefixlen)
            subnets = list(pool.subnets(new_prefix=16))
            for step in range(count):
                found = subnets[(start + step) % count]
                if not any(found.overlaps(other) for other in used):
                    return found
        return None

    found = slow()
    if found is None:
        with pytest.raises(KubeceptionError, match="no range is left"):
            network._free(used, (16,), start, "pods", network.POOLS)
    else:
        assert network._free(used, (16,), start, "pods", network.POOLS) == found


DUAL = replace(HOST, pod_cidrs=("10.244.0.0/16", "fd00:10:244::/56"))
SIX = "fd12:3456:789a::/56"


def dual(**second: str) -> TenantCluster:
    return tenant({"networking": {"ipv6": second}})


def test_a_tenant_of_both_families_has_a_site_of_its_own() -> None:
    plan = planned(dual(), DUAL)
    pods, services = IPv6Network(plan.pod_cidr6), IPv6Network(plan.service_cidr6)
    assert (pods.prefixlen, services.prefixlen) == (56, 112)
    assert pods.supernet(new_prefix=48) == services.supernet(new_prefix=48)
    assert pods.subnet_of(IPv6Network("fd00::/8"))
    assert not pods.overlaps(services)
    assert plan.pod_cidrs == f"{plan.pod_cidr},{plan.pod_cidr6}"
    assert planned(tenant({"networking": {"ipv6": {}}}, name="other"), DUAL).pod_cidr6 != str(pods)
    one = planned(tenant(), DUAL)
    assert (one.dual, one.pod_cidrs, one.all) == (
        False,
        one.pod_cidr,
        (one.pod_cidr, one.service_cidr),
    )
    assert one.pod_cidr == plan.pod_cidr


def test_ipv6_ranges_of_the_spec_are_taken_and_the_other_is_found_beside_it() -> None:
    plan = planned(dual(podCIDR=SIX), DUAL)
    assert plan.pod_cidr6 == SIX
    assert plan.service_cidr6
    both = planned(dual(podCIDR=SIX, serviceCIDR="fd12:3456:789b::/112"), DUAL)
    assert (both.pod_cidr6, both.service_cidr6) == (SIX, "fd12:3456:789b::/112")


@pytest.mark.parametrize(
    ("second", "culprit"),
    [
        ({"podCIDR": "fd00:10:244::/48"}, "fd00:10:244::/56 of the host cluster's pods"),
        ({"podCIDR": "fd00::/56"}, "fd00::2/128 of a node of the host cluster"),
        ({"podCIDR": "fe80::/56"}, "link-local"),
        ({"podCIDR": "ff02::/56"}, "multicast"),
        ({"serviceCIDR": "fd10:0:2::/112"}, "the network a virtual machine sees itself in"),
        ({"serviceCIDR": "::/112"}, "addresses of one machine"),
    ],
)
def test_an_ipv6_range_in_use_is_refused(second: dict[str, str], culprit: str) -> None:
    with pytest.raises(SpecError, match=culprit):
        planned(dual(**second), DUAL)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"podCIDR": "fd12:3456:789a::1/56"}, "is not an IPv6 range"),
        ({"podCIDR": "10.0.0.0/16"}, "is not an IPv6 range"),
        ({"podCIDR": "FD12::/56"}, "must be written as fd12::/56"),
        ({"podCIDR": "fd12::/47"}, "between /48 and /60"),
        ({"podCIDR": "fd12::/64"}, "between /48 and /60"),
        ({"serviceCIDR": "fd12::/107"}, "between /108 and /120"),
        ({"podCIDR": "fd12::/56", "serviceCIDR": "fd12::/112"}, "overlaps serviceCIDR"),
    ],
)
def test_an_ipv6_range_of_no_use_is_refused(second: dict[str, str], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        dual(**second)


def test_flannel_needs_a_host_with_ipv6_and_others_do_not() -> None:
    with pytest.raises(SpecError, match="flannel sends IPv6 over nothing else") as caught:
        planned(dual())
    assert "IPv6 over IPv4" in caught.value.hint
    assert planned(dual(), HostFacts()).dual, "nothing is known of this host"
    assert planned(tenant({"networking": {"ipv6": {}, "cni": "none"}})).dual


def test_ipv6_ranges_are_remembered_and_stay() -> None:
    facts = remembered(f"10.50.0.0/16,{SIX}", "10.51.0.0/20,fd12::/112")
    plan = plan_network(dual(), facts, NAMESPACE)
    assert (plan.pod_cidr6, plan.service_cidr6) == (SIX, "fd12::/112")
    with pytest.raises(SpecError, match="but the cluster runs with fd12:3456:789a::/56"):
        plan_network(dual(podCIDR="fd13::/56"), facts, NAMESPACE)
    with pytest.raises(SpecError, match=r"ipv6: the cluster runs with 10\.50"):
        plan_network(tenant(), facts, NAMESPACE)
    with pytest.raises(SpecError, match="ipv6: the cluster runs without IPv6"):
        plan_network(dual(), remembered("10.50.0.0/16", "10.51.0.0/20"), NAMESPACE)
