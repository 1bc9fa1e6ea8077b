import shutil
from pathlib import Path

import pytest

from kubeception.errors import KubeceptionError
from kubeception.lab import preflight
from kubeception.lab.cgroup import Cgroups


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine that lacks nothing."""
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda command: f"/usr/bin/{command}")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2**40, 0, 2**40))
    monkeypatch.setattr(preflight, "available_memory", lambda: 2**34)
    monkeypatch.setattr(preflight, "knows_overlay", lambda: True)
    monkeypatch.setattr(Cgroups, "detect", classmethod(lambda _: Cgroups(2, ())))
    return monkeypatch


@pytest.mark.usefixtures("fit")
def test_a_fit_machine_passes(tmp_path: Path) -> None:
    preflight.check(tmp_path, fresh=True)


def test_everything_that_is_wrong_is_told_at_once(fit: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fit.setattr("os.geteuid", lambda: 1000)
    fit.setattr(shutil, "which", lambda command: None if command in ("nft", "runc") else command)
    fit.setattr(preflight, "available_memory", lambda: 2**30)
    fit.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2**40, 0, 2**30))
    with pytest.raises(KubeceptionError) as caught:
        preflight.check(tmp_path, fresh=True)
    for part in (
        "4 things",
        "you are not root",
        "apt-get install nftables runc",
        "1.0 GiB of memory",
        "1.0 GiB are free",
        "XDG_STATE_HOME",
    ):
        assert part in caught.value.message


def test_a_lab_that_stands_is_not_asked_for_room(fit: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fit.setattr(preflight, "available_memory", lambda: 0)
    preflight.check(tmp_path, fresh=False)


def test_another_system_is_told_nothing_else(fit: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fit.setattr("platform.system", lambda: "Darwin")
    fit.setattr("os.geteuid", lambda: 501)
    assert [problem for problem, _ in preflight.problems(tmp_path, fresh=True)] == [
        "it runs Darwin"
    ]


def test_memory_is_what_programs_can_have(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:  2048 kB\n")
    assert preflight.available_memory(tmp_path / "meminfo") == 2 << 20


def test_the_file_system_is_looked_up_as_a_whole_word(tmp_path: Path) -> None:
    (tmp_path / "filesystems").write_text("nodev\tsysfs\nnodev\toverlayfs2\n")
    assert not preflight.knows_overlay(tmp_path / "filesystems")
    (tmp_path / "filesystems").write_text("nodev\toverlay\n")
    assert preflight.knows_overlay(tmp_path / "filesystems")


def test_a_builder_lacks_everything_at_once(fit: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fit.setattr("os.geteuid", lambda: 1000)
    fit.setattr(preflight, "knows_overlay", lambda: False)
    fit.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2**40, 0, 2**32))
    with pytest.raises(KubeceptionError) as caught:
        preflight.check_builder({tmp_path / "cache": 3.5, tmp_path: 1.5})
    for part in (
        "this machine can't build images: 3 things",
        "sudo -E kubeception image build",
        "modprobe overlay",
        f"4.0 GiB are free on the disk of {tmp_path}, 5.0 are needed",
        "XDG_CACHE_HOME or --output",
    ):
        assert part in caught.value.message
    assert "kubeception image build" in caught.value.hint


@pytest.mark.usefixtures("fit")
def test_a_fit_builder_passes(tmp_path: Path) -> None:
    preflight.check_builder({tmp_path: 6})
