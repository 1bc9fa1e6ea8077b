from pathlib import Path
from typing import Any

import pytest

from kubeception.lab import guest, pod

V1 = "9:name=systemd:/x\n4:memory:{}\n0::/\n"
GIB = 1 << 30


def v1(mount: Path, path: str = "") -> Path:
    own = mount / "memory" / path.lstrip("/")
    own.mkdir(parents=True)
    (own / "memory.limit_in_bytes").write_text(f"{2 * GIB}\n")
    return own


def v2(mount: Path, path: str = "", limit: str = "max") -> Path:
    own = mount / path.lstrip("/")
    own.mkdir(parents=True, exist_ok=True)
    (own / "cgroup.controllers").write_text("cpu memory\n")
    (own / "cgroup.procs").write_text("1\n7\n")
    (own / "cgroup.subtree_control").write_text("")
    (own / "memory.max").write_text(limit)
    return own


def settings(cgroup: Path, mount: Path, capacity: int = 8 * GIB) -> dict[str, Any]:
    return pod.kubelet_settings(cgroup, mount, 300, capacity)


@pytest.mark.parametrize(
    ("shown", "path"),
    [
        ("/", "/kubepods/pod1/c"),
        ("/kubepods/pod1/c", ""),
        ("/kubepods/pod1", "/c"),
        ("/../..", "/kubepods/pod1/c"),
        ("/elsewhere", ""),
    ],
)
def test_its_own_cgroup_is_the_root_of_all_it_makes(tmp_path: Path, shown: str, path: str) -> None:
    """Whichever part of the machine's cgroups it is shown: all, its own, that of the node its pod is on."""
    there = "36 35 98:0 {} {} rw,noatime shared:1 - cgroup cgroup rw\n"
    mounts = there.format("/other", "/else") + there.format(shown, tmp_path / "v1" / "memory")
    own = v1(tmp_path / "v1", path)
    assert pod.own_cgroup(tmp_path / "v1", V1.format("/kubepods/pod1/c"), mounts) == own
    assert settings(own, tmp_path / "v1")["cgroupRoot"] == (path or "/")
    own = v2(tmp_path / "v2", path)
    mounts = there.format(shown, tmp_path / "v2")
    assert pod.own_cgroup(tmp_path / "v2", "0::/kubepods/pod1/c\n", mounts) == own
    assert settings(own, tmp_path / "v2")["cgroupRoot"] == (path or "/")


def test_a_cgroup_with_children_holds_no_process_itself(tmp_path: Path) -> None:
    own = v2(tmp_path)
    pod.make_room(own)
    assert (own / "init" / "cgroup.procs").read_text() == "7"  # the last of both that moved
    assert (own / "cgroup.subtree_control").read_text() == "+cpu +memory"
    pod.make_room(v1(tmp_path / "other"))
    assert not (tmp_path / "other" / "memory" / "init").exists()


def test_a_node_offers_what_its_pod_may_use(tmp_path: Path) -> None:
    limited = settings(v1(tmp_path / "v1"), tmp_path / "v1")
    assert limited["systemReserved"] == {"memory": str(6 * GIB)}
    assert "systemReserved" not in settings(v2(tmp_path / "v2"), tmp_path / "v2")
    assert limited["oomScoreAdj"] == 300


def test_the_kubelet_waits_for_all_that_kubeadm_tells_it() -> None:
    flags = 'KUBELET_KUBEADM_ARGS="--cloud-provider=external --node-labels=a=b,c=d"\n'
    assert pod.kubelet_arguments(flags) == ["--cloud-provider=external", "--node-labels=a=b,c=d"]
    for half in ("", "KUBELET_KUBEA"):
        with pytest.raises(ValueError, match="yet"):
            pod.kubelet_arguments(half)


def test_files_have_their_mode_and_replace_others(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    pod.write_files([{"path": str(path), "content": "ä\n", "mode": "0640"}])
    assert not path.is_symlink()
    assert path.read_text() == "ä\n"
    assert path.stat().st_mode & 0o777 == 0o640


def test_each_node_has_a_machine_id_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "machine-id"
    file.write_text("0123456789abcdef0123456789abcdef\n")
    seen = {file.read_text()}
    for _ in range(2):
        pod.identify(file)
        seen.add(file.read_text())
    assert {len(text) for text in seen} == {33}
    assert len(seen) == 3


def test_a_network_of_its_own_gets_no_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[cni]\nconf_template = "/x"\nconf_dir = "/y"\n')
    monkeypatch.setattr(pod, "CONTAINERD_CONFIG", config)
    pod.configure_network(pod_network=False)
    assert config.read_text() == '[cni]\nconf_dir = "/y"\n'


def test_the_images_configuration_is_that_of_a_pod() -> None:
    texts = {entry.path: entry.text or "" for entry in guest.pod()}
    config = texts["etc/containerd/config.toml"]
    assert "SystemdCgroup = false" in config
    assert "SystemdCgroup = true" not in config
    assert texts["usr/local/sbin/node-init"].startswith("#!/usr/bin/python3 -SE\n")


class Started:
    """Commands that run in nobody's place."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.argv: list[list[str]] = []
        monkeypatch.setattr("subprocess.Popen", self.begin)
        monkeypatch.setattr(pod, "BACK_OFF", 0.0)

    def begin(self, argv: list[str], **_: Any) -> "Started":
        if argv == ["missing"]:
            raise FileNotFoundError
        self.argv.append(argv)
        return self

    pid, returncode = 7, None


def test_a_command_is_repeated_until_it_goes_well(monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started(monkeypatch)
    commands = pod.Commands([["a"], ["b"]])
    for status in (256, 0, 0):
        commands.go_on()
        commands.ended(8, 0)
        commands.ended(7, status)
    assert started.argv == [["a"], ["a"], ["b"]]
    assert commands.left == []


def test_what_is_done_after_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started(monkeypatch)
    commands = pod.Commands([["a"]], [["missing"], ["b"], ["c"]])
    for status in (256, 0, 256, 256, 256):
        commands.go_on()
        commands.ended(7, status)
    assert started.argv == [["a"], ["a"], ["b"], ["c"]]
    assert (commands.left, commands.after) == ([], [])


def test_a_kubelet_waits_for_its_container_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are there from the beginning; without a runtime it would end, and start from the first."""
    monkeypatch.setattr(pod, "SOCKET", tmp_path / "containerd.sock")
    monkeypatch.setattr(pod, "KUBELET_FLAGS", tmp_path / "flags")
    pod.KUBELET_FLAGS.write_text('KUBELET_KUBEADM_ARGS="--a=b"\n')
    assert pod.kubelet() is None
    pod.SOCKET.touch()
    assert (pod.kubelet() or ())[-1] == "--a=b"
