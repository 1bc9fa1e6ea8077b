"""A network that the tenant's author brings."""

from dataclasses import replace
from typing import Any

import pytest

from kubeception import names
from kubeception.components.base import State
from kubeception.components.network import RECORD, CustomNetwork, recorded
from kubeception.engine.apply import prepare
from kubeception.errors import SpecError
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object, Referred, key_of
from tests.plans import everything, plan, pool

SPEC = {"networking": {"cni": "custom", "manifestRef": {"name": "mine"}}}
AGENT = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: kube-system}
---
apiVersion: example.com/v1
kind: Pool
metadata: {name: blue, namespace: kube-system}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
"""
SERVED = {("apps/v1", "DaemonSet"): True, ("v1", "ConfigMap"): True}


def context(
    text: str | None = AGENT, served: Any = SERVED, there: tuple[Object, ...] = ()
) -> PlanContext:
    ctx = plan(SPEC, pools=(pool(1),))
    config_map = {"metadata": {"name": "mine"}, "data": {"a.yaml": text}}
    referred = Referred(config_map) if text is not None else Referred(problem="does not exist")
    facts = replace(ctx.facts, manifest=referred, served=served).with_tenant_objects(there)
    return replace(ctx, facts=facts)


def objects(ctx: PlanContext) -> dict[Any, Object]:
    return {key_of(obj): obj for obj in CustomNetwork().objects(ctx)}


def test_objects_are_where_kubectl_would_put_them() -> None:
    pools = {("example.com/v1", "Pool"): False}
    assert list(objects(context(served=SERVED | pools))) == [
        RECORD,
        ("DaemonSet", "kube-system", "agent"),
        ("Pool", "", "blue"),
        ("ConfigMap", "default", "settings"),
    ]


def test_what_the_tenant_has_no_kind_for_is_waited_for() -> None:
    ctx = context()
    assert ("Pool", "kube-system", "blue") not in objects(ctx)
    found = CustomNetwork().ready(ctx, {})
    assert found.state is State.WAITING
    assert "Pool (example.com/v1)" in found.message
    assert found.until
    assert found.until.kind == "CustomResourceDefinition"


def test_it_is_ready_when_its_workloads_are() -> None:
    ctx = context(served=SERVED | {("example.com/v1", "Pool"): True})
    seen = objects(ctx)
    agent = seen["DaemonSet", "kube-system", "agent"]
    agent = {**agent, "status": {"desiredNumberScheduled": 2, "numberReady": 1}}
    found = CustomNetwork().ready(ctx, {**seen, key_of(agent): agent})
    assert found.message == "DaemonSet kube-system/agent: 1/2 pods ready"
    agent["status"]["numberReady"] = 2
    assert CustomNetwork().ready(ctx, {**seen, key_of(agent): agent}).ok


@pytest.mark.parametrize(("nodes", "ok"), [(0, True), (1, False)])
def test_without_nodes_no_deployment_is_waited_for(nodes: int, ok: bool) -> None:
    text = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: 1}}"
    ctx = replace(context(text, {("apps/v1", "Deployment"): True}), pools=(pool(nodes),))
    assert CustomNetwork().ready(ctx, objects(ctx)).ok is ok


def test_the_record_has_the_kinds_of_now_and_of_what_is_left() -> None:
    left = {
        "apiVersion": "example.com/v1",
        "kind": "Old",
        "metadata": {"name": "x", "labels": {names.COMPONENT_LABEL: "network"}},
    }
    record = objects(context(there=(left,)))[RECORD]
    assert recorded(record) == [
        ("apps/v1", "DaemonSet"),
        ("example.com/v1", "Old"),
        ("example.com/v1", "Pool"),
        ("v1", "ConfigMap"),
    ]


def test_what_another_component_has_is_not_taken() -> None:
    own = [o for o in everything(plan()) if key_of(o) == ("ConfigMap", "kube-system", "coredns")]
    theirs = prepare(own[0], {names.COMPONENT_LABEL: "coredns"})
    text = (
        AGENT
        + "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, namespace: kube-system}}"
    )
    with pytest.raises(SpecError, match="ConfigMap kube-system/coredns: is kubeception's own"):
        objects(context(text % "coredns", there=(theirs,)))
    with pytest.raises(SpecError, match="kubeception-network: is kubeception's own"):
        objects(context(text % RECORD[2]))
    mine = prepare(own[0], {names.COMPONENT_LABEL: "network"})
    assert len(objects(context(text % "coredns", there=(mine,)))) == 4


def test_a_manifest_that_is_not_there_removes_nothing() -> None:
    with pytest.raises(SpecError, match=r"spec.networking.manifestRef: does not exist") as caught:
        objects(context(None))
    assert "Nothing of the network is removed" in caught.value.hint


def test_all_problems_of_a_manifest_are_said() -> None:
    with pytest.raises(SpecError) as caught:
        objects(context("- 1\n---\n- 2"))
    assert len(caught.value.problems) == 2
    assert "ConfigMap default/mine" in caught.value.message


def test_on_paper_and_with_another_network_there_is_none() -> None:
    assert list(CustomNetwork().objects(plan(SPEC))) == []
    assert list(CustomNetwork().objects(plan())) == []


@pytest.mark.parametrize(
    "networking", [{"cni": "custom"}, {"manifestRef": {"name": "mine"}}], ids=["without", "unasked"]
)
def test_a_manifest_and_a_custom_network_belong_together(networking: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="manifestRef: is for cni custom"):
        plan({"networking": networking})
