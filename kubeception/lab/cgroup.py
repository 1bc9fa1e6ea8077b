"""The cgroups of a lab: one subtree per node in every hierarchy the machine has, v1 or v2."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kubeception.errors import KubeceptionError

MOUNT = Path("/sys/fs/cgroup")
NEEDED = frozenset({"cpu", "cpuacct", "cpuset", "memory"})
"""Hierarchies of cgroup v1 without which a kubelet does not start."""
CAP_SYS_RESOURCE = 24


@dataclass(frozen=True)
class Cgroups:
    """The cgroup hierarchies of this machine."""

    version: int
    hierarchies: tuple[Path, ...]
    """Mount points: a single one with v2; with v1 one per controller set, and v2's without controllers beside them."""

    @classmethod
    def detect(cls, mount: Path = MOUNT) -> "Cgroups":
        """What is mounted here. Raises KubeceptionError where it is not enough for a kubelet."""
        if (mount / "cgroup.controllers").exists():
            return cls(2, (mount,))
        tops = [path for path in sorted(mount.iterdir()) if (path / "cgroup.procs").exists()]
        names = {path.name: path for path in tops}
        found = {part for name in names for part in name.split(",")}
        if missing := NEEDED - found:
            raise KubeceptionError(
                f"cgroup controllers are missing below {mount}: {', '.join(sorted(missing))}",
                hint="boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1), or mount them",
            )
        unique = {
            path.resolve(): path for path in names.values()
        }  # `cpu` may be a link to `cpu,cpuacct`
        return cls(1, tuple(sorted(unique)))

    def make(self, cgroup: str) -> tuple[Path, ...]:
        """Make `cgroup` (like `lab/node-1`) in every hierarchy; the cgroup.procs files to enter.

        With v2 a process may not live in a cgroup that has children with controllers: it enters a leaf.
        """
        leaf = f"{cgroup}/init" if self.version == 2 else cgroup
        return tuple(self.make_path(top, leaf) / "cgroup.procs" for top in self.hierarchies)

    def make_path(self, top: Path, cgroup: str) -> Path:
        """Make each cgroup on the way down, usable for those below it."""
        path = top
        for part in cgroup.split("/"):
            parent, path = path, path / part
            if self.version == 2:
                delegate(parent)
            path.mkdir(exist_ok=True)
            inherit_cpuset(parent, path)
        return path

    def find(self, cgroup: str) -> Iterator[Path]:
        """The folders `cgroup` has now."""
        return (top / cgroup for top in self.hierarchies if (top / cgroup).is_dir())

    def remove(self, cgroup: str, *, patience: float = 5.0) -> Sequence[Path]:
        """Remove `cgroup` and all below it, once no process is in them; what could not be removed."""
        until = time.monotonic() + patience
        while True:
            for top in self.find(cgroup):
                remove_tree(top)
            left = tuple(self.find(cgroup))
            if not left or time.monotonic() > until:
                return left
            time.sleep(0.05)


def delegate(cgroup: Path) -> None:
    """Let the children of a v2 cgroup use every controller that it has itself."""
    available = cgroup / "cgroup.controllers"
    if available.exists() and (names := available.read_text().split()):
        (cgroup / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in names))


def inherit_cpuset(parent: Path, child: Path) -> None:
    """Give a v1 cpuset cpus and memory nodes, without which no process may enter it."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        own = child / name
        if (parent / "tasks").exists() and own.exists() and not own.read_text().strip():
            own.write_text((parent / name).read_text())


def remove_tree(path: Path) -> None:
    """Remove a cgroup and those below it, the deepest first, as far as they are empty."""
    with suppress(OSError):
        for child in path.iterdir():
            if child.is_dir():
                remove_tree(child)
        path.rmdir()


def may_raise_limits(status: Path = Path("/proc/self/status")) -> bool:
    """Whether this process has CAP_SYS_RESOURCE: may lower an oom_score_adj and raise limits."""
    for line in status.read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1)
    return False


def has_usable_kvm(cpuinfo: Path = Path("/proc/cpuinfo"), device: Path = Path("/dev/kvm")) -> bool:
    """Whether guests can run on the processor itself.

    Some hypervisors offer a /dev/kvm under which a stock kernel hangs: the processor must show vmx or svm too.
    """
    flags = next((x for x in cpuinfo.read_text().splitlines() if x.startswith("flags")), "").split()
    return device.exists() and bool({"vmx", "svm"} & set(flags))
