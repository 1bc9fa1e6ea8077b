from typing import Any

import pytest

from kubeception import names
from kubeception.api.reasons import Reason
from kubeception.errors import SpecError
from kubeception.plan.bootstrap import Bootstrap
from kubeception.providers.base import Phase
from kubeception.providers.kubevirt import KubeVirt
from tests.plans import plan, pool

BOOT = Bootstrap("demo-1", (), ())


def vm(*, annotations: dict[str, str] | None = None, **rest: Any) -> dict[str, Any]:
    return {
        "kind": "VirtualMachine",
        "metadata": {
            "name": "demo-1",
            "uid": "vm-uid",
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "labels": {names.MACHINE_LABEL: "demo-1", names.POOL_LABEL: "demo"},
            "annotations": annotations or {},
            **rest.pop("metadata", {}),
        },
        **rest,
    }


def vmi(phase: str, uid: str = "life-1", **status: Any) -> dict[str, Any]:
    return {
        "kind": "VirtualMachineInstance",
        "metadata": {"name": "demo-1", "uid": uid},
        "status": {
            "phase": phase,
            "nodeName": "host-1",
            "interfaces": [
                {"name": "other", "ipAddress": "192.0.2.1"},
                {"name": "default", "ipAddress": "10.244.0.9"},
            ],
            **status,
        },
    }


def test_a_machine_is_a_secret_and_a_virtual_machine() -> None:
    ctx = plan()
    seed, machine = KubeVirt().render(ctx, pool(1), "demo-1", BOOT)
    assert seed["kind"] == "Secret"
    assert seed["stringData"]["userdata"] == BOOT.on_systemd().cloud_config()
    spec = machine["spec"]["template"]["spec"]
    (volume,) = [v for v in spec["volumes"] if "cloudInitNoCloud" in v]
    assert volume["cloudInitNoCloud"] == {"secretRef": {"name": seed["metadata"]["name"]}}
    assert {obj["metadata"]["namespace"] for obj in (seed, machine)} == {ctx.nodes_namespace}
    assert spec["domain"]["devices"]["interfaces"] == [
        {"name": "default", "model": "virtio", "masquerade": {}}
    ]


def test_the_pools_options_are_the_machines() -> None:
    big = pool(1, kubevirt={"cpus": 4, "memory": "8Gi", "image": "example.org/disk:1"})
    _, machine = KubeVirt().render(plan(), big, "demo-1", BOOT)
    spec = machine["spec"]["template"]["spec"]
    assert spec["domain"]["cpu"] == {"cores": 4}
    assert spec["domain"]["memory"] == {"guest": "8Gi"}
    assert spec["volumes"][0]["containerDisk"]["image"] == "example.org/disk:1"


def spec_of(**options: Any) -> dict[str, Any]:
    _, machine = KubeVirt().render(plan(), pool(1, kubevirt=options), "demo-1", BOOT)
    found: dict[str, Any] = machine["spec"]
    return found


def test_a_machine_of_which_nothing_is_said() -> None:
    spec = spec_of()["template"]["spec"]
    assert spec["domain"]["cpu"] == {"cores": 1}
    assert spec["domain"]["memory"] == {"guest": "1536Mi"}
    assert "nodeSelector" not in spec
    assert "resources" not in spec["domain"]
    (spread,) = spec["topologySpreadConstraints"]
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"


def test_an_instancetype_says_the_size() -> None:
    spec = spec_of(instancetype={"name": "u1.small"}, preference={"name": "debian"})
    assert spec["instancetype"] == {
        "name": "u1.small",
        "kind": "VirtualMachineClusterInstancetype",
    }
    assert spec["preference"] == {"name": "debian", "kind": "VirtualMachineClusterPreference"}
    assert not {"cpu", "memory"} & set(spec["template"]["spec"]["domain"])
    with pytest.raises(SpecError, match="the instancetype says them"):
        pool(1, kubevirt={"instancetype": {"name": "u1.small"}, "cpus": 2})


def test_what_is_reserved_for_a_machine() -> None:
    spec = spec_of(
        cpus=2,
        memory="4Gi",
        requests={"cpu": "2", "memory": "4Gi"},
        hugepages="2Mi",
        dedicatedCPUs=True,
    )
    domain = spec["template"]["spec"]["domain"]
    assert domain["cpu"] == {"cores": 2, "dedicatedCpuPlacement": True}
    assert domain["memory"] == {"guest": "4Gi", "hugepages": {"pageSize": "2Mi"}}
    assert domain["resources"] == {"requests": {"cpu": "2", "memory": "4Gi"}}


