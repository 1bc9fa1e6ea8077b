from pathlib import Path

import pytest

from kubeception.errors import KubeceptionError
from kubeception.lab import guest
from kubeception.lab.disk import (
    SIGNED,
    contents,
    cpio,
    initrd,
    lay,
    load_order,
    strip,
    unsigned,
)
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
    (tmp_path / "etc/cloud/cloud.cfg.d").mkdir(parents=True)
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


def test_no_unit_is_wanted_and_masked() -> None:
    wanted = {unit for units in guest.WANTED.values() for unit in units}
    assert not wanted & set(guest.MASKED)
    links = {entry.path.rpartition("/")[2]: entry.link for entry in guest.overlay() if entry.link}
    assert [links[unit] for unit in guest.MASKED] == ["/dev/null"] * len(guest.MASKED)


def test_a_module_loses_its_signature_and_nothing_else() -> None:
    signature = bytes(range(40))
    trailer = bytes(8) + len(signature).to_bytes(4, "big") + SIGNED
    assert unsigned(b"\x7fELF module" + signature + trailer) == b"\x7fELF module"
    assert unsigned(b"\x7fELF module") == b"\x7fELF module"


def test_sshd_is_started_where_somebody_has_a_key_and_takes_no_password() -> None:
    (unit,) = (guest.FILES / "etc/systemd/system/ssh.service.d").iterdir()
    assert "Condition" in unit.read_text()
    assert "authorized_keys" in unit.read_text()
    said = "".join(path.read_text() for path in (guest.FILES / "etc/ssh").rglob("*.conf"))
    assert "PasswordAuthentication no" in said


@pytest.mark.parametrize("name", ["authorized_keys", "shadow", "ssh_host"])
def test_no_way_in_is_baked_into_the_image(name: str) -> None:
    assert not [entry.path for entry in guest.overlay() if name in entry.path]
    assert "passwd:" not in (guest.FILES / "etc/cloud/cloud.cfg").read_text()


INDEX = """\
kernel/a/disk.ko: kernel/b/bus.ko kernel/b/core.ko
kernel/b/bus.ko: kernel/b/core.ko
kernel/b/core.ko:
kernel/net/card.ko: kernel/net/fail.ko kernel/b/core.ko
kernel/net/fail.ko:
"""
"""As depmod writes it: what a driver needs first stands last."""


def test_drivers_are_loaded_after_those_they_need_and_once() -> None:
    assert load_order(INDEX, ("disk", "card")) == [
        "kernel/b/core.ko",
        "kernel/b/bus.ko",
        "kernel/a/disk.ko",
        "kernel/net/fail.ko",
        "kernel/net/card.ko",
    ]


def test_a_driver_that_the_kernel_lacks_is_told() -> None:
    with pytest.raises(KubeceptionError, match="no driver floppy"):
        load_order(INDEX, ("floppy",))


def test_an_initial_file_system_loads_in_the_order_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "modules.dep").write_text(INDEX)
    (tmp_path / "busybox").write_text("")
    for line in INDEX.splitlines():
        file = tmp_path / line.partition(":")[0]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(file.name)
    found = members(initrd(tmp_path / "busybox", tmp_path, drivers=("card", "disk")))
    loaded = [content.decode() for name, (_, content) in sorted(found.items()) if ".ko" in name]
    assert loaded == ["core.ko", "fail.ko", "card.ko", "bus.ko", "disk.ko"]
    assert b"findfs LABEL=node-root" in found["init"][1]


def test_what_firmware_is_given_is_owned_by_qemu(tmp_path: Path) -> None:
    entries = contents(tmp_path)
    paths = {entry.path for entry in entries}
    assert paths == {"disk/disk.qcow2", "boot/vmlinux", "boot/initrd"}
    assert {entry.owner for entry in entries} == {107}
    assert [entry.source for entry in entries] == [tmp_path / entry.path for entry in entries]
