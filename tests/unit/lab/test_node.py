from pathlib import Path

import pytest

from kubeception.errors import KubeceptionError
from kubeception.lab import init
from kubeception.lab.init import Node, Service, startable
from kubeception.lab.node import CONTAINERD, delete_tree, enter, kubelet, resolvers
from kubeception.lab.state import Lab

LAB = Lab("lab", 0, Path("/state/lab"))


def test_the_description_of_a_node_survives_the_way_to_its_process() -> None:
    node = Node(
        hostname="lab-1",
        folder="/state/lab/nodes/1",
        programs="/cache/bin",
        record="/state/lab/processes/node-1.json",
        log="/state/lab/logs/node-1.log",
        cgroups=("/sys/fs/cgroup/lab/node-1/cgroup.procs",),
        services=(CONTAINERD, kubelet(LAB.node(1))),
    )
    assert Node.load(node.dump()) == node


def test_the_kubelet_has_its_own_address_and_cgroup() -> None:
    argv = kubelet(LAB.node(3)).argv
    assert "--node-ip=10.200.0.4" in argv
    assert "--cgroup-root=/kubeception-lab/node-3" in argv


def test_a_service_starts_when_it_is_due_and_has_what_it_needs(tmp_path: Path) -> None:
    there, missing = str(tmp_path), str(tmp_path / "missing")
    assert startable(Service("a", ("a",), "log", (there,)), due=0)
    assert not startable(Service("a", ("a",), "log", (there, missing)), due=0)
    assert not startable(Service("a", ("a",), "log"), due=float("inf"))


def test_status_tells_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(init, "STATUS", tmp_path / "services.json")
    init.publish({7: CONTAINERD}, {"containerd": 2, "kubelet": 0})
    expected = '{"containerd": {"pid": 7, "starts": 2}, "kubelet": {"pid": 0, "starts": 0}}'
    assert (tmp_path / "services.json").read_text() == expected


def machine(tmp_path: Path, conf: str, systemd: str = "") -> tuple[Path, Path]:
    etc, run = tmp_path / "etc", tmp_path / "run"
    etc.mkdir()
    (etc / "resolv.conf").write_text(conf)
    if systemd:
        (run / "systemd/resolve").mkdir(parents=True)
        (run / "systemd/resolve/resolv.conf").write_text(systemd)
    return etc, run


def test_the_machines_name_servers_are_the_nodes(tmp_path: Path) -> None:
    etc, run = machine(tmp_path, "search x\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n")
    assert resolvers("10.200.0.1", etc, run) == "nameserver 192.0.2.1\nnameserver 192.0.2.2\n"


def test_behind_a_local_stub_its_own_servers_are_taken(tmp_path: Path) -> None:
    etc, run = machine(tmp_path, "nameserver 127.0.0.53\n", "nameserver 192.0.2.9\n")
    assert resolvers("10.200.0.1", etc, run) == "nameserver 192.0.2.9\n"


def test_without_any_server_the_file_still_names_one(tmp_path: Path) -> None:
    etc, run = machine(tmp_path, "nameserver ::1\n")
    assert resolvers("10.200.0.1", etc, run) == "nameserver 10.200.0.1\n"


def test_a_folder_with_nothing_mounted_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/link").symlink_to("/etc")
    delete_tree(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert Path("/etc/passwd").exists()


def test_a_folder_with_a_mount_below_it_is_not_touched() -> None:
    with pytest.raises(KubeceptionError, match="mounted below it"):
        delete_tree(Path("/proc"))


def test_a_folder_that_is_not_there_is_deleted_already(tmp_path: Path) -> None:
    delete_tree(tmp_path / "none")


def test_a_node_that_does_not_run_can_not_be_entered(tmp_path: Path) -> None:
    with pytest.raises(KubeceptionError, match="does not run"):
        enter(Lab("lab", 0, tmp_path).node(1), ["true"])
