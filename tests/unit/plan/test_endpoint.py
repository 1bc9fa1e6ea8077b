import pytest

from kubeception.plan.context import PlanContext
from kubeception.plan.endpoint import Endpoint
from kubeception.plan.facts import Facts, HostFacts, Object
from tests.plans import NOW, plan


def seen(exposure: Object, service: Object | None, *nodes: str) -> Endpoint | None:
    facts = Facts(NOW, HostFacts(node_addresses=nodes))
    ctx: PlanContext = plan({"exposure": exposure}, facts=facts)
    if service is not None:
        meta = {"name": "kube-apiserver", "namespace": ctx.namespace}
        facts = facts.with_objects([{"kind": "Service", "metadata": meta, **service}])
    return plan({"exposure": exposure}, facts=facts).endpoint


SERVICE = {
    "spec": {
        "clusterIP": "10.96.1.1",
        "ports": [{"port": 8132, "nodePort": 30001}, {"port": 6443, "nodePort": 30002}],
    }
}


@pytest.mark.parametrize("service", [None, {"spec": {}}, {"spec": {"clusterIP": ""}}])
def test_there_is_none_before_the_service_has_an_address(service: Object | None) -> None:
    assert seen({}, service) is None


def test_node_port() -> None:
    endpoint = seen({}, SERVICE, "10.0.0.5", "10.0.0.6")
    assert endpoint is not None
    assert endpoint.url == "https://10.0.0.5:30002"
    assert endpoint.internal_url == "https://10.96.1.1:6443"
    assert endpoint.sans == ("10.96.1.1", "10.0.0.5")


def test_node_port_of_a_host_that_shows_no_nodes_is_the_cluster_address() -> None:
    endpoint = seen({}, SERVICE)
    assert endpoint is not None
    assert endpoint.url == endpoint.internal_url


def test_cluster_ip() -> None:
    endpoint = seen({"type": "ClusterIP"}, SERVICE, "10.0.0.5")
    assert endpoint is not None
    assert endpoint.url == "https://10.96.1.1:6443"


@pytest.mark.parametrize(
    ("ingress", "host"),
    [({"ip": "198.51.100.7"}, "198.51.100.7"), ({"hostname": "lb.example"}, "lb.example")],
)
def test_load_balancer(ingress: Object, host: str) -> None:
    status = {"status": {"loadBalancer": {"ingress": [ingress]}}}
    endpoint = seen({"type": "LoadBalancer"}, SERVICE | status)
    assert endpoint is not None
    assert not endpoint.pending
    assert endpoint.url == f"https://{host}:6443"


def test_a_load_balancer_without_address_is_pending_but_has_an_inside() -> None:
    endpoint = seen({"type": "LoadBalancer"}, SERVICE | {"status": {"loadBalancer": {}}})
    assert endpoint is not None
    assert endpoint.pending
    assert endpoint.internal_url == "https://10.96.1.1:6443"


def test_a_name_of_the_spec_replaces_the_observed_one() -> None:
    exposure = {"host": "2001:db8::1", "extraSANs": ["api.example", "10.96.1.1"]}
    endpoint = seen(exposure, SERVICE, "10.0.0.5")
    assert endpoint is not None
    assert endpoint.url == "https://[2001:db8::1]:30002"
    assert endpoint.sans == ("10.96.1.1", "2001:db8::1", "api.example")
