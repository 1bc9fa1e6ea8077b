from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from kubeception.api.v1alpha1 import LoadBalancers
from kubeception.engine import balancer
from kubeception.engine.balancer import Verdict
from kubeception.engine.nodes import NO_NETWORK
from kubeception.providers.base import Machine, Phase
from tests.plans import plan

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ONE = Machine("one", "pool", Phase.RUNNING, NOW, address="10.0.0.1", host_node="host-1")
TWO = replace(ONE, name="two", address="10.0.0.2")


def node(name: str, *, ready: bool = True, **labels: str) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    meta = {"name": name, "labels": {key.replace("_", "-"): text for key, text in labels.items()}}
    return {"metadata": meta, "spec": {}, "status": {"conditions": conditions}}


def service(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "nodePort": 30080}]
    meta = {"name": "web", "namespace": "shop", "uid": "u", "annotations": annotations or {}}
    return {"metadata": meta, "spec": {"ports": ports, **spec}}


def context(kind: str = "LoadBalancer", *addresses: str) -> Any:
    offered = LoadBalancers.model_validate({"type": kind})
    facts = SimpleNamespace(host=SimpleNamespace(node_addresses=addresses))
    return SimpleNamespace(spec=SimpleNamespace(load_balancers=offered), facts=facts)


def names_of(found: list[Machine]) -> list[str]:
    return [machine.name for machine in found]


def answering(*nodes: dict[str, Any], selector: str = "") -> list[str]:
    asked = service({balancer.NODE_SELECTOR: selector} if selector else None)
    known = {found["metadata"]["name"]: found for found in nodes}
    return names_of(balancer.answering(asked, [TWO, ONE], known, []))


def test_ready_nodes_answer_and_all_where_none_is_ready() -> None:
    assert answering(node("one"), node("two", ready=False)) == ["one"]
    assert answering(node("one", ready=False), node("two", ready=False)) == ["one", "two"]
    assert answering(node("two")) == ["two"]


@pytest.mark.parametrize(
    ("going", "else_"),
    [
        (replace(ONE, phase=Phase.REMOVING), []),
        (replace(ONE, address=""), []),
        (replace(ONE, draining_since=NOW), ["one"]),
        (replace(ONE, evicted=True), ["one"]),
    ],
)
def test_a_machine_that_goes_answers_only_while_no_other_can(
    going: Machine, else_: list[str]
) -> None:
    known = {"one": node("one"), "two": node("two")}
    assert names_of(balancer.answering(service(), [going, TWO], known, [])) == ["two"]
    known["two"]["spec"]["taints"] = [NO_NETWORK]  # pods can't run there yet
    assert names_of(balancer.answering(service(), [going, TWO], known, [])) == (else_ or ["two"])
    local = service(externalTrafficPolicy="Local")
    there = [{"endpoints": [{"nodeName": "one"}]}]
    assert names_of(balancer.answering(local, [going, TWO], known, there)) == else_


def test_labels_of_nodes_and_the_services_own_selector_count() -> None:
    excluded = node("one")
    excluded["metadata"]["labels"][balancer.EXCLUDED] = ""
    assert answering(excluded, node("two")) == ["two"]
    both = (node("one", zone="a"), node("two", zone="b", fast=""))
    for selector, found in (
        ("zone=a", ["one"]),
        ("zone==b,fast", ["two"]),
        ("zone!=a", ["two"]),
        ("!fast", ["one"]),
        ("zone", ["one", "two"]),
        ("zone=c", []),
    ):
        assert answering(*both, selector=selector) == found, selector


def test_of_a_local_service_endpoints_that_are_not_ready_do_not_count() -> None:
    asked = service(externalTrafficPolicy="Local")
    found: list[dict[str, Any]] = [
        {"endpoints": [{"nodeName": "one", "conditions": {"ready": False}}]},
        {"endpoints": [{"nodeName": "two", "conditions": {"ready": True}}, {"addresses": ["x"]}]},
        {"endpoints": None},
    ]
    known = {"one": node("one"), "two": node("two", ready=False)}
    assert names_of(balancer.answering(asked, [ONE, TWO], known, found)) == ["two"]


