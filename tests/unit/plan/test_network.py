from dataclasses import replace
from ipaddress import IPv4Network

import pytest
from hypothesis import given, strategies as st

from kubeception import names
from kubeception.api.v1alpha1 import TenantCluster
from kubeception.errors import KubeceptionError, SpecError
from kubeception.plan import network
from kubeception.plan.facts import Facts, HostFacts
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
            network._free(used, (16,), start, "pods")
    else:
        assert network._free(used, (16,), start, "pods") == found
