from typing import ClassVar

import pytest

from kubeception.api.reasons import Reason
from kubeception.components.base import Component, Readiness, Side
from kubeception.engine.machines import MachineState
from kubeception.engine.report import Report
from kubeception.providers.base import Machine, Phase
from tests.plans import NOW, tenant


class OfHost(Component):
    name: ClassVar[str] = "control-plane"
    title: ClassVar[str] = "Control plane"


class OfTenant(Component):
    name: ClassVar[str] = "coredns"
    side: ClassVar[Side] = Side.TENANT
    title: ClassVar[str] = "DNS"


def report(*, host: bool, api: bool, nodes: int) -> Report:
    made = Report(tenant(), nodes_wanted=nodes, api_answers=api)
    made.record(OfHost(), Readiness.ready() if host else Readiness.waiting("0/1 replicas ready"))
    made.record(OfTenant(), Readiness.waiting("0/1 replicas ready"))
    return made


def test_the_host_is_waited_for_first() -> None:
    assert report(host=False, api=False, nodes=1).waits_for == "Control plane: 0/1 replicas ready"


def test_nodes_are_waited_for_before_what_runs_on_them() -> None:
    assert report(host=True, api=True, nodes=1).waits_for == "0/1 nodes ready"


def test_what_runs_in_the_tenant_is_waited_for_last() -> None:
    assert report(host=True, api=True, nodes=0).waits_for == "DNS: 0/1 replicas ready"


def test_nothing_is_waited_for_when_all_is_ready() -> None:
    made = report(host=True, api=True, nodes=0)
    made.record(OfTenant(), Readiness.ready())
    assert made.ready
    assert made.waits_for == ""


def pools(*states: MachineState, wanted: int, **holds: Readiness) -> Report:
    made = report(host=True, api=True, nodes=wanted)
    made.machines, made.holds = list(states), holds
    return made


def state(name: str, word: str = "Ready", **more: object) -> MachineState:
    machine = Machine(name, name.split("-", maxsplit=1)[0], Phase.RUNNING, NOW)
    return MachineState(machine, word, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("provider", "workers"), [("pod", 2), ("kubevirt", 1)])
def test_the_machines_of_a_control_plane_are_no_workers(provider: str, workers: int) -> None:
    """A pool may be called as they are where the control plane is pods."""
    own = Machine("demo-control-plane-0", "demo-control-plane", Phase.RUNNING, NOW)
    made = pools(state("w-1"), MachineState(own, "Booting"), wanted=1)
    made.cluster = tenant({"controlPlane": {"provider": provider}})
    assert len(made.workers) == workers
    assert len(made.control_plane) == 2 - workers
    assert made.nodes.ok is (workers == 1)
    assert made.nodes_ready == 1


def test_machines_of_an_older_template_are_waited_for() -> None:
    made = pools(state("w-1"), state("w-2", updated=False), wanted=2)
    assert made.nodes.message == "2/2 nodes ready, 1 to be replaced"
    assert not made.nodes_of("w", 2).ok
    assert made.updated_of("w").message == "1/2 machines are as the spec says"


def test_a_paused_pool_is_waited_for_only_where_its_number_is_wrong() -> None:
    paused = Readiness.waiting("the pool is paused", Reason.PAUSED)
    old = state("w-1", updated=False)
    assert pools(old, wanted=1, w=paused).nodes.ok
    assert pools(old, wanted=2, w=paused).nodes.reason is Reason.PAUSED
    other = pools(old, state("x-1"), wanted=2, w=paused)
    assert other.nodes.ok
    assert not other.updated_of("w").ok


def test_what_holds_a_pool_is_said_of_it_and_of_the_whole() -> None:
    held = Readiness.waiting("2 fail", Reason.TOO_MANY_UNHEALTHY)
    made = pools(state("w-1", "Failing", note="gone"), state("x-1"), wanted=2, w=held)
    assert made.nodes.reason is Reason.TOO_MANY_UNHEALTHY
    assert made.nodes_of("w", 1).message == "0/1 nodes ready, 2 fail"
    assert made.healthy_of("w") == held
    assert made.nodes_of("x", 1).ok
    assert made.healthy_of("x").ok


def test_why_a_node_is_missing() -> None:
    kept = state("w-1", "Draining", note="pod a/b is kept", trouble=Reason.DRAIN_BLOCKED)
    made = pools(kept, wanted=0)
    assert made.nodes == Readiness.waiting(
        "0/0 nodes ready, w-1: pod a/b is kept", Reason.DRAIN_BLOCKED
    )
    failing = pools(state("w-1", "Failing", note="it did not join"), wanted=1)
    assert failing.healthy_of("w").message == "w-1: it did not join"
