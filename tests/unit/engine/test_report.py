from typing import ClassVar

from kubeception.components.base import Component, Readiness, Side
from kubeception.engine.report import Report
from tests.plans import tenant


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
