import pytest

from kubeception.api.reasons import Reason
from kubeception.components.base import Readiness
from kubeception.engine.explain import is_on_its_way
from kubeception.engine.machines import MachineState
from kubeception.engine.nodes import NO_NETWORK
from kubeception.engine.report import Report
from kubeception.plan.facts import Object
from kubeception.providers.base import Machine, Phase
from tests.plans import NOW, tenant

CLOSED: Object = {"spec": {"taints": [NO_NETWORK]}}
OPEN: Object = {"spec": {}}


@pytest.mark.parametrize(
    ("nodes", "reason", "on_its_way"),
    [
        ([CLOSED, CLOSED], Reason.UNSCHEDULABLE, True),
        ([CLOSED, OPEN], Reason.UNSCHEDULABLE, False),
        ([CLOSED], Reason.IMAGE_NOT_PULLED, False),
        ([OPEN], Reason.UNSCHEDULABLE, False),
    ],
)
def test_a_pod_without_a_node_is_on_its_way_until_a_node_takes_pods(
    nodes: list[Object], reason: Reason, on_its_way: bool
) -> None:
    machine = Machine("m", "workers", Phase.RUNNING, NOW)
    report = Report(tenant(), machines=[MachineState(machine, "Ready", node) for node in nodes])
    assert is_on_its_way(Readiness.waiting("no node", reason), report) is on_its_way
