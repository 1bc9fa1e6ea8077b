from pathlib import Path

import pytest

from kubeception.lab import guest
from kubeception.lab.disk import cpio, lay, strip
from kubeception.lab.layer import Entry

UNITS = {path.name for path in (guest.FILES / "etc/systemd/system").iterdir() if path.is_file()}


def members(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Mode and content by name, read as the kernel reads it."""
    found: dict[str, tuple[int, bytes]] = {}
    place = 0
    while True:
        assert archive[place : place + 6] == b"070701"
        fields = [int(archive[place + 6 + 8 * n : place + 14 + 8 * n], 16) for n in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = archive[place + 110 : place + 109 + length].decode()
        start = -(-(place + 110 + length) // 4) * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, archive[start : start + size])
        place = -(-(start + size) // 4) * 4


def test_an_initial_file_system_is_read_back() -> None:
    archive = cpio(
        (
            Entry("init", text="#!/bin/sh\n"),
            Entry("bin/busybox", text="x" * 7, mode=0o755),
            Entry("bin/sh", link="busybox"),
        )
    )
    found = members(archive)
    assert found["init"] == (0o100755, b"#!/bin/sh\n")
    assert found["bin"] == (0o40755, b"")
    assert found["bin/busybox"] == (0o100755, b"x" * 7)
    assert found["bin/sh"] == (0o120777, b"busybox")
    assert found["dev/console"][0] == 0o20600
    assert list(found).index("bin") < list(found).index("bin/busybox")


def test_entries_are_laid_over_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/a").write_text("old")
    (tmp_path / "etc/b").symlink_to("/etc/passwd")
    entries = (
        Entry("etc/a", link="b"),
        Entry("etc/b", text="new", mode=0o600),
        Entry("var/lib/x", text=""),
    )
    lay(entries, tmp_path)
    lay(entries, tmp_path)
    assert (tmp_path / "etc/a").readlink() == Path("b")
    assert (tmp_path / "etc/b").read_text() == "new"
    assert not (tmp_path / "etc/b").is_symlink()
    assert (tmp_path / "etc/b").stat().st_mode & 0o777 == 0o600


def test_a_stripped_root_starts_nothing_and_has_no_identity(tmp_path: Path) -> None:
    for units in ("etc/systemd/system", "usr/lib/systemd/system"):
        wants = tmp_path / units / "multi-user.target.wants"
        wants.mkdir(parents=True)
        (wants / "x.service").write_text("")
    (tmp_path / "etc/systemd/system/ssh.service.wants").mkdir()
    (tmp_path / "usr/lib/systemd/system-generators").mkdir()
    (tmp_path / "etc/machine-id").write_text("1234")
    (tmp_path / "etc/hostname").write_text("builder")
    (tmp_path / "etc/ssh").mkdir()
    for name in ("ssh_host_rsa_key", "ssh_host_ed25519_key.pub", "sshd_config"):
        (tmp_path / "etc/ssh" / name).write_text("")
    strip(tmp_path)
    assert not list(tmp_path.rglob("*.target.wants"))
    assert not list(tmp_path.rglob("*generators"))
    assert (tmp_path / "etc/systemd/system/ssh.service.wants").exists()
    assert (tmp_path / "etc/machine-id").read_text() == ""
    assert not (tmp_path / "etc/hostname").exists()
    assert [path.name for path in (tmp_path / "etc/ssh").iterdir()] == ["sshd_config"]


def test_own_units_are_started_or_start_others() -> None:
    wanted = {unit for units in guest.WANTED.values() for unit in units}
    by_others = {"late.service", "late.target", "network-facts.service"}
    assert (wanted & UNITS) | by_others == UNITS


@pytest.mark.parametrize("name", ["authorized_keys", "shadow", "ssh_host"])
def test_no_way_in_is_baked_into_the_image(name: str) -> None:
    assert not [entry.path for entry in guest.overlay() if name in entry.path]
    assert "passwd:" not in (guest.FILES / "etc/cloud/cloud.cfg").read_text()
