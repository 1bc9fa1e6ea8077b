"""Memory of pods, read where the kernel keeps it: /proc/PID/smaps_rollup of their cgroup's processes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Memory:
    """Bytes of one process."""

    command: str
    private: int
    """Pages nobody else maps: what goes away with the process."""
    proportional: int
    """Private pages and this process's share of the shared ones."""


def of_pods(uids: Iterable[str]) -> list[Memory]:
    """Each process of these pods on this machine, the largest first."""
    marks = tuple(mark for uid in uids for mark in (f"pod{uid}", f"pod{uid.replace('-', '_')}"))
    found = [memory(process) for process in _processes(marks)]
    return sorted(found, key=lambda entry: entry.private, reverse=True)


def memory(process: Path) -> Memory:
    """What /proc says of one process."""
    sizes: dict[str, int] = {}
    for line in (process / "smaps_rollup").read_text().splitlines()[1:]:
        key, size, *_ = line.split()
        sizes[key.rstrip(":")] = int(size) * 1024
    return Memory(
        command=(process / "comm").read_text().strip(),
        private=sizes["Private_Clean"] + sizes["Private_Dirty"],
        proportional=sizes["Pss"],
    )


def _processes(marks: tuple[str, ...]) -> Iterator[Path]:
    for process in PROC.glob("[0-9]*"):
        try:
            groups = (process / "cgroup").read_text()
        except OSError:
            continue
        if any(mark in groups for mark in marks):
            yield process
