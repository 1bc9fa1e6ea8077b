"""A control plane in machines: the host and the tenant are real API servers, the test is KubeVirt and the kubelets.

And kubeadm itself, which takes what the machines boot with.
"""

import base64
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeception import names
from kubeception.components.kubeadm import Kubeadm
from kubeception.components.machines import INIT, PKI, machine_bootstrap
from kubeception.engine.link import answers
from kubeception.engine.reconcile import MAKING_SECONDS
from kubeception.kube.client import Cluster
from kubeception.plan.bootstrap import JOIN, token_secret
from kubeception.plan.control_plane import ROLE, api_server_of, members, pool_of
from kubeception.providers.base import Phase
from tests.integration.servers import binary, free_port, process
from tests.integration.test_machines import World, user_data
from tests.plans import case
from tests.unit.components.test_cis import CONTROLS, Control

REPLICAS = 3
MIRROR = {"kubernetes.io/config.mirror": "static"}
"""Of a static pod, as its API server has it."""


@pytest.fixture
def world(virtual_host: Cluster, tenant: Cluster) -> Iterator[World]:
    machines = {"provider": "kubevirt", "replicas": REPLICAS}
    made = World(virtual_host, tenant, controlPlane=machines, datastore={})
    yield made
    for node in tenant.list("Node"):
        tenant.delete("Node", node["metadata"]["name"])
    for pod in tenant.list("Pod", "kube-system"):
        tenant.delete("Pod", pod["metadata"]["name"], "kube-system", grace=0)
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
    world.step(2)
    if index:
        assert f"10.244.0.{index + 9}" not in endpoints(world, "kube-apiserver"), "no member yet"
    serve_from(world, name)
    world.step(3)
    return name


def serve_from(world: World, name: str) -> None:
    """kubeadm is done there: the node is marked, and the API server in it is ready."""
    world.tenant.patch("Node", name, {"metadata": {"labels": {ROLE: ""}}})
    meta = {"name": api_server_of(name), "namespace": "kube-system", "annotations": MIRROR}
    spec = {"nodeName": name, "containers": [{"name": "kube-apiserver", "image": "i"}]}
    world.tenant.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    world.tenant.patch(
        "Pod", str(meta["name"]), {"status": status}, "kube-system", subresource="status"
    )


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


def test_nothing_is_asked_of_a_cluster_that_kubeadm_still_makes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    get = Cluster.get

    def told(self: Cluster, kind: str, name: str, *rest: Any, **options: Any) -> Any:
        asked.extend([name] * (kind == "Node"))
        return get(self, kind, name, *rest, **options)

    monkeypatch.setattr(Cluster, "get", told)
    world.step(2)
    (first,) = world.vms()
    world.boot(first, "10.244.0.9")
    world.join(first)
    asked.clear()
    report = world.step(2)
    assert not report.api_answers
    assert report.again == MAKING_SECONDS
    assert asked == [first] * 2, "once in a pass, and no more"
    serve_from(world, first)
    assert world.step().api_answers


def test_workers_come_when_there_is_a_member_to_join(world: World) -> None:
    world.scale(1)
    world.step(2)
    (first,) = world.vms()
    world.boot(first, "10.244.0.9")
    world.join(first)
    world.tenant.patch("Node", first, {"metadata": {"labels": {ROLE: ""}}})
    assert world.step(2).api_answers
    assert world.vms() == [first], "its API server is not ready yet"
    serve_from(world, first)
    world.step(3)
    assert [vm for vm in world.vms() if vm.startswith(world.pool)]


def use(world: World, hard: int, used: int) -> None:
    """The host's administrators have a quota of machines of their own, and it is used so far."""
    key = "count/virtualmachines.kubevirt.io"
    meta = {"name": "theirs", "namespace": world.namespace}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta}
    world.host.apply({**quota, "spec": {"hard": {key: str(hard)}}})
    status = {"status": {"hard": {key: str(hard)}, "used": {key: str(used)}}}
    world.host.patch("ResourceQuota", "theirs", status, world.namespace, subresource="status")


def test_a_machine_that_a_quota_refuses_leaves_nothing_and_comes_when_there_is_room(
    world: World,
) -> None:
    world.step(2)
    use(world, 1, 1)
    first = started(world, 0)
    found = world.step()
    assert found.readiness("control-plane").reason == "QuotaExceeded"
    assert "exceeded quota: theirs" in found.readiness("control-plane").message
    assert found.holds == {}, "no pool is in question"
    assert world.vms() == [first]
    assert world.tenant.list("Secret", "kube-system", labels=names.MACHINE_LABEL) == []
    use(world, 5, 1)
    world.later = timedelta(minutes=1)
    world.step()
    assert len(world.vms()) == 2


def test_a_machine_that_somebody_removed_is_made_anew(world: World) -> None:
    """What the one before left, or a run that was killed, is in nobody's way."""
    world.step(2)
    first = started(world, 0)
    before = user_data(world, first)
    world.host.delete("VirtualMachine", first, world.namespace)
    world.host.delete("VirtualMachineInstance", first, world.namespace)
    for name in world.vms():
        world.host.delete("VirtualMachine", name, world.namespace)
    world.step()
    assert world.vms() == [first]
    assert user_data(world, first) == before
    assert world.tenant.get("Node", first) is None


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


TOKEN = "abcdef.0123456789abcdef"


