from pathlib import Path

import pytest

from kubeception.errors import KubeceptionError
from kubeception.lab.cgroup import Cgroups, has_usable_kvm, may_raise_limits


def hierarchy(mount: Path, *names: str) -> None:
    for name in names:
        top = mount / name
        top.mkdir(parents=True)
        (top / "tasks").touch()
        (top / "cgroup.procs").touch()
        if "cpuset" in name:
            (top / "cpuset.cpus").write_text("0-1\n")
            (top / "cpuset.mems").write_text("0\n")


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    hierarchy(tmp_path, "cpu", "cpuacct", "cpuset", "memory", "systemd")
    (tmp_path / "unified").mkdir()
    (tmp_path / "unified" / "cgroup.procs").touch()
    return tmp_path


def test_v2_is_one_hierarchy(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    assert Cgroups.detect(tmp_path) == Cgroups(2, (tmp_path,))


def test_v1_has_all_its_hierarchies_and_the_unified_one(v1: Path) -> None:
    found = Cgroups.detect(v1)
    assert found.version == 1
    names = [top.name for top in found.hierarchies]
    assert names == ["cpu", "cpuacct", "cpuset", "memory", "systemd", "unified"]


def test_hierarchies_that_are_links_to_one_count_once(tmp_path: Path) -> None:
    hierarchy(tmp_path, "cpu,cpuacct", "cpuset", "memory")
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    (tmp_path / "cpuacct").symlink_to("cpu,cpuacct")
    assert len(Cgroups.detect(tmp_path).hierarchies) == 3


def test_missing_controllers_are_named(tmp_path: Path) -> None:
    hierarchy(tmp_path, "cpu", "cpuacct")
    with pytest.raises(KubeceptionError, match="cpuset, memory"):
        Cgroups.detect(tmp_path)


def test_a_v1_cgroup_is_made_everywhere(v1: Path) -> None:
    procs = Cgroups.detect(v1).make("lab/node-1")
    assert v1 / "memory/lab/node-1/cgroup.procs" in procs
    assert all(path.parent.is_dir() for path in procs)


def test_a_v2_process_enters_a_leaf(tmp_path: Path) -> None:
    assert Cgroups(2, (tmp_path,)).make("lab/node-1") == (
        tmp_path / "lab/node-1/init/cgroup.procs",
    )


def test_v2_controllers_are_passed_on_to_children(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    Cgroups(2, (tmp_path,)).make("lab")
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_a_v1_cpuset_gets_what_its_parent_has(tmp_path: Path) -> None:
    hierarchy(tmp_path, "cpuset")
    child = tmp_path / "cpuset/lab"
    child.mkdir()
    for name in ("cpuset.cpus", "cpuset.mems"):
        (child / name).write_text("\n")
    Cgroups(1, (tmp_path / "cpuset",)).make("lab")
    assert (child / "cpuset.cpus").read_text() == "0-1\n"
    assert (child / "cpuset.mems").read_text() == "0\n"


def test_removing_takes_what_is_below_too(v1: Path) -> None:
    cgroups = Cgroups.detect(v1)
    cgroups.make("lab/node-1")
    (v1 / "memory/lab/node-1/kubepods/pod").mkdir(parents=True)
    assert cgroups.remove("lab") == ()
    assert not (v1 / "memory/lab").exists()


def test_what_can_not_be_removed_is_told(v1: Path) -> None:
    cgroups = Cgroups.detect(v1)
    cgroups.make("lab")
    (v1 / "memory/lab/busy").touch()
    assert cgroups.remove("lab", patience=0) == (v1 / "memory/lab",)


@pytest.mark.parametrize(("mask", "may"), [("000001ffffffffff", True), ("000001fffeffffff", False)])
def test_the_capability_is_read(tmp_path: Path, mask: str, may: bool) -> None:
    (tmp_path / "status").write_text(f"Name:\tx\nCapEff:\t{mask}\n")
    assert may_raise_limits(tmp_path / "status") is may


@pytest.mark.parametrize(
    ("flags", "device", "usable"),
    [("fpu svm", True, True), ("fpu vmx", False, False), ("fpu", True, False)],
)
def test_kvm_needs_the_processor_and_the_device(
    tmp_path: Path, flags: str, device: bool, usable: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    if device:
        (tmp_path / "kvm").touch()
    assert has_usable_kvm(tmp_path / "cpuinfo", tmp_path / "kvm") is usable
