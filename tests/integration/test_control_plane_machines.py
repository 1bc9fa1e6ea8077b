"""A control plane in machines: the host and the tenant are real API servers, the test is KubeVirt and the kubelets.

And kubeadm itself, which takes what the machines boot with.
"""

import base64
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kubeception import names
from kubeception.components.machines import INIT, PKI, machine_bootstrap
from kubeception.kube.client import Cluster
from kubeception.plan.control_plane import members, pool_of
from kubeception.providers.base import Phase
from tests.integration.servers import binary
from tests.integration.test_machines import World, user_data
from tests.plans import case

REPLICAS = 3


@pytest.fixture
def world(virtual_host: Cluster, tenant: Cluster) -> Iterator[World]:
    machines = {"provider": "kubevirt", "replicas": REPLICAS}
    made = World(virtual_host, tenant, controlPlane=machines, datastore={})
    yield made
    for node in tenant.list("Node"):
        tenant.delete("Node", node["metadata"]["name"])
    for secret in tenant.list("Secret", "kube-system", labels=names.MACHINE_LABEL):
        tenant.delete("Secret", secret["metadata"]["name"], "kube-system")


def endpoints(world: World, service: str) -> list[str]:
    found = world.host.get("EndpointSlice", service, world.control_plane)
    return [a for each in (found or {}).get("endpoints", ()) for a in each["addresses"]]


def started(world: World, index: int) -> str:
    """One more machine of the control plane, booted and joined."""
    name = f"{names.control_plane_pool(world.name)}-{index}"
    world.boot(name, f"10.244.0.{index + 9}")
    world.join(name)
    world.step(3)
    return name


def test_machines_are_made_one_after_the_other_and_answer_once_they_are_members(
    world: World,
) -> None:
    world.step(2)
    (first,) = world.vms()
    assert endpoints(world, "kube-apiserver") == []
    files = {f["path"]: f["content"] for f in user_data(world, first)["write_files"]}
    own = world.host.get("Service", "control-plane-0", world.control_plane)
    assert own
    init = next(yaml.safe_load_all(files[INIT]))
    assert init["localAPIEndpoint"]["advertiseAddress"] == own["spec"]["clusterIP"]
    key = world.host.get("Secret", "ca-serving", world.control_plane)
    assert key
    assert files[f"{PKI}/ca.key"].encode() == base64.b64decode(key["data"]["tls.key"])

    world.boot(first, "10.244.0.9")
    world.step()
    assert endpoints(world, "kube-apiserver") == ["10.244.0.9"]
    assert world.vms() == [first], "the second one waits for the first"

    started(world, 0)
    assert len(world.vms()) == 2
    world.boot(world.vms()[1], "10.244.0.10")
    world.step()
    assert endpoints(world, "kube-apiserver") == ["10.244.0.9"], "no member yet"
    assert endpoints(world, "control-plane-1") == ["10.244.0.10"]
    started(world, 1)
    report = world.step()
    assert report.readiness("control-plane").message.startswith("2/3 machines")
    started(world, 2)
    report = world.step()
    assert report.readiness("control-plane").ok
    assert endpoints(world, "kube-apiserver") == ["10.244.0.9", "10.244.0.10", "10.244.0.11"]
    assert report.nodes_ready == report.nodes_wanted == 0
    assert world.step().writes == 0


def test_a_machine_that_ended_is_told_of_and_not_touched(world: World) -> None:
    world.step(2)
    first = started(world, 0)
    world.tell("VirtualMachineInstance", first, phase="Failed")
    before = world.vms()
    report = world.step()
    assert world.vms() == before
    assert report.readiness("control-plane").reason == "MachineLost"
    (state,) = [s for s in report.control_plane if s.machine.name == first]
    assert state.machine.phase is Phase.ENDED


@pytest.mark.skipif(os.geteuid() != 0, reason="kubeadm changes its root folder to the test's")
def test_kubeadm_takes_what_a_machine_boots_with(tmp_path: Path) -> None:
    """As far as it needs no cluster: certificates, kubeconfigs and the manifests of static pods."""
    ctx = case("machines")
    pool = pool_of(ctx)
    assert pool
    for file in machine_bootstrap(ctx, pool, members(ctx)[0]).files:
        path = tmp_path / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content)
    phases = ("certs all", "kubeconfig all", "etcd local", "control-plane all")
    said = "".join(phase(tmp_path, each) for each in phases)
    for authority in ("ca", "front-proxy-ca", "etcd/ca"):
        assert f"Using existing {authority} certificate authority" in said
    assert 'Using the existing "sa" key' in said
    manifests = tmp_path / "etc/kubernetes/manifests"
    made = {path.stem: yaml.safe_load(path.read_text()) for path in manifests.iterdir()}
    assert made["etcd"]["spec"]["containers"][0]["image"] == ctx.image("etcd")
    flags = made["kube-apiserver"]["spec"]["containers"][0]["command"]
    assert f"--client-ca-file={PKI}/clients.crt" in flags
    assert "--advertise-address=192.0.2.10" in flags


def phase(root: Path, words: str) -> str:
    """A phase of `kubeadm init` in a folder of its own; what it says."""
    argv = [binary("kubeadm"), "init", "phase", *words.split()]
    argv += [f"--rootfs={root}", f"--config={INIT}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout
