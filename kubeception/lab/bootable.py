"""A disk that a machine boots from without being given a kernel: a boot partition before the node's own file system.

sector 0    master boot record: syslinux's code, and both partitions
1 MiB       boot, FAT: kernel, initial file system, syslinux for BIOS, systemd-boot for UEFI
65 MiB      root, ext4: that of the container disk, octet for octet

Its initial file system knows the drivers of all disks that hypervisors give, and lets the root grow with its disk.
"""

import shutil
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kubeception.errors import KubeceptionError
from kubeception.lab import debian, disk, guest
from kubeception.lab.command import run
from kubeception.lab.report import Report
from kubeception.lab.rootfs import TOOLS, Root, archive
from kubeception.plan import kernel

SECTOR: Final = 512
BOOT_BEGIN: Final = 1 << 20
BOOT_SIZE: Final = 64 << 20
PACKAGES: Final = ("dosfstools", "mtools", "qemu-utils", "syslinux")
LOADERS: Final = Root("loaders", ("syslinux-common", "systemd-boot-efi"), variant="extract")
"""The master boot record's code, and systemd-boot."""
MASTER: Final = "usr/lib/syslinux/mbr/mbr.bin"
UEFI: Final = "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
DRIVERS: Final = (
    *disk.DRIVERS,
    "virtio_scsi",
    "ahci",
    "ata_piix",
    "sd_mod",
    "sr_mod",
)
"""NVMe is part of the kernel; sr_mod is for the medium with cloud-init's data."""
APPLETS: Final = (*disk.APPLETS, "blockdev", "cat", "chroot", "dd")

COMMAND_LINE: Final = " ".join(("console=tty0", *kernel.ARGUMENTS))
SYSLINUX: Final = f"""\
SERIAL 0 115200
DEFAULT node
LABEL node
  LINUX /vmlinuz
  INITRD /initrd
  APPEND {COMMAND_LINE}
"""
ENTRY: Final = f"""\
title Node
linux /vmlinuz
initrd /initrd
options {COMMAND_LINE}
"""
LOADER: Final = "default node.conf\ntimeout 0\neditor no\n"

ACTIVE: Final = 0x80
FAT_OF_UEFI: Final = 0xEF
LINUX: Final = 0x83
CODE: Final = 440
"""Octets of a master boot record before the disk's identity."""
IDENTITY: Final = b"node\0\0"
FAR: Final = b"\xfe\xff\xff"
"""Cylinder, head and sector, where only the linear address counts."""
ROOT_NUMBER: Final = 2
ROOT_LENGTH: Final = CODE + len(IDENTITY) + 16 + 12
"""Where a master boot record has the length of the second partition."""

GROW: Final = f"""\
name=${{root##*/}}
cd "/sys/class/block/$name"
if [ -e partition ] && [ "$(cat partition)" = {ROOT_NUMBER} ]; then
    length=$(($(cat ../size) - $(cat start)))
    [ "$length" -lt 4294967296 ] || length=4294967295
    if [ "$length" -gt "$(cat size)" ]; then
        disk=$(cd -P .. && echo "/dev/${{PWD##*/}}")
        octets=
        for shift in 0 8 16 24; do
            octets="$octets\\\\$(printf %03o $((length >> shift & 255)))"
        done
        printf "$octets" | dd of="$disk" bs=1 seek={ROOT_LENGTH} conv=notrunc 2>/dev/null
        blockdev --rereadpt "$disk"
    fi
fi
cd /
"""
"""Make the root's partition, the last one, as long as the disk allows."""
GROWN: Final = 'chroot /root /usr/sbin/resize2fs "$root" >/dev/null 2>&1\n'
"""And the file system as long as its partition."""