def booted(root: Path, index: int, token: str = "") -> Path:
    """The root folder of a machine of the case `machines`, with the files that it boots with."""
    if os.geteuid() != 0:
        pytest.skip("kubeadm changes its root folder to the test's")
    ctx = case("machines")
    pool = pool_of(ctx)
    assert pool
    for file in machine_bootstrap(ctx, pool, members(ctx)[index], token).files:
        path = root / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content)
    return root


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root folder of the first machine, after kubeadm did in it what needs no cluster."""
    root = booted(tmp_path_factory.mktemp("machine"), 0)
    phases = ("certs all", "kubeconfig all", "etcd local", "control-plane all")
    said = "".join(kubeadm(root, f"init phase {each}", INIT) for each in phases)
    for authority in ("ca", "front-proxy-ca", "etcd/ca"):
        assert f"Using existing {authority} certificate authority" in said
    assert 'Using the existing "sa" key' in said
    return root


def kubeadm(root: Path, words: str, config: str) -> str:
    """What kubeadm says to this, in a folder of its own."""
    argv = [binary("kubeadm"), *words.split(), f"--rootfs={root}", f"--config={config}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout


def command(root: Path, name: str, **flags: object) -> list[str]:
    """The command line of a static pod, for a process of this machine, with other flags in place of some."""
    program, given = static_pod(root, name)
    said = {**given, **{key.replace("_", "-"): str(value) for key, value in flags.items()}}
    moved = (f"--{k}={v.replace('/etc/', f'{root}/etc/')}" for k, v in said.items())
    return [binary(program), *moved]


def static_pod(root: Path, name: str) -> tuple[str, dict[str, str]]:
    """Program and flags of a static pod."""
    pod = yaml.safe_load((root / f"etc/kubernetes/manifests/{name}.yaml").read_text())
    program, *arguments = pod["spec"]["containers"][0]["command"]
    pairs = (each.removeprefix("--").partition("=") for each in arguments)
    return program, {flag: value for flag, _, value in pairs}


@pytest.fixture(scope="module")
def served(machine: Path) -> Iterator[int]:
    """The port of etcd's API server, by the command lines of the static pods, but for ports and folders."""
    client, port = free_port(), free_port()
    etcd = {
        "data_dir": machine / "data",
        "listen_client_urls": f"https://127.0.0.1:{client}",
        "listen_peer_urls": f"https://127.0.0.1:{free_port()}",
        "listen_metrics_urls": f"http://127.0.0.1:{free_port()}",
    }
    api = {"etcd_servers": f"https://127.0.0.1:{client}", "secure_port": port}
    with (
        process(machine, *command(machine, "etcd", **etcd)),
        process(machine, *command(machine, "kube-apiserver", **api)),
    ):
        yield port


def at(port: int, kubeconfig: Any) -> Cluster:
    kubeconfig["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    return Cluster(kubeconfig, "the machine's")


def test_kubeadm_takes_what_a_machine_boots_with(machine: Path) -> None:
    manifest = (machine / "etc/kubernetes/manifests/etcd.yaml").read_text()
    assert case("machines").image("etcd") in manifest
    _, said = static_pod(machine, "kube-apiserver")
    assert said["client-ca-file"] == f"{PKI}/clients.crt"
    assert said["advertise-address"] == "192.0.2.10"


@pytest.mark.parametrize("name", ["etcd", "kube-apiserver", "kube-scheduler"])
def test_servers_are_asked_at_leisure_and_not_ended_for_being_slow(
    machine: Path, name: str
) -> None:
    pod = yaml.safe_load((machine / f"etc/kubernetes/manifests/{name}.yaml").read_text())
    (container,) = pod["spec"]["containers"]
    assert container["readinessProbe"]["periodSeconds"] == 10
    alive = container["livenessProbe"]
    assert alive["periodSeconds"] * alive["failureThreshold"] == 300


def test_the_first_machine_goes_through_all_of_init(tmp_path: Path) -> None:
    said = kubeadm(booted(tmp_path, 0), "init --dry-run", INIT)
    assert "Marking the node machines-control-plane-0 as control-plane" in said


@pytest.mark.parametrize(
    "control",
    [control for control in CONTROLS if control.of != "kubelet"],
    ids=lambda control: f"{control.id} {control.of}: {control.asked}",
)
def test_a_control_of_the_benchmark_is_met(machine: Path, control: Control) -> None:
    assert control.met(static_pod(machine, control.of)[1])


def test_what_kubeadm_sets_up_starts_and_knows_the_engine_and_kubeadm(
    machine: Path, served: int
) -> None:
    mine = case("machines").pki.engine_kubeconfig()
    theirs = yaml.safe_load((machine / "etc/kubernetes/super-admin.conf").read_text())
    for document in (mine, theirs):
        with at(served, document) as cluster:
            assert until(partial(answers, cluster)), logged(machine)


def test_a_later_machine_goes_through_all_of_join(
    machine: Path, served: int, tmp_path: Path
) -> None:
    ctx, root = case("machines"), booted(tmp_path, 1, TOKEN)
    with at(served, ctx.pki.engine_kubeconfig()) as cluster:
        assert until(partial(answers, cluster)), logged(machine)
        for obj in Kubeadm().objects(ctx):
            cluster.apply(obj)
        cluster.create(token_secret(TOKEN, "later", "2036-01-01T00:00:00Z", {}))
    way = root / "etc/kubernetes/discovery.conf"
    way.write_text(way.read_text().replace("192.0.2.10:6443", f"127.0.0.1:{served}"))
    said = kubeadm(root, "join --dry-run", JOIN)
    assert "Would add etcd member: https://192.0.2.21:2380" in said
    assert "Would mark node machines-control-plane-1 as a control-plane" in said


def logged(root: Path) -> str:
    return "".join(path.read_text()[-2000:] for path in root.glob("*.log"))


def until(found: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not (answer := found()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return answer