@pytest.mark.parametrize(
    ("annotations", "spec", "said"),
    [
        ({}, {"ports": []}, "0 ports"),
        ({}, {"ports": [{"port": 80}]}, "no node port"),
        ({balancer.NODE_SELECTOR: "a in (b)"}, {}, "is not a list"),
        ({balancer.NODE_SELECTOR: "!a=b"}, {}, "is not a list"),
        ({balancer.NODE_SELECTOR: "a=b c"}, {}, "is not a list"),
        ({balancer.HOSTNAME: "-x\n"}, {}, "not a DNS name"),
    ],
)
def test_what_can_not_be_served_is_said(
    annotations: dict[str, str], spec: dict[str, Any], said: str
) -> None:
    found = balancer.problem(context(), service(annotations, **spec))
    assert found is not None
    assert said in found.message


def test_ranges_are_not_dropped_where_nothing_keeps_others_out() -> None:
    asked = service(loadBalancerSourceRanges=["192.0.2.0/24"])
    assert balancer.problem(context(), asked) is None
    assert balancer.problem(context("NodePort"), asked)


def test_the_address_is_the_hosts_or_the_name_that_was_asked_for() -> None:
    entry = {"ip": "203.0.113.7", "ipMode": "VIP", "ports": [{"port": 1}]}
    host = {"status": {"loadBalancer": {"ingress": [entry]}}, "spec": {"ports": []}}
    vip = {"ip": "203.0.113.7", "ipMode": "VIP"}
    assert balancer.ingress(context(), service(), host) == [vip]
    named = service({balancer.HOSTNAME: "web.example"})
    assert balancer.ingress(context(), named, host) == [{"hostname": "web.example"}]
    assert balancer.ingress(context(), named, {"status": {}, "spec": {}}) == []
    ports = {"spec": {"ports": [{"port": 80, "nodePort": 31234, "protocol": "TCP"}]}}
    assert balancer.ingress(context("NodePort", "192.0.2.1", "192.0.2.2"), service(), ports) == [
        {"ip": ip, "ipMode": "Proxy", "ports": [{"port": 31234, "protocol": "TCP"}]}
        for ip in ("192.0.2.1", "192.0.2.2")
    ]


def test_status_is_written_once_and_keeps_what_others_said() -> None:
    asked, verdict = service(), Verdict("Provided", "2 nodes answer", ok=True)
    theirs = {"type": "example.com/Checked", "status": "True"}
    asked["status"] = {"conditions": [theirs]}
    patch = balancer.status(asked, [{"ip": "203.0.113.7"}], verdict, NOW)
    assert patch
    assert patch["status"]["conditions"][0] == theirs
    asked["status"] = patch["status"]
    asked["status"]["loadBalancer"]["ingress"][0]["ipMode"] = "VIP"  # as an API server does
    assert balancer.status(asked, [{"ip": "203.0.113.7"}], verdict, NOW) is None
    assert balancer.status(asked, [{"ip": "203.0.113.8"}], verdict, NOW)
    assert balancer.status(asked, [{"ip": "203.0.113.7"}], Verdict("NoNodes", ""), NOW)


@pytest.mark.parametrize(
    ("spec", "limit"),
    [
        ({}, 16),
        ({"budget": {"loadBalancers": 3}}, 3),
        ({"budget": {"loadBalancers": 3}, "exposure": {"type": "LoadBalancer"}}, 2),
        ({"budget": {"loadBalancers": 3}, "loadBalancers": {"limit": 1}}, 1),
        ({"budget": {"loadBalancers": 3}, "loadBalancers": {"type": "NodePort"}}, 16),
    ],
)
def test_a_budget_is_for_those_of_services_and_that_of_the_api_server(
    spec: dict[str, Any], limit: int
) -> None:
    assert balancer.limit(plan(spec)) == limit
