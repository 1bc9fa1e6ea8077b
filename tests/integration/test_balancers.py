"""Load balancers: the host and the tenant are real API servers, the test is the host's load balancer."""

from collections.abc import Iterator
from typing import Any

import pytest

from kubeception import names
from kubeception.engine import balancer
from kubeception.engine.reconcile import Engine
from kubeception.kube.client import Cluster, Object
from tests.integration.test_machines import World

SPACE = "shop"


class Shop(World):
    """A tenant with machines, and Services of type LoadBalancer."""

    def __init__(self, host: Cluster, tenant: Cluster) -> None:
        super().__init__(host, tenant)
        tenant.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})

    def offer(self, **spec: Any) -> None:
        """What the host offers."""
        patch = {"spec": {"loadBalancers": spec}}
        self.host.patch("TenantCluster", self.name, patch, "default")

    def serve(self, name: str, annotations: dict[str, str] | None = None, **spec: Any) -> Object:
        ports = spec.pop("ports", [{"port": 80, "protocol": "TCP", "targetPort": 8080}])
        made = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": SPACE, "annotations": annotations or {}},
            "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": ports, **spec},
        }
        return self.tenant.apply(made, manager="customer")

    def service(self, name: str) -> Object:
        found = self.tenant.get("Service", name, SPACE)
        assert found
        return found

    def said(self, name: str) -> str:
        """The reason of its condition."""
        return balancer.said(self.service(name))[0]

    def addresses(self, name: str) -> Any:
        return self.service(name)["status"]["loadBalancer"].get("ingress", [])

    def in_host(self) -> dict[str, Object]:
        """The host's load balancers, by what they are for."""
        label = f"{names.COMPONENT_LABEL}=load-balancers"
        found = self.host.list("Service", self.control_plane, labels=label)
        key = names.TENANT_SERVICE_ANNOTATION
        return {o["metadata"]["annotations"][key].partition("/")[2]: o for o in found}

    def routed(self, name: str) -> list[str]:
        """The addresses behind one."""
        there = self.in_host()[name]["metadata"]["name"]
        found = self.host.get("EndpointSlice", there, self.control_plane)
        assert found
        return sorted(a for endpoint in found["endpoints"] or () for a in endpoint["addresses"])

    def balance(self, name: str, *entries: Object) -> None:
        """The host's load balancer has got, or changed, its address."""
        there = self.in_host()[name]["metadata"]["name"]
        body = {"status": {"loadBalancer": {"ingress": [*entries]}}}
        self.host.patch("Service", there, body, self.control_plane, subresource="status")

    def endpoint(self, name: str, machine: str) -> None:
        """A pod behind the tenant's Service is ready, on this machine only."""
        self.tenant.apply(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": f"{name}-1",
                    "namespace": SPACE,
                    "labels": {balancer.OF_SERVICE: name},
                },
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["10.200.0.5"], "nodeName": machine}],
                "ports": [{"port": 8080, "protocol": "TCP"}],
            }
        )

    def events(self, name: str) -> list[str]:
        """What we said of it: kube-apiserver's repair of addresses speaks of Services too."""
        fields = f"reportingComponent={names.FIELD_MANAGER}"
        found = self.tenant.list("Event", SPACE, fields=fields)
        return sorted(e["reason"] for e in found if e["involvedObject"]["name"] == name)


@pytest.fixture
def shop(virtual_host: Cluster, tenant: Cluster) -> Iterator[Shop]:
    yield Shop(virtual_host, tenant)
    for kind in ("Service", "EndpointSlice", "Event"):
        for found in tenant.list(kind, SPACE):
            tenant.delete(kind, found["metadata"]["name"], SPACE)
    for node in tenant.list("Node"):
        tenant.delete("Node", node["metadata"]["name"])


