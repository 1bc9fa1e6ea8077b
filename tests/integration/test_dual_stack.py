"""A tenant of both families: what is rendered for it, in a real kube-apiserver and kube-controller-manager."""

import json
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

import pytest

from kubeception.kube.client import Cluster
from kubeception.plan.context import PlanContext
from kubeception.plan.edit import container
from tests.integration.operators import until
from tests.integration.servers import api_server, binary, free_port, process
from tests.plans import everything, find, plan

RANGES = ("--service-cluster-ip-range=", "--cluster-cidr=", "--node-cidr-mask-size")


@pytest.fixture(scope="module")
def ctx() -> PlanContext:
    found = plan({"networking": {"ipv6": {}}})
    pods = ("10.244.0.0/16", "fd00:10:244::/56")
    host = replace(found.facts.host, pod_cidrs=pods)
    return replace(found, facts=replace(found.facts, host=host))


@pytest.fixture(scope="module")
def dual(
    ctx: PlanContext, tmp_path_factory: pytest.TempPathFactory, etcd: str
) -> Iterator[Cluster]:
    """An API server and the controller of nodes' ranges, with the flags of a tenant that are about ranges."""
    deployment = find(everything(ctx), "Deployment", "control-plane")

    def ranges(name: str) -> list[str]:
        return [arg for arg in container(deployment, name)["args"] if arg.startswith(RANGES)]

    folder = tmp_path_factory.mktemp("dual") / "api"
    with api_server(folder, etcd, "/dual", *ranges("kube-apiserver")) as server:
        (folder / "kubeconfig").write_text(json.dumps(server.kubeconfig))
        controllers = (
            binary("kube-controller-manager"),
            "--kubeconfig=kubeconfig",
            "--controllers=node-ipam-controller",
            "--allocate-node-cidrs=true",
            "--leader-elect=false",
            f"--secure-port={free_port()}",
            "--bind-address=127.0.0.1",
            *ranges("kube-controller-manager"),
        )
        with process(folder, *controllers), server.cluster("tenant") as cluster:
            yield cluster


def service(name: str, **spec: Any) -> Any:
    meta = {"name": name, "namespace": "default"}
    ports = [{"port": 80}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {"ports": ports, **spec},
    }


def test_a_service_of_family_ipv6_has_an_address_of_the_second_range(
    ctx: PlanContext, dual: Cluster
) -> None:
    six = dual.apply(service("six", ipFamilies=["IPv6"]))["spec"]
    assert ip_address(six["clusterIP"]) in ip_network(ctx.network.service_cidr6)
    both = dual.apply(service("both", ipFamilyPolicy="RequireDualStack"))["spec"]
    assert both["ipFamilies"] == ["IPv4", "IPv6"]
    assert ip_address(both["clusterIPs"][0]) in ip_network(ctx.network.service_cidr)
    assert ip_address(both["clusterIPs"][1]) in ip_network(ctx.network.service_cidr6)
    plain = dual.apply(service("plain"))["spec"]
    assert plain["ipFamilies"] == ["IPv4"]


def test_dns_answers_at_an_address_of_each_family(ctx: PlanContext, dual: Cluster) -> None:
    spec = dual.apply(find(everything(ctx), "Service", "kube-dns"))["spec"]
    assert spec["clusterIP"] == ctx.network.dns_ip
    assert [ip_address(address).version for address in spec["clusterIPs"]] == [4, 6]


def test_a_node_has_a_range_of_each_family(ctx: PlanContext, dual: Cluster) -> None:
    dual.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})

    def ranges() -> list[str]:
        found = dual.get("Node", "n")
        return list((found or {"spec": {}})["spec"].get("podCIDRs", ()))

    said = until(ranges)
    four, six = IPv4Network(said[0]), IPv6Network(said[1])
    assert four.subnet_of(IPv4Network(ctx.network.pod_cidr))
    assert six.subnet_of(IPv6Network(ctx.network.pod_cidr6))
    assert (four.prefixlen, six.prefixlen) == (24, 64)
