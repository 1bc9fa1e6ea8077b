from dataclasses import replace
from typing import Any

import pytest
import yaml

from kubeception import names
from kubeception.api.reasons import Reason
from kubeception.errors import SpecError
from kubeception.plan.bootstrap import Bootstrap
from kubeception.plan.render import manifest
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


@pytest.mark.attack("A14")
@pytest.mark.parametrize(
    "text",
    [
        "disk:1\n      - name: x\n        hostDisk: {path: /}",
        "disk:1', hostDisk: {path: /}, x: '",
        "{{ names }}",
        "&a [*a]",
    ],
)
def test_an_image_brings_no_field_along(text: str) -> None:
    """It is refused; what its template would make of it is a text all the same."""
    with pytest.raises(SpecError, match=r"spec\.kubevirt\.image"):
        pool(1, kubevirt={"image": text})
    values = {"machine": "m", "namespace": "n", "labels": {}, "spread": {}, "image": text}
    root, *_ = manifest("kubevirt/vm.yaml.j2", values)["spec"]["template"]["spec"]["volumes"]
    assert root == {
        "name": "root",
        "containerDisk": {"image": text, "imagePullPolicy": "IfNotPresent"},
    }


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


def test_a_root_disk_on_a_volume() -> None:
    made = pool(1, kubevirt={"rootDisk": {"size": "20Gi"}})
    seed, machine = KubeVirt().render(plan(), made, "demo-1", BOOT)
    (template,) = machine["spec"]["dataVolumeTemplates"]
    spec = machine["spec"]["template"]["spec"]
    assert spec["volumes"][0] == {
        "name": "root",
        "dataVolume": {"name": template["metadata"]["name"]},
    }
    image = template["spec"]["source"]["registry"]["url"].removeprefix("docker://")
    assert spec["domain"]["firmware"]["kernelBoot"]["container"]["image"] == image
    assert "resize2fs" in seed["stringData"]["userdata"]
    assert "resize2fs" not in KubeVirt().render(plan(), pool(1), "demo-1", BOOT)[0]["stringData"]
    others = pool(1, kubevirt={"rootDisk": {"size": "20Gi"}, "image": "example.org/disk:1"})
    seed, machine = KubeVirt().render(plan(), others, "demo-1", BOOT)
    (template,) = machine["spec"]["dataVolumeTemplates"]
    assert template["spec"]["source"]["registry"]["url"] == "docker://example.org/disk:1"
    assert "resize2fs" not in seed["stringData"]["userdata"]


def test_network_data_comes_beside_user_data_and_our_disk_heeds_it() -> None:
    text = "version: 2\n"
    made = pool(1, kubevirt={"networkData": text})
    seed, machine = KubeVirt().render(plan(), made, "demo-1", BOOT)
    assert seed["stringData"]["networkdata"] == text
    spec = machine["spec"]["template"]["spec"]
    assert spec["volumes"][1]["cloudInitNoCloud"] == {
        "secretRef": {"name": "demo-1"},
        "networkDataSecretRef": {"name": "demo-1"},
    }
    kernel = spec["domain"]["firmware"]["kernelBoot"]["kernelArgs"]
    assert "network-config" not in kernel
    assert "networkctl" in seed["stringData"]["userdata"]
    seed, machine = KubeVirt().render(plan(), pool(1), "demo-1", BOOT)
    spec = machine["spec"]["template"]["spec"]
    assert seed["stringData"].keys() == {"userdata"}
    assert "networkDataSecretRef" not in spec["volumes"][1]["cloudInitNoCloud"]
    kernel = spec["domain"]["firmware"]["kernelBoot"]["kernelArgs"]
    assert "network-config=disabled" in kernel.split()
    assert "networkctl" not in seed["stringData"]["userdata"]


def test_a_machine_that_is_to_move_is_marked_and_kubevirt_leaves_that_to_us() -> None:
    for eviction, marks in (
        ("Replace", None),
        ("LiveMigrate", {"kubeception.io/eviction": "LiveMigrate"}),
    ):
        made = pool(1, kubevirt={"eviction": eviction})
        _, machine = KubeVirt().render(plan(), made, "demo-1", BOOT)
        assert machine["metadata"].get("annotations") == marks
        assert machine["spec"]["template"]["spec"]["evictionStrategy"] == "External"


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


@pytest.mark.parametrize("kind", ["Failure", "Synchronized"])
def test_a_quota_that_has_no_room_is_told_by_its_name(kind: str) -> None:
    said = 'pods "virt-launcher-m" is forbidden: exceeded quota: budget, requested: requests.memory=2Gi'
    state = {"type": kind, "status": "False", "reason": "FailedCreate", "message": said}
    (machine,) = KubeVirt().machines([vm(status={"conditions": [state]})])
    assert (machine.reason, machine.message) == (Reason.QUOTA_EXCEEDED, said)


@pytest.mark.parametrize(
    ("printable", "reason"),
    [
        ("CrashLoopBackOff", Reason.CONTAINER_ENDS),
        ("Provisioning", Reason.IN_PROGRESS),
        ("WaitingForVolumeBinding", Reason.IN_PROGRESS),
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


ELSEWHERE = {"infraKubeconfigSecretRef": {"name": "infra"}, "infraNamespace": "workers"}


def test_a_machine_elsewhere_finds_the_way_to_its_api_server() -> None:
    ctx = plan({"exposure": {"type": "NodePort"}})
    seed, machine = KubeVirt().render(ctx, pool(1, kubevirt=ELSEWHERE), "demo-1", BOOT)
    assert {obj["metadata"]["namespace"] for obj in (seed, machine)} == {"workers"}
    data = yaml.safe_load(seed["stringData"]["userdata"])
    assert data["bootcmd"][0] == ["nft", "-f", "/etc/kubeception/endpoint.nft"]
    (rules,) = [f for f in data["write_files"] if f["path"].endswith("endpoint.nft")]
    assert "192.0.2.10 . 6443 : 203.0.113.10 . 30443" in rules["content"]
    labels = machine["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= seed["metadata"]["labels"].items()
    assert names.SITE_LABEL in labels


def test_a_machine_of_the_host_needs_no_way() -> None:
    seed, _ = KubeVirt().render(plan(), pool(1), "demo-1", BOOT)
    assert "endpoint.nft" not in seed["stringData"]["userdata"]


def test_machines_elsewhere_are_allowed_by_an_administrator() -> None:
    wanted = pool(1, kubevirt=ELSEWHERE)
    KubeVirt().check(plan(), wanted)
    facts = replace(plan().facts, objects={})
    with pytest.raises(SpecError, match=r"infraKubeconfigSecretRef: .* not allowed in default"):
        KubeVirt().check(plan(facts=facts), wanted)
    KubeVirt().check(plan(facts=facts), pool(1))
    with pytest.raises(SpecError, match="inside the host only"):
        KubeVirt().check(plan({"exposure": {"type": "ClusterIP"}}), wanted)


def test_a_machine_may_have_an_address_of_each_family() -> None:
    addresses = ["10.244.0.9", "fd00:10:244::9"]
    both = {"name": "default", "ipAddress": "10.244.0.9", "ipAddresses": addresses}
    (machine,) = KubeVirt().machines([vm(), vmi("Running", interfaces=[both])])
    assert (machine.address, machine.address6) == ("10.244.0.9", "fd00:10:244::9")
    (machine,) = KubeVirt().machines([vm(), vmi("Running")])
    assert (machine.address, machine.address6) == ("10.244.0.9", "")
