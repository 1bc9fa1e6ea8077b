"""Which pods the way to an API server leads through."""

from typing import Any

from kubeception import names
from kubeception.engine.link import Link, _Goal, _pods
from kubeception.plan.facts import Object
from tests.plans import plan

MACHINES = {"controlPlane": {"provider": "kubevirt"}}


class Host:
    """Pods by namespace and label selector."""

    def __init__(self, place: tuple[str, str], *pods: Object) -> None:
        self.place, self.pods = place, list(pods)

    def list(self, kind: str, namespace: str, *, labels: str) -> list[Object]:
        return self.pods if (kind, namespace, labels) == ("Pod", *self.place) else []


def pod(name: str, *, ready: bool) -> Object:
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {"metadata": {"name": name}, "status": {"conditions": conditions}}


def found(spec: dict[str, Any], place: tuple[str, str]) -> str:
    host = Host(place, pod("starts", ready=False), pod("runs", ready=True))
    link = Link(host, lambda: None, lambda _: None)  # type: ignore[arg-type]
    return link._of_machine(_Goal({}, *_pods(plan(spec)), "a tenant", outside=False))


def test_through_the_pod_it_is() -> None:
    label = f"{names.COMPONENT_LABEL}=control-plane"
    assert found({}, (plan().namespace, label)) == "runs"


def test_through_the_pod_its_machine_is_in() -> None:
    ctx, label = plan(MACHINES), f"{names.POOL_LABEL}=demo-control-plane"
    assert found(MACHINES, (ctx.nodes_namespace, label)) == "runs"
    assert found(MACHINES, (ctx.namespace, label)) == ""
