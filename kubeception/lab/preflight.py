"""What a machine must have before a lab is made on it; everything it lacks is told at once."""

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from kubeception.errors import KubeceptionError
from kubeception.lab.cgroup import Cgroups

COMMANDS = {
    "ip": "iproute2",
    "mount": "mount",
    "nft": "nftables",
    "nsenter": "util-linux",
    "runc": "runc",
}
"""Command → the Debian package that brings it."""
GIB = 1 << 30
MEMORY = 4
"""GiB available at least: the host cluster with KubeVirt takes 3, a small virtual machine 1."""
DISK = 10
"""GiB free at least where a lab's nodes keep their images and volumes."""


def check(folder: Path, *, fresh: bool) -> None:
    """Raise KubeceptionError with every problem; room is asked for only where the lab is made `fresh`."""
    found = list(problems(folder, fresh=fresh))
    if found:
        lines = "".join(f"\n  {problem}: {fix}" for problem, fix in found)
        count = "1 thing" if len(found) == 1 else f"{len(found)} things"
        raise KubeceptionError(
            f"this machine can't hold a lab: {count} to put right{lines}",
            hint="then run `kubeception lab up` again",
        )


def problems(folder: Path, *, fresh: bool) -> Iterator[tuple[str, str]]:
    """(what is wrong, what to do about it)."""
    if platform.system() != "Linux":
        yield f"it runs {platform.system()}", "use a Linux machine, or a virtual one"
        return
    if os.geteuid() != 0:
        yield "you are not root", "run it as root (`sudo -E kubeception lab up`)"
    if missing := [package for command, package in COMMANDS.items() if not shutil.which(command)]:
        yield (
            f"commands of {', '.join(missing)} are missing",
            f"apt-get install {' '.join(missing)}",
        )
    if not knows_overlay():
        yield "the kernel has no overlay file system", "modprobe overlay"
    try:
        Cgroups.detect()
    except KubeceptionError as error:
        yield error.message, error.hint
    if fresh:
        yield from narrow_places(folder)


def narrow_places(folder: Path) -> Iterator[tuple[str, str]]:
    """Too little memory, too little disk."""
    memory = available_memory() / GIB
    if memory < MEMORY:
        yield f"{memory:.1f} GiB of memory are available, {MEMORY} are needed", "end other programs"
    place = next(path for path in (folder, *folder.parents) if path.exists())
    disk = shutil.disk_usage(place).free / GIB
    if disk < DISK:
        fix = "free some, or set XDG_STATE_HOME to a folder on a larger disk"
        yield f"{disk:.1f} GiB are free on the disk of {place}, {DISK} are needed", fix


def knows_overlay(filesystems: Path = Path("/proc/filesystems")) -> bool:
    """Whether the kernel has overlayfs, which containerd and the nodes' /etc are made of."""
    return any(line.split()[-1] == "overlay" for line in filesystems.read_text().splitlines())


def available_memory(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Octets that programs can have without swapping."""
    lines = meminfo.read_text().splitlines()
    return next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable:"))
