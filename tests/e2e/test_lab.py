"""A lab comes up, goes on where it was killed, mends itself, stands beside others, and leaves nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeception.lab.process import Process
from tests.blocks import blocks_of
from tests.e2e.conftest import ECHO_SERVICE, PARTS, Lab
from tests.terminal import open_terminal

MANY = 3
MINE = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "mine",
    "clusters": [{"name": "mine", "cluster": {"server": "https://192.0.2.1"}}],
    "contexts": [{"name": "mine", "context": {"cluster": "mine", "user": "mine"}}],
    "users": [{"name": "mine", "user": {"token": "secret"}}],
}
"""What somebody has before there is a lab."""

ECHO = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: echo}
spec:
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: echo
          image: docker.io/library/busybox:1.36
          command: [sh, -c, 'mkdir /www && hostname > /www/index.html && exec httpd -f -p 8080 -h /www']
          readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
"""


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab without KubeVirt and with a state folder of its own, not yet up."""
    state = tmp_path_factory.mktemp("state")
    lab = Lab("trial", {**os.environ, "XDG_STATE_HOME": str(state)})
    yield lab
    lab.run("down")


@pytest.fixture(scope="module")
def user(trial: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The trial lab in the hands of somebody who has a kubeconfig already."""
    config = tmp_path_factory.mktemp("home") / "config"
    config.write_text(yaml.safe_dump(MINE))
    return replace(trial, environment={**trial.environment, "KUBECONFIG": str(config)})


def contexts(user: Lab) -> tuple[list[str], str]:
    """The names of the contexts in the user's kubeconfig, and the current one."""
    config = yaml.safe_load(Path(user.environment["KUBECONFIG"]).read_text())
    return [entry["name"] for entry in config["contexts"]], config["current-context"]


def folder(lab: Lab) -> Path:
    return Path(lab.environment["XDG_STATE_HOME"]) / "kubeception" / "labs" / lab.name


def record(lab: Lab, name: str) -> int:
    """The pid in one of the lab's process records."""
    pid: int = json.loads((folder(lab) / "processes" / f"{name}.json").read_text())["pid"]
    return pid


def services(lab: Lab, node: int) -> dict[str, Any]:
    """What process 1 of a node says of its services."""
    root = Path(f"/proc/{record(lab, f'node-{node}')}/root")
    found: dict[str, Any] = json.loads((root / "run/kubeception/services.json").read_text())
    return found


def assert_healthy(lab: Lab) -> None:
    """Every piece is up; the message names those that aren't."""
    assert [piece for piece in lab.status()["pieces"] if piece["state"] != "up"] == []


def until(what: str, seconds: float, true: Any) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"not so after {seconds} s: {what}")
        time.sleep(0.2)


@pytest.mark.parametrize(
    "moment",
    ["processes/registry.json", "nodes/1/etc/kubernetes/manifests/etcd.yaml", "kubeconfig"],
)
def test_up_killed_in_the_middle_is_gone_on_with(trial: Lab, moment: str) -> None:
    argv = [*trial.argv("up"), "--no-merge", "--no-kubevirt", "--parts", PARTS]
    with subprocess.Popen(argv, env=trial.environment, stderr=subprocess.DEVNULL) as process:
        until(f"{moment} exists", 120, (folder(trial) / moment).exists)
        process.kill()
    if moment == "kubeconfig":  # the last of them: now it may end
        trial.up("--no-kubevirt")
        assert_healthy(trial)


def test_up_interrupted_at_a_terminal_says_how_to_go_on(trial: Lab) -> None:
    trial.run("down")
    argv = trial.argv("up", "--no-merge", "--no-kubevirt", "--parts", PARTS)
    shown = open_terminal(argv, trial.environment)
    shown.read(until="Control plane", seconds=120)
    assert shown.interrupt() == 130
    assert "It was at: Control plane" in shown.plain
    assert "Nothing was undone. Go on with:" in shown.plain
    assert "kubeception lab up --name trial --no-merge --no-kubevirt" in shown.plain
    assert "Traceback" not in shown.text
    assert shown.text.rfind("\x1b[?25h") >= shown.text.rfind("\x1b[?25l")
    trial.up("--no-kubevirt")
    assert_healthy(trial)


