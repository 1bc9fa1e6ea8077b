from kubeception.lab import cilium
from kubeception.lab.images import CNI_IMAGES
from kubeception.lab.parts import CILIUM
from kubeception.plan.render import manifest


def test_the_chart_is_given_the_images_that_are_made() -> None:
    values = manifest("lab/cilium.yaml.j2", {"version": CILIUM, "api_host": "10.200.0.2"})
    tags = {values["image"]["tag"], values["operator"]["image"]["tag"]}
    assert tags == {image.name.rpartition(":")[2] for image in CNI_IMAGES["cilium"]}
    assert not values["image"]["useDigest"]
    assert not values["operator"]["image"]["useDigest"]


def test_the_agent_sees_the_machines_settings_and_can_not_change_them() -> None:
    mounts = [{"name": "host-proc-sys-net"}, {"name": cilium.KERNEL}]
    agent = {"spec": {"template": {"spec": {"containers": [{"volumeMounts": mounts}]}}}}
    cilium.leave_the_machine_alone(agent)
    assert mounts == [{"name": "host-proc-sys-net"}, {"name": cilium.KERNEL, "readOnly": True}]