def test_a_service_is_one_of_the_host_with_its_address_written_back_for_life(shop: Shop) -> None:
    one, two = shop.ready_machines(2)
    service = shop.serve(
        "web", sessionAffinity="ClientIP", loadBalancerSourceRanges=["192.0.2.0/24"]
    )
    shop.step()
    made = shop.in_host()["web"]
    assert made["spec"]["type"] == "LoadBalancer"
    assert made["spec"]["sessionAffinity"] == "ClientIP"
    assert made["spec"]["loadBalancerSourceRanges"] == ["192.0.2.0/24"]
    (port,) = made["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, service["spec"]["ports"][0]["nodePort"])
    assert "selector" not in made["spec"]
    assert shop.routed("web") == ["10.244.0.10", "10.244.0.9"]
    assert shop.said("web") == "AddressPending"

    shop.balance("web", {"ip": "203.0.113.7"})
    shop.step()
    assert shop.addresses("web") == [{"ip": "203.0.113.7", "ipMode": "VIP"}]
    assert shop.said("web") == "Provided"
    assert shop.step().writes == 0
    shop.balance("web", {"ip": "203.0.113.8"})
    shop.step()
    assert [entry["ip"] for entry in shop.addresses("web")] == ["203.0.113.8"]
    assert shop.events("web") == ["AddressPending", "Provided"]

    shop.ready(one, "False", shop.clock())
    shop.step()
    assert shop.routed("web") == ["10.244.0.10"], two
    shop.host.delete("EndpointSlice", made["metadata"]["name"], shop.control_plane)
    shop.step()
    assert shop.routed("web") == ["10.244.0.10"]


def test_what_goes_in_the_tenant_goes_in_the_host(shop: Shop) -> None:
    shop.ready_machines(1)
    shop.serve("web")
    shop.serve("other")
    shop.step()
    assert set(shop.in_host()) == {"web", "other"}
    policy = shop.host.get("NetworkPolicy", "load-balancers", shop.namespace)
    assert policy
    assert len(policy["spec"]["ingress"][0]["ports"]) == 2
    shop.tenant.delete("Service", "web", SPACE)
    shop.step()
    assert set(shop.in_host()) == {"other"}
    shop.balance("other", {"ip": "203.0.113.7"})
    shop.step()
    shop.serve("other", type="ClusterIP")
    shop.step()
    assert shop.in_host() == {}
    assert shop.addresses("other") == []
    assert shop.host.get("NetworkPolicy", "load-balancers", shop.namespace) is None


@pytest.mark.attack("A12")
def test_nothing_a_tenant_says_comes_to_the_host_but_what_is_meant_to(shop: Shop) -> None:
    shop.ready_machines(1)
    evil = {
        "service.beta.kubernetes.io/aws-load-balancer-internal": "true",
        "metallb.io/loadBalancerIPs": "10.96.0.10",
        "kubeception.io/cluster": "another",
    }
    service = shop.serve(
        "web",
        evil,
        externalIPs=["10.96.0.1"],
        loadBalancerIP="10.96.0.10",
        externalName="kubernetes.default",
    )
    own = service["metadata"]
    shop.step()
    made = shop.in_host()["web"]
    assert not {"externalIPs", "loadBalancerIP", "externalName"} & made["spec"].keys()
    ours = {names.TENANT_SERVICE_ANNOTATION, names.APPLIED_ANNOTATION}
    assert set(made["metadata"]["annotations"]) == ours
    assert made["metadata"]["labels"][names.CLUSTER_LABEL] != "another"
    assert own["uid"] not in str(made)
    # the tenant's nodes may say any address: those of the machines count
    node = shop.node(shop.vms()[0])["metadata"]["name"]
    there = [{"type": "InternalIP", "address": "10.96.0.1"}]
    shop.tenant.patch("Node", node, {"status": {"addresses": there}}, subresource="status")
    shop.endpoint("web", node)
    shop.serve("web", evil, externalTrafficPolicy="Local")
    shop.step()
    assert shop.routed("web") == ["10.244.0.9"]


def test_of_a_local_service_only_nodes_with_an_endpoint_answer(shop: Shop) -> None:
    one, two = shop.ready_machines(2)
    shop.serve("web", externalTrafficPolicy="Local")
    shop.step()
    assert shop.in_host()["web"]["spec"]["externalTrafficPolicy"] == "Local"
    assert shop.routed("web") == []
    shop.balance("web", {"ip": "203.0.113.7"})
    shop.step()
    assert shop.said("web") == "NoNodes"
    shop.endpoint("web", two)
    shop.step()
    assert shop.routed("web") == ["10.244.0.10"]
    shop.endpoint("web", one)
    shop.step()
    assert shop.routed("web") == ["10.244.0.9"]
    assert shop.said("web") == "Provided"


def test_a_machine_that_is_to_go_no_longer_answers(shop: Shop) -> None:
    one, two = shop.ready_machines(2)
    shop.serve("web")
    shop.step()
    shop.pod("stays", one)
    shop.pod("stays-too", two)
    shop.scale(1)
    shop.step(2)
    assert len(shop.routed("web")) == 1
    assert len(shop.vms()) == 2


@pytest.mark.attack("A08")
def test_as_many_as_are_allowed_and_the_oldest_of_them(shop: Shop) -> None:
    shop.ready_machines(1)
    shop.offer(limit=1)
    shop.serve("first")
    shop.step()
    shop.serve("a-second")
    shop.step()
    assert set(shop.in_host()) == {"first"}
    assert shop.said("a-second") == "LimitReached"
    assert shop.events("a-second") == ["LimitReached"]
    assert shop.step().writes == 0
    shop.tenant.delete("Service", "first", SPACE)
    shop.step()
    assert set(shop.in_host()) == {"a-second"}


def test_what_the_host_refuses_is_told_without_its_reasons_and_stops_no_other(shop: Shop) -> None:
    shop.ready_machines(1)
    shop.serve("fine")
    shop.step()
    quota = {"apiVersion": "v1", "kind": "ResourceQuota"}
    meta = {"name": "secret-plan", "namespace": shop.control_plane}
    shop.host.apply({**quota, "metadata": meta, "spec": {"hard": {"services.loadbalancers": "1"}}})
    shop.host.patch(
        "ResourceQuota",
        "secret-plan",
        {
            "status": {
                "hard": {"services.loadbalancers": "1"},
                "used": {"services.loadbalancers": "1"},
            }
        },
        shop.control_plane,
        subresource="status",
    )
    shop.serve("too-much")
    shop.step()
    assert set(shop.in_host()) == {"fine"}
    assert balancer.said(shop.service("too-much")) == (
        "RefusedByHost",
        "the host refused it: Forbidden",
    )
    told = [
        event["message"]
        for event in shop.host.list("Event", "default")
        if event["reason"] == "LoadBalancerRefused" and event["involvedObject"]["name"] == shop.name
    ]
    assert "secret-plan" in told[0]


def test_where_the_host_has_node_ports_only_the_address_says_which(shop: Shop) -> None:
    shop.ready_machines(1)
    shop.offer(type="NodePort")
    shop.serve("web")
    shop.serve("shut", loadBalancerSourceRanges=["192.0.2.0/24"])
    shop.step(2)
    (port,) = shop.in_host()["web"]["spec"]["ports"]
    host_nodes = [e["ports"] for e in shop.addresses("web")]
    assert all(ports == [{"port": port["nodePort"], "protocol": "TCP"}] for ports in host_nodes)
    assert shop.said("shut") == "Unsupported"
    assert "shut" not in shop.in_host()


def test_services_of_another_class_and_of_a_host_without_offer_are_left_alone(shop: Shop) -> None:
    shop.ready_machines(1)
    shop.serve("theirs", loadBalancerClass="example.com/metallb")
    shop.serve("ours", loadBalancerClass=names.LOAD_BALANCER_CLASS)
    shop.step()
    assert set(shop.in_host()) == {"ours"}
    assert shop.said("theirs") == ""
    shop.offer(type="None")
    shop.step()
    assert shop.in_host() == {}


def test_an_api_that_does_not_answer_takes_no_load_balancer_away(shop: Shop) -> None:
    shop.ready_machines(1)
    shop.serve("web")
    shop.step()
    before = shop.in_host()["web"]
    with Engine(shop.host, "default", shop.name, patience=0.1) as engine:
        report = engine.step()
    assert not report.api_answers
    assert shop.in_host()["web"]["metadata"]["uid"] == before["metadata"]["uid"]