def test_up_again_is_quick_and_touches_nothing(trial: Lab) -> None:
    before = [record(trial, "registry"), record(trial, "node-1"), services(trial, 1)]
    began = time.monotonic()
    trial.up("--no-kubevirt")
    seconds = time.monotonic() - began
    assert [record(trial, "registry"), record(trial, "node-1"), services(trial, 1)] == before
    assert seconds < 10, "a lab that lacks nothing was worked on"


def test_pods_of_three_nodes_reach_each_other(trial: Lab) -> None:
    trial.up("--no-kubevirt", "--nodes", str(MANY))
    trial.kubectl("apply", "-f", "-", stdin=ECHO + ECHO_SERVICE)
    trial.kubectl("rollout", "status", "daemonset/echo", "--timeout=120s")
    pods = json.loads(trial.kubectl("get", "pods", "-l", "app=echo", "-o", "json"))["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == MANY
    addresses = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in pods}
    for name in addresses:
        for other, address in addresses.items():
            url = f"http://{address}:8080"
            assert trial.kubectl("exec", name, "--", "wget", "-qO-", "-T5", url).strip() == other
        url = "http://echo.default.svc.cluster.local"
        said = trial.kubectl("exec", name, "--", "wget", "-qO-", "-T5", url).strip()
        assert said in addresses


@pytest.mark.parametrize("service", ["containerd", "kubelet"])
def test_a_killed_service_is_started_again(trial: Lab, service: str) -> None:
    before = services(trial, 1)[service]
    argv = ["nsenter", "--target", str(record(trial, "node-1")), "--pid", "--mount"]
    subprocess.run([*argv, "kill", "-KILL", str(before["pid"])], check=True)
    until(
        f"{service} runs again",
        20,
        lambda: services(trial, 1)[service]["starts"] > before["starts"],
    )
    trial.up("--no-kubevirt")
    assert_healthy(trial)


def test_dead_registry_node_and_link_are_repaired(trial: Lab) -> None:
    os.kill(record(trial, "registry"), signal.SIGKILL)
    os.kill(record(trial, "node-2"), signal.SIGKILL)
    subprocess.run(["ip", "link", "delete", "kc-trial-3"], check=True)
    until("the registry is down", 10, lambda: not trial.status()["healthy"])
    down = {piece["name"] for piece in trial.status()["pieces"] if piece["state"] == "down"}
    assert {"registry", "trial-2"} <= down
    trial.up("--no-kubevirt")
    assert_healthy(trial)
    trial.kubectl("rollout", "status", "daemonset/echo", "--timeout=120s")


def test_a_dead_control_plane_comes_back_with_its_data(trial: Lab) -> None:
    trial.kubectl("create", "configmap", "kept", "--from-literal=word=still here")
    os.kill(record(trial, "node-1"), signal.SIGKILL)
    until("its API is gone", 20, lambda: trial.status()["healthy"] is False)
    trial.up("--no-kubevirt")
    assert trial.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.word}") == "still here"
    assert_healthy(trial)


def test_what_a_reboot_leaves_is_told_from_what_lives(trial: Lab) -> None:
    """Every process, link and rule is gone, and the recorded pids are somebody else's: this very process."""
    mine = Process.of(os.getpid())
    records = sorted((folder(trial) / "processes").glob("*.json"))
    assert len(records) == MANY + 1
    for path in records:
        recorded = Process.load(path)
        assert recorded is not None
        assert recorded.end()
        replace(mine, boot="an-earlier-boot").save(path)
    subprocess.run(["ip", "link", "delete", "kc-trial"], check=True)
    subprocess.run(["nft", "delete", "table", "ip", "kubeception-trial"], check=True)
    trial.up("--no-kubevirt")
    assert_healthy(trial)


def test_two_labs_stand_side_by_side(trial: Lab) -> None:
    other = Lab("trial-two", trial.environment)
    try:
        other.up("--no-kubevirt")
        first, second = trial.status(), other.status()
        assert first["healthy"]
        assert second["healthy"]
        for key in ("server", "registry", "nodeRange", "podRange", "serviceRange"):
            assert first[key] != second[key]
    finally:
        other.run("down")
    assert traces("trial-two", trial) == []
    assert_healthy(trial)


