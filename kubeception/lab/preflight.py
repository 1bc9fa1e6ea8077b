"""What a machine must have before a lab is made on it; everything it lacks is told at once."""

import os
import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping
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
    refuse("hold a lab", "kubeception lab up", problems(folder, fresh=fresh))


def check_builder(rooms: Mapping[Path, float]) -> None:
    """The same for a machine that builds images: GiB that it needs by folder."""
    refuse("build images", "kubeception image build", builder_problems(rooms))


def refuse(what: str, command: str, problems: Iterable[tuple[str, str]]) -> None:
    """Raise KubeceptionError where there are problems."""
    if found := list(problems):
        lines = "".join(f"\n  {problem}: {fix}" for problem, fix in found)
        count = "1 thing" if len(found) == 1 else f"{len(found)} things"
        raise KubeceptionError(
            f"this machine can't {what}: {count} to put right{lines}",
            hint=f"then run `{command}` again",
        )


def builder_problems(rooms: Mapping[Path, float]) -> Iterator[tuple[str, str]]:
    """(what is wrong, what to do about it); folders on one disk need their sum of it."""
    if platform.system() != "Linux":
        yield f"it runs {platform.system()}", "use a Linux machine, or a virtual one"
        return
    if os.geteuid() != 0:
        yield "you are not root", "run it as root (`sudo -E kubeception image build`)"
    if not knows_overlay():
        yield "the kernel has no overlay file system", "modprobe overlay"
    disks: dict[int, tuple[Path, float]] = {}
    for folder, room in rooms.items():
        place = existing(folder)
        first, others = disks.get(place.stat().st_dev, (place, 0.0))
        disks[place.stat().st_dev] = (first, others + room)
    for place, room in disks.values():
        free = shutil.disk_usage(place).free / GIB
        if free < room:
            fix = "free some, or set XDG_CACHE_HOME or --output to a larger disk"
            yield f"{free:.1f} GiB are free on the disk of {place}, {room:.1f} are needed", fix


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that there is."""
    return next(path for path in (folder, *folder.parents) if path.exists())


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
    place = existing(folder)
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