@dataclass(frozen=True)
class Partition:
    """A partition by its begin and size in octets."""

    kind: int
    begin: int
    size: int
    active: bool = False
    """What the code of the master boot record goes on to."""

    def entry(self) -> bytes:
        """Its 16 octets of a master boot record."""
        flag = ACTIVE if self.active else 0
        place = (self.begin // SECTOR, self.size // SECTOR)
        return struct.pack("<B3sB3sII", flag, FAR, self.kind, FAR, *place)


def partitions(root_size: int) -> tuple[Partition, ...]:
    """Boot and root, for a root file system of so many octets."""
    boot = Partition(FAT_OF_UEFI, BOOT_BEGIN, BOOT_SIZE, active=True)
    return (boot, Partition(LINUX, BOOT_BEGIN + BOOT_SIZE, root_size))


def master_boot_record(code: bytes, table: Sequence[Partition]) -> bytes:
    """The first sector of a disk. Raises KubeceptionError for code that doesn't fit into it."""
    if len(code) > CODE:
        message = f"the code of the master boot record has {len(code)} octets of {CODE} at most"
        raise KubeceptionError(message)
    entries = b"".join(partition.entry() for partition in table)
    return code.ljust(CODE, b"\0") + IDENTITY + entries.ljust(64, b"\0") + b"\x55\xaa"


def build(node: Path, target: Path, cache: Path, work: Path, report: Report) -> None:
    """A raw disk, of disk and kernel as a lab has them in the folder `node`. Raises KubeceptionError."""
    debian.install(PACKAGES, report)
    with report.phase("Kernel and boot loaders"):
        boot = boot_files(node, cache, work, report)
        image = work / "boot.img"
        format_boot(boot, image, report)
    with report.phase("Disk with boot partition"):
        code = (work / "loaders" / MASTER).read_bytes()
        assemble(code, image, node / disk.DISK, target, report)


def boot_files(node: Path, cache: Path, work: Path, report: Report) -> Path:
    """A folder of all that stands on the boot partition."""
    tree, boot = work / "kernel", work / "boot"
    members = ("./usr/lib/modules", "./boot")
    disk.unpack(archive(guest.KERNEL, cache, report), tree, report, *members)
    (tree / "lib").symlink_to("usr/lib")  # where depmod looks
    disk.unpack(archive(LOADERS, cache, report), work / "loaders", report)
    disk.unpack(archive(TOOLS, cache, report), work / "tools", report, "./usr/bin/busybox")
    (packed,) = (tree / "boot").glob("vmlinuz-*")
    if not (node / disk.VMLINUX).read_bytes().startswith(disk.kernel(packed)):
        raise KubeceptionError(
            f"{packed.name} is not the kernel whose drivers the node's disk has",
            hint=f"delete {cache / 'layers'}: the disk is made anew then",
        )
    first = disk.initrd(
        work / "tools" / "usr/bin/busybox",
        disk.modules(tree, report),
        drivers=DRIVERS,
        applets=APPLETS,
        script=disk.FIND + GROW + disk.MOUNT + GROWN + disk.SWITCH,
    )
    for folder in ("EFI/BOOT", "loader/entries"):
        (boot / folder).mkdir(parents=True)
    shutil.copyfile(packed, boot / "vmlinuz")
    shutil.copyfile(work / "loaders" / UEFI, boot / "EFI/BOOT/BOOTX64.EFI")
    (boot / "initrd").write_bytes(first)
    (boot / "syslinux.cfg").write_text(SYSLINUX)
    (boot / "loader/loader.conf").write_text(LOADER)
    (boot / "loader/entries/node.conf").write_text(ENTRY)
    return boot


def format_boot(files: Path, image: Path, report: Report) -> None:
    """The boot partition's file system, with these files and syslinux in it."""
    with image.open("wb") as stream:
        stream.truncate(BOOT_SIZE)
    hidden = str(BOOT_BEGIN // SECTOR)
    argv = ["mkfs.fat", "-F", "32", "-s", "1", "-h", hidden, "-n", "BOOT", "-i", "6e6f6465"]
    run([*argv, str(image)], report, doing="formatting the boot partition")
    names = [str(path) for path in sorted(files.iterdir())]
    argv = ["mcopy", "-s", "-i", str(image), *names, "::"]
    run(argv, report, doing="filling the boot partition")
    run(["syslinux", "--install", str(image)], report, doing="installing the boot loader")


def assemble(code: bytes, boot: Path, root: Path, target: Path, report: Report) -> None:
    """The whole disk; only what is used takes room."""
    table = partitions(disk.SIZE)
    last = table[-1]
    with target.open("wb") as stream, boot.open("rb") as content:
        stream.truncate(last.begin + last.size)
        stream.write(master_boot_record(code, table))
        stream.seek(BOOT_BEGIN)
        shutil.copyfileobj(content, stream)
    place = f"driver=raw,offset={last.begin},size={last.size},file.driver=file"
    argv = ["qemu-img", "convert", "-n", "--target-is-zero", "-f", "qcow2", str(root)]
    argv += ["--target-image-opts", f"{place},file.filename={quoted(target)}"]
    run(argv, report, doing="writing the root partition")


def quoted(path: Path) -> str:
    """A path as a value among QEMU's options."""
    return str(path.absolute()).replace(",", ",,")


def convert(raw: Path, target: Path, report: Report, *, packed: bool = False) -> None:
    """The same disk as a qcow2 file; packed, it is a quarter of the size, and slower to read."""
    argv = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2"]
    argv += ["-c", "-o", "compression_type=zstd,cluster_size=256k"] if packed else []
    run([*argv, str(raw), str(target)], report, doing="converting the disk")