def test_contexts_of_the_lab_and_of_its_tenant_are_added(user: Lab) -> None:
    user.run("kubeconfig", "--merge")
    assert contexts(user) == (["mine", "kubeception-trial"], "kubeception-trial")
    argv = [sys.executable, "-m", "kubeception", "create", "inner", "--workers", "0"]
    subprocess.run(argv, env=user.environment, check=True, capture_output=True)
    assert contexts(user) == (["mine", "kubeception-trial", "inner"], "inner")


def test_the_cache_of_a_lab_that_is_up_is_not_purged(trial: Lab, tmp_path: Path) -> None:
    (tmp_path / "kubeception" / "bin").mkdir(parents=True)
    environment = {**trial.environment, "XDG_CACHE_HOME": str(tmp_path)}
    other = Lab("trial-none", environment)
    refused = other.run("down", "--purge", check=False)
    assert refused.returncode == 2
    assert "used by lab trial" in refused.stderr
    assert (tmp_path / "kubeception" / "bin").exists()


def typed(user: Lab, command: str, where: Path) -> None:
    """A line of the pages, as somebody types it in a folder."""
    shown = [line.command for block in blocks_of(__file__) for line in block.lines]
    assert command in shown
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    named = f"{command} --name {user.name}"
    done = subprocess.run(
        ["bash", "-c", named],
        cwd=where,
        env={**user.environment, "PATH": path},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_an_image_of_ones_own_is_loaded(user: Lab, tmp_path: Path) -> None:
    inside = ("nsenter", "--target", str(record(user, "node-1")), "--mount", "--pid")
    ctr = (*inside, "/opt/kubeception/bin/ctr", "--namespace", "k8s.io", "images")
    mine = "docker.io/somebody/mine:1"
    output(*ctr, "tag", "docker.io/library/busybox:1.36", mine)
    archive = Path(f"/proc/{record(user, 'node-1')}/root/root/my-image.tar")
    # Not by containerd's transfer service, which sometimes ends before the file has anything in it.
    output(*ctr, "export", "--local", "/root/my-image.tar", mine)
    output(*ctr, "remove", mine)
    shutil.move(archive, tmp_path / "my-image.tar")
    run = ("run", "mine", "--image", mine, "--restart", "Never", "--", "sleep", "3600")
    user.kubectl(*run)
    typed(user, "kubeception lab load my-image.tar", tmp_path)
    user.kubectl("wait", "pod/mine", "--for=condition=Ready", "--timeout=60s")


def test_fewer_nodes_than_there_are_is_refused(trial: Lab) -> None:
    done = trial.run("up", "--nodes", "1", check=False)
    assert done.returncode == 2
    assert f"has {MANY} nodes" in done.stderr


def test_down_leaves_nothing(trial: Lab, user: Lab, tmp_path: Path) -> None:
    assert traces(trial.name, trial), "the search for traces finds none of a lab that is up"
    nodes = [Process.of(record(trial, f"node-{number}")) for number in range(1, MANY + 1)]
    typed(user, "kubeception lab down", tmp_path)
    assert traces(trial.name, trial) == []
    assert contexts(user) == (["mine"], "mine")
    # An ended one may be a zombie yet: process 1 of the machine reaps it when it comes to it.
    assert not [process for process in nodes if process.alive()]
    assert "There is no lab" in trial.run("down").stderr


def test_purge_removes_the_cache_and_nothing_beside_it(trial: Lab, tmp_path: Path) -> None:
    for path in ("kubeception/bin/kubectl", "kubeception/registry/blob", "somebody-elses"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    other = Lab("trial", {**trial.environment, "XDG_CACHE_HOME": str(tmp_path)})
    typed(other, "kubeception lab down --purge", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["somebody-elses"]


def traces(name: str, lab: Lab) -> list[str]:
    """Everything on this machine that a lab of this name has left."""
    from kubeception.lab.state import Lab as Place

    place = Place(name, 0, folder(lab).with_name(name))
    links = json.loads(output("ip", "-json", "link", "show"))
    found = [link["ifname"] for link in links if link["ifname"].startswith(place.bridge)]
    found += [
        line for line in output("nft", "list", "tables").splitlines() if line.endswith(place.table)
    ]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{place.cgroup}")]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(place.cgroup)]
    found += [
        line for line in Path("/proc/mounts").read_text().splitlines() if str(place.folder) in line
    ]
    found += [
        line
        for line in output("losetup", "--list", "--noheadings").splitlines()
        if str(place.folder) in line
    ]
    found += [str(place.folder)] if place.folder.exists() else []
    return found


def output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
