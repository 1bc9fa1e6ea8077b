"""A machine under QEMU, emulated, that boots a disk and is told by cloud-init what to say on its serial line."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from kubeception.lab.images import VIRTUAL
from kubeception.lab.state import cache_folder

SECONDS: Final = 600
"""From power on to power off; an idle machine takes two minutes."""
MORE: Final = 2 << 30
"""Octets by which a machine's disk is larger than the image."""
ENTER: Final = """\
mount --make-rprivate /
mount --bind /dev "$1/dev"
mount --bind "$2" "$1/mnt"
root=$1
shift 2
cd /
exec chroot "$root" "$@"
"""
"""A program of the root file system with QEMU, with a folder at /mnt."""
QEMU: Final = (
    *("qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-m", "1536", "-no-reboot"),
    *("-display", "none", "-monitor", "none", "-serial", "file:/mnt/console"),
    *("-device", "virtio-rng-pci", "-device", "virtio-scsi-pci"),
    *("-device", "virtio-net-pci,netdev=net"),
)
ALONE: Final = ("-netdev", "user,id=net,restrict=on")
"""No network but a name server and an address by DHCP."""
BUSES: Final = {"virtio": "virtio-blk-pci", "scsi": "scsi-hd"}


@dataclass(frozen=True)
class Machine:
    """What it boots from, in a folder of its own, and how."""

    folder: Path
    tools: Path
    """The root file system with QEMU."""

    def run(self, *argv: str) -> subprocess.Popen[bytes]:
        """A program beside QEMU, in namespaces that end with it; the folder is /mnt."""
        enter = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", ENTER, "sh")
        return subprocess.Popen((*enter, str(self.tools), str(self.folder), *argv))

    def boot(self, disk: Path, user_data: str, *options: str, bus: str = "virtio") -> str:
        """Power on, and off when the guest does so; what it said. The disk itself stays as it is."""
        form = "qcow2" if disk.suffix == ".qcow2" else "raw"
        size = json.loads(run("qemu-img", "info", "--output=json", str(disk)))["virtual-size"]
        inside = f"/mnt/{disk.relative_to(self.folder)}"
        overlay = self.folder / "overlay.qcow2"
        argv = ("create", "-q", "-f", "qcow2", "-F", form, "-u", "-b", inside)
        run("qemu-img", *argv, str(overlay), str(size + MORE))
        self.seed(user_data)
        disks = (
            *("-drive", "file=/mnt/overlay.qcow2,id=root,if=none,cache=unsafe"),
            *("-device", f"{BUSES[bus]},drive=root,bootindex=1"),
            *("-drive", "file=/mnt/seed,id=seed,format=raw,if=none"),
            *("-device", "virtio-blk-pci,drive=seed"),
        )
        with self.run(*QEMU, *ALONE, *disks, *options) as process:
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                pytest.fail(f"it did not end by itself; its console:\n{self.console()[-4000:]}")
            finally:
                process.kill()
        return self.console()

    def console(self) -> str:
        """All that it said so far."""
        return (self.folder / "console").read_text(errors="replace").replace("\r", "")

    def seed(self, user_data: str) -> None:
        """The disk that cloud-init reads."""
        folder = self.folder / "cidata"
        folder.mkdir(exist_ok=True)
        (folder / "user-data").write_text(user_data)
        (folder / "meta-data").write_text("instance-id: one\nlocal-hostname: machine\n")
        argv = ("genisoimage", "-quiet", "-volid", "cidata", "-rational-rock", "-o", "/mnt/seed")
        with self.run(*argv, "/mnt/cidata") as process:
            assert process.wait(60) == 0


def machine(folder: Path) -> Machine:
    """A machine with the QEMU of KubeVirt's images, out of the cache."""
    tools = folder / "tools"
    tools.mkdir()
    archive = cache_folder() / "rootfs" / f"{VIRTUAL.name}-{VIRTUAL.fingerprint()}.tar.zst"
    run("tar", "--zstd", "--numeric-owner", "-xpf", str(archive), "-C", str(tools))
    return Machine(folder, tools)


def run(*argv: str) -> str:
    """What a program of this machine says."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(argv)}: {done.stderr}")
    return done.stdout
