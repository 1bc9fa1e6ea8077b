from typing import Any

import pytest

from kubeception import names
from kubeception.plan.context import PlanContext
from kubeception.plan.control_plane import (
    Member,
    answering,
    members,
    next_of,
    own_address,
    pool_of,
    taken,
)
from kubeception.plan.facts import Object
from tests.plans import plan, pool

MACHINES = {"controlPlane": {"provider": "kubevirt", "replicas": 3}}
NAME = "demo-control-plane-0"


def member(index: int, **more: Any) -> Member:
    return Member(index, f"m-{index}", f"control-plane-{index}", **more)


def seen(
    *, guest: str = "", became: str = "", member: str = "", phase: str = "Running"
) -> PlanContext:
    """The first machine as the host has it: its guest, and those that became a node and a member."""
    ctx = plan(MACHINES)
    said = {names.INSTANCE_ANNOTATION: became, names.MEMBER_ANNOTATION: member}
    marks = {key: value for key, value in said.items() if value}
    meta = {"name": NAME, "namespace": ctx.nodes_namespace}
    found: list[Object] = [{"kind": "VirtualMachine", "metadata": {**meta, "annotations": marks}}]
    if guest:
        interfaces = [
            {"name": "other", "ipAddress": "192.0.2.1"},
            {"name": "default", "ipAddress": "10.244.0.9"},
        ]
        status = {"phase": phase, "interfaces": interfaces}
        kind = "VirtualMachineInstance"
        found.append({"kind": kind, "metadata": {**meta, "uid": guest}, "status": status})
    facts = ctx.facts.with_objects(found)
    return PlanContext(ctx.cluster, (), facts, ctx.keys)


def test_pods_are_no_machines() -> None:
    assert pool_of(plan()) is None


def test_the_machines_are_as_the_spec_says_and_keep_pods_away() -> None:
    size = {"cpus": 4, "memory": "8Gi"}
    made = pool_of(plan({"controlPlane": {"provider": "kubevirt", "kubevirt": size}}))
    assert made
    assert made.spec.kubevirt
    assert (made.spec.kubevirt.cpus, made.spec.kubevirt.memory) == (4, "8Gi")
    assert [taint.key for taint in made.spec.taints] == ["node-role.kubernetes.io/control-plane"]


@pytest.mark.parametrize("cluster", ["a", "x" * names.CLUSTER_NAME_LIMIT, "demo-" * 7 + "d"])
def test_their_name_is_one_that_fits(cluster: str) -> None:
    name = names.control_plane_pool(cluster)
    assert len(name) <= names.CLUSTER_NAME_LIMIT
    assert name.endswith("-control-plane")


def test_long_names_stay_apart() -> None:
    ours, theirs = ("x" * 39 + last for last in "ab")
    assert names.control_plane_pool(ours) != names.control_plane_pool(theirs)


def test_a_pool_may_not_be_called_as_they_are() -> None:
    mine = pool(1).model_copy(
        update={"metadata": pool(1).metadata.model_copy(update={"name": "demo-control-plane"})}
    )
    assert taken(plan(MACHINES).cluster, mine)
    assert not taken(plan().cluster, mine)
    assert not taken(plan(MACHINES).cluster, pool(1))


def test_a_machine_that_is_not_there() -> None:
    first, *_ = members(plan(MACHINES))
    assert first == Member(0, NAME, "control-plane-0")


def test_a_machine_that_boots_is_reached_and_is_no_member() -> None:
    (first, second, third) = members(seen(guest="g1"))
    assert (first.made, first.phase, first.address) == (True, "Running", "10.244.0.9")
    assert not first.joined
    assert not first.lost
    assert not second.made
    assert not third.made


def test_a_machine_that_is_a_node_is_no_member_before_that_was_seen() -> None:
    assert not members(seen(guest="g1", became="g1"))[0].joined
    (first, *_) = members(seen(guest="g1", became="g1", member="g1"))
    assert first.joined
    assert not first.lost


@pytest.mark.parametrize(
    "what",
    [
        {"guest": "g2", "became": "g1", "member": "g1"},
        {"became": "g1", "member": "g1"},
        {"guest": "g1", "became": "g1", "member": "g1", "phase": "Failed"},
        {"guest": "g1", "phase": "Failed"},
    ],
)
def test_a_machine_whose_guest_is_gone_is_lost(what: dict[str, str]) -> None:
    (first, *_) = members(seen(**what))
    assert first.lost
    assert not first.joined


def test_an_address_of_a_guest_that_does_not_run_is_nobodys() -> None:
    assert members(seen(guest="g1", phase="Scheduling"))[0].address == ""


def test_each_has_an_address_of_its_own() -> None:
    ctx = plan(MACHINES)
    assert [own_address(ctx, each) for each in members(ctx)] == [
        "192.0.2.20",
        "192.0.2.21",
        "192.0.2.22",
    ]


def test_until_there_is_a_member_the_first_answers_alone() -> None:
    known = [member(0, made=True, address="10.0.0.1"), member(1, made=True, address="10.0.0.2")]
    assert [each.index for each in answering(known)] == [0]


def test_members_answer_and_those_that_become_one_do_not() -> None:
    known = [
        member(0, made=True, address="10.0.0.1", joined=True),
        member(1, made=True, address="10.0.0.2"),
        member(2, made=True, address="10.0.0.3", joined=True),
    ]
    assert [each.index for each in answering(known)] == [0, 2]


def test_nobody_answers_before_there_is_an_address() -> None:
    assert list(answering([member(0, made=True, joined=True)])) == []


def test_the_first_is_made_without_asking() -> None:
    found = next_of([member(0), member(1), member(2)], answers=False)
    assert found
    assert found.index == 0


@pytest.mark.parametrize(
    ("joined", "answers", "index"), [(True, True, 1), (False, True, None), (True, False, None)]
)
def test_the_others_are_made_once_those_before_are_members(
    joined: bool, answers: bool, index: int | None
) -> None:
    known = [member(0, made=True, joined=joined), member(1), member(2)]
    found = next_of(known, answers=answers)
    assert (found.index if found else None) == index


def test_none_is_made_where_all_are() -> None:
    assert next_of([member(0, made=True, joined=True)], answers=True) is None


def test_a_first_one_that_is_gone_makes_no_second_cluster() -> None:
    known = [member(0), member(1, made=True, joined=True), member(2, made=True, joined=True)]
    assert next_of(known, answers=False) is None
    found = next_of(known, answers=True)
    assert found
    assert found.index == 0