def test_where_machines_are() -> None:
    spec = spec_of(nodeSelector={"example.com/kind": "large"}, spread="Required")
    template = spec["template"]["spec"]
    assert template["nodeSelector"] == {"example.com/kind": "large"}
    assert template["topologySpreadConstraints"][0]["whenUnsatisfiable"] == "DoNotSchedule"


def test_more_disks() -> None:
    spec = spec_of(disks=[{"name": "data", "size": "10Gi"}])["template"]["spec"]
    disks = spec["domain"]["devices"]["disks"]
    assert [disk["name"] for disk in disks] == ["root", "seed", "disk-data"]
    assert disks[2]["serial"] == "data"
    assert spec["volumes"][2] == {"name": "disk-data", "emptyDisk": {"capacity": "10Gi"}}
    with pytest.raises(SpecError, match="same name"):
        pool(1, kubevirt={"disks": [{"name": "a", "size": "1Gi"}] * 2})


def test_what_a_machine_tells() -> None:
    (machine,) = KubeVirt().machines([vm(), vmi("Running")])
    assert (machine.name, machine.pool, machine.uid) == ("demo-1", "demo", "vm-uid")
    assert (machine.phase, machine.instance) == (Phase.RUNNING, "life-1")
    assert (machine.address, machine.host_node) == ("10.244.0.9", "host-1")


JOINED = {names.INSTANCE_ANNOTATION: "life-1"}


@pytest.mark.parametrize(
    ("objects", "phase", "message"),
    [
        ([vm()], Phase.PENDING, ""),
        ([vm(), vmi("Scheduling")], Phase.PENDING, ""),
        (
            [vm(status={"printableStatus": "ErrImagePull"})],
            Phase.PENDING,
            "its disk image can't be pulled",
        ),
        (
            [
                vm(
                    status={
                        "conditions": [
                            {"type": "PodScheduled", "status": "False", "message": "0/1 nodes fit"}
                        ]
                    }
                )
            ],
            Phase.PENDING,
            "0/1 nodes fit",
        ),
        ([vm(annotations=JOINED), vmi("Running")], Phase.RUNNING, ""),
        (
            [vm(annotations=JOINED), vmi("Running", "life-2")],
            Phase.ENDED,
            "the guest it was is gone",
        ),
        ([vm(annotations=JOINED)], Phase.ENDED, "the guest it was is gone"),
        ([vm(), vmi("Failed", reason="Crash")], Phase.ENDED, "the guest ended: Crash"),
        ([vm(), vmi("Succeeded")], Phase.ENDED, "the guest ended: Succeeded"),
        (
            [vm(metadata={"deletionTimestamp": "2026-01-02T03:04:05Z"}), vmi("Running")],
            Phase.REMOVING,
            "",
        ),
        ([vm(status={"conditions": None}), vmi("Running", interfaces=None)], Phase.RUNNING, ""),
    ],
)
def test_phases(objects: list[dict[str, Any]], phase: Phase, message: str) -> None:
    (machine,) = KubeVirt().machines(objects)
    assert (machine.phase, machine.message) == (phase, message)


@pytest.mark.parametrize(
    ("printable", "reason"),
    [
        ("CrashLoopBackOff", Reason.CONTAINER_ENDS),
        ("DataVolumeError", Reason.VOLUME_PENDING),
        ("ErrorPvcNotFound", Reason.VOLUME_PENDING),
        ("ErrorUnschedulable", Reason.UNSCHEDULABLE),
        ("ImagePullBackOff", Reason.IMAGE_NOT_PULLED),
        ("Starting", None),
    ],
)
def test_why_a_machine_does_not_start(printable: str, reason: Reason | None) -> None:
    (machine,) = KubeVirt().machines([vm(status={"printableStatus": printable})])
    assert machine.reason is reason
    assert bool(machine.message) == bool(reason)
    (running,) = KubeVirt().machines([vm(status={"printableStatus": printable}), vmi("Running")])
    assert (running.reason, running.message) == (None, "")


def test_what_the_host_takes_away_and_what_we_noted() -> None:
    noted = {
        names.TEMPLATE_ANNOTATION: "abc",
        names.DRAINING_ANNOTATION: "2026-01-02T03:04:05Z",
        names.IDLE_ANNOTATION: "2026-01-02T03:04:06Z",
    }
    objects = [vm(annotations=noted), vmi("Running", evacuationNodeName="host-1")]
    (machine,) = KubeVirt().machines(objects)
    assert machine.evicted
    assert machine.template == "abc"
    assert machine.draining_since is not None
    assert machine.idle_since is not None
    assert (machine.idle_since - machine.draining_since).seconds == 1


def test_other_virtual_machines_are_none_of_ours() -> None:
    stranger = vm()
    stranger["metadata"]["labels"] = {}
    assert KubeVirt().machines([stranger]) == []
