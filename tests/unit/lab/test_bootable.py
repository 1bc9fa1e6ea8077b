import struct
from pathlib import Path

import pytest

from kubeception.errors import KubeceptionError
from kubeception.lab import bootable, disk
from kubeception.lab.bootable import BOOT_BEGIN, BOOT_SIZE, master_boot_record, partitions

GIB = 1 << 30


def parsed(sector: bytes) -> list[tuple[int, int, int, int]]:
    """Flag, kind, first sector and length of each partition, read as firmware reads them."""
    found = []
    for place in range(446, 510, 16):
        entry = sector[place : place + 16]
        found.append((entry[0], entry[4], *struct.unpack_from("<II", entry, 8)))
    return found


def test_the_first_sector_is_as_firmware_reads_it() -> None:
    sector = master_boot_record(b"\xeb\xfe", partitions(12 * GIB))
    assert len(sector) == 512
    assert sector[:2] == b"\xeb\xfe"
    assert sector[510:] == b"\x55\xaa"
    boot, root, *others = parsed(sector)
    assert boot == (0x80, 0xEF, 2048, 64 * 2048)
    assert root == (0, 0x83, 2048 + 64 * 2048, 12 * 1024 * 2048)
    assert others == [(0, 0, 0, 0)] * 2


def test_a_disk_has_an_identity() -> None:
    sector = master_boot_record(b"", partitions(GIB))
    assert sector[440:444] != bytes(4)


def test_code_that_would_overwrite_the_partitions_is_refused() -> None:
    with pytest.raises(KubeceptionError, match="441 octets"):
        master_boot_record(b"x" * 441, ())


def test_partitions_are_side_by_side_and_aligned() -> None:
    boot, root = partitions(GIB)
    assert root.begin == boot.begin + boot.size
    assert boot.begin % (1 << 20) == root.begin % (1 << 20) == 0
    assert (boot.begin, boot.size) == (BOOT_BEGIN, BOOT_SIZE)
    assert (boot.active, root.active) == (True, False)


def test_the_length_that_is_grown_is_that_of_the_root() -> None:
    one, other = (master_boot_record(b"", partitions(size)) for size in (GIB, 5 * GIB))
    differ = [place for place in range(512) if one[place] != other[place]]
    assert set(differ) <= set(range(bootable.ROOT_LENGTH, bootable.ROOT_LENGTH + 4))
    assert f"seek={bootable.ROOT_LENGTH} " in bootable.GROW
    assert bootable.GROW.count("= 2 ]") == 1


@pytest.mark.parametrize("text", [bootable.SYSLINUX, bootable.ENTRY])
def test_both_loaders_start_the_same_with_the_serial_line_last(text: str) -> None:
    lines = [line.split(maxsplit=1) for line in text.splitlines()]
    said = {words[0].lower(): words[1] for words in lines}
    command_line = said.get("append") or said["options"]
    assert command_line.split() == bootable.COMMAND_LINE.split()
    consoles = [word for word in command_line.split() if word.startswith("console=")]
    assert consoles[-1] == "console=ttyS0"
    assert "rw" in command_line.split()
    assert "root=" not in command_line  # it is found by its label
    assert (said["linux"], said["initrd"]) == ("/vmlinuz", "/initrd")


def test_a_boot_menu_lets_nobody_edit() -> None:
    assert "editor no" in bootable.LOADER.splitlines()
    assert "PROMPT" not in bootable.SYSLINUX


def test_every_applet_of_the_scripts_is_there() -> None:
    direct = disk.FIND + disk.MOUNT + disk.SWITCH
    alone = disk.FIND + bootable.GROW + disk.MOUNT + bootable.GROWN + disk.SWITCH
    known = {"findfs", "insmod", "mount", "sleep", "switch_root", "blockdev", "cat", "chroot", "dd"}
    for script, applets in ((direct, disk.APPLETS), (alone, bootable.APPLETS)):
        words = set(script.replace("$(", " ").replace("(", " ").split())
        assert words & known <= set(applets)
        assert known & set(applets) <= words


@pytest.mark.parametrize("driver", ["virtio_blk", "virtio_scsi", "sd_mod", "ahci", "virtio_net"])
def test_disks_of_all_hypervisors_are_known(driver: str) -> None:
    assert driver in bootable.DRIVERS


def test_a_path_with_a_comma_is_one_option() -> None:
    assert bootable.quoted(Path("/a,b/c")) == "/a,,b/c"
