import json
from dataclasses import replace
from typing import Any

import pytest

from kubeception import names
from kubeception.components.namespace import Namespaces
from kubeception.plan.bootstrap import Bootstrap, File
from kubeception.plan.facts import Object
from kubeception.providers import machines
from kubeception.providers.base import Phase
from kubeception.providers.pod import PodProvider
from tests.plans import find, plan, pool

BOOT = Bootstrap("demo-1", (File("/etc/x", "$(reboot) `x` {{ y }}", "0600"),), (("echo", "; x"),))


def a_pod(*, annotations: dict[str, str] | None = None, **status: Any) -> Object:
    _, made = PodProvider().render(plan(), pool(1, provider="pod"), "demo-1", BOOT)
    meta = {
        **made["metadata"],
        "uid": "life-1",
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "annotations": annotations or {},
    }
    return {
        **made,
        "metadata": meta,
        "spec": {**made["spec"], "nodeName": "host-1"},
        "status": {"podIP": "10.244.0.9", **status},
    }


def test_what_it_boots_from_is_data_and_nothing_of_it_is_in_the_pod() -> None:
    ctx = plan()
    seed, made = PodProvider().render(ctx, pool(1, provider="pod"), "demo-1", BOOT)
    document = json.loads(seed["stringData"]["bootstrap.json"])
    assert document == {
        "hostname": "demo-1",
        "files": [{"path": "/etc/x", "content": "$(reboot) `x` {{ y }}", "mode": "0600"}],
        "commands": [["echo", "; x"]],
        "after": [],
        "podNetwork": True,
    }
    assert "reboot" not in json.dumps(made)
    assert {obj["metadata"]["namespace"] for obj in (seed, made)} == {ctx.nodes_namespace}
    (volume,) = [v for v in made["spec"]["volumes"] if "secret" in v]
    assert volume["secret"]["secretName"] == seed["metadata"]["name"]


def test_a_pod_has_one_life_and_no_account() -> None:
    spec = a_pod()["spec"]
    assert spec["restartPolicy"] == "Never"
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert not [volume for volume in spec["volumes"] if "hostPath" in volume]


def test_the_pools_options_are_the_pods() -> None:
    options = {"cpus": 2, "memory": "3Gi", "image": "example.org/node:1"}
    _, made = PodProvider().render(plan(), pool(1, provider="pod", pod=options), "demo-1", BOOT)
    (container,) = made["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": 2, "memory": "3Gi"}
    assert container["image"] == "example.org/node:1"
    assert "limits" not in a_pod()["spec"]["containers"][0]["resources"]


def test_what_a_machine_tells() -> None:
    (machine,) = machines([a_pod(phase="Running")])
    assert (machine.name, machine.pool, machine.provider) == ("demo-1", "demo", "pod")
    assert (machine.phase, machine.instance, machine.uid) == (Phase.RUNNING, "life-1", "life-1")
    assert (machine.address, machine.host_node) == ("10.244.0.9", "host-1")


def test_the_pod_of_a_virtual_machine_is_no_node() -> None:
    launcher = a_pod(phase="Running")
    del launcher["metadata"]["labels"][names.PROVIDER_LABEL]
    assert machines([launcher]) == []


@pytest.mark.parametrize(
    ("status", "annotations", "phase", "message"),
    [
        ({}, {}, Phase.PENDING, ""),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 fit"}]},
            {},
            Phase.PENDING,
            "0/1 fit",
        ),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]},
            {},
            Phase.PENDING,
            "",
        ),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]},
            {},
            Phase.PENDING,
            "ErrImagePull",
        ),
        ({"phase": "Running"}, {names.INSTANCE_ANNOTATION: "life-1"}, Phase.RUNNING, ""),
        (
            {"phase": "Running"},
            {names.INSTANCE_ANNOTATION: "life-0"},
            Phase.ENDED,
            "the pod it was is gone",
        ),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "low on memory"},
            {},
            Phase.ENDED,
            "the pod ended: low on memory",
        ),
        ({"phase": "Succeeded"}, {}, Phase.ENDED, "the pod ended: Succeeded"),
    ],
)
def test_phases(
    status: dict[str, Any], annotations: dict[str, str], phase: Phase, message: str
) -> None:
    (machine,) = machines([a_pod(annotations=annotations, **status)])
    assert (machine.phase, machine.message) == (phase, message)


def level(provider: str, *, allowed: bool) -> str:
    """The Pod Security Standard of the machines' namespace."""
    ctx = plan(pools=(pool(1, provider=provider),))
    if not allowed:
        home = {"kind": "Namespace", "metadata": {"name": "default", "labels": {}}}
        ctx = replace(ctx, facts=ctx.facts.with_objects([home]))
    space = find(list(Namespaces().objects(ctx)), "Namespace", ctx.nodes_namespace)
    return str(space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"])


def test_privileged_pods_may_be_where_they_are_both_allowed_and_asked_for() -> None:
    assert level("pod", allowed=True) == "privileged"
    assert level("pod", allowed=False) == "baseline"
    assert level("kubevirt", allowed=True) == "baseline"
