"""Process 1 of a lab node: it makes the node's namespaces and mounts, then starts, reaps and restarts its services.

A node sees the machine's files, with an /etc laid over the machine's, and /var, /opt, /tmp and /run of its own.
KubeVirt's virt-handler enters this process's mount namespace and expects the node's mounts there, shared.
"""

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from kubeception.lab.process import detach

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE, MS_SHARED = 0x1000, 0x2000, 0x4000, 0x40000, 0x100000

STATUS = Path("/run/kubeception/services.json")
"""Inside the node: what runs, for `lab status`."""
BACK_OFF = 1.0
"""Seconds between the end of a service and its next start."""

libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Service:
    """A program that runs as long as the node does. All paths are the node's."""

    name: str
    argv: tuple[str, ...]
    log: str
    needs: tuple[str, ...] = ()
    """It starts when all these paths exist."""


@dataclass(frozen=True)
class Node:
    """What process 1 has to know. Paths are the machine's, but for the services'."""

    hostname: str
    folder: str
    """Holds etc/ (the upper layer), etc.work/, opt/, tmp/ and var/."""
    programs: str
    """Folder of binaries, seen in the node as /opt/kubeception/bin."""
    record: str
    log: str
    cgroups: tuple[str, ...]
    """The cgroup.procs files this process enters."""
    services: tuple[Service, ...]

    def dump(self) -> str:
        """As `load` reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> "Node":
        """The reverse of `dump`."""
        data = json.loads(text)
        services = [
            Service(**{**s, "argv": tuple(s["argv"]), "needs": tuple(s["needs"])})
            for s in data["services"]
        ]
        return cls(**{**data, "cgroups": tuple(data["cgroups"]), "services": tuple(services)})


def start(node: Node) -> None:
    """Become nobody's child in new namespaces; return when the node's mounts stand. Raises RuntimeError."""
    for procs in node.cgroups:
        Path(procs).write_text(str(os.getpid()))
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET))

    def body(up: Callable[[], None]) -> NoReturn:
        build_root(node)
        up()
        supervise(node.services)

    detach(Path(node.record), Path(node.log), body)


def build_root(node: Node) -> None:
    """The node's view of the machine: nothing it writes lands outside its folder."""
    folder = Path(node.folder)
    own = {name: os.open(folder / name, os.O_PATH) for name in ("opt", "tmp", "var")}
    programs = os.open(node.programs, os.O_PATH)
    mount("", "/", flags=MS_REC | MS_PRIVATE)
    layers = f"lowerdir=/etc,upperdir={folder / 'etc'},workdir={folder / 'etc.work'}"
    mount("overlay", "/etc", kind="overlay", options=layers)
    mount("proc", "/proc", kind="proc")
    mount("tmpfs", "/run", kind="tmpfs", options="mode=755")
    mount_sys()
    for name, source in own.items():  # by descriptor: a mount may hide the path of the next source
        mount(f"/proc/self/fd/{source}", f"/{name}", flags=MS_BIND)
    target = Path("/opt/kubeception/bin")
    target.mkdir(parents=True, exist_ok=True)
    mount(f"/proc/self/fd/{programs}", str(target), flags=MS_BIND)
    for path in (Path("/run/lock"), STATUS.parent):
        path.mkdir(parents=True)
    if not Path("/var/run").is_symlink():
        Path("/var/run").symlink_to("/run")
    mount("", "/", flags=MS_REC | MS_SHARED)
    check(libc.sethostname(node.hostname.encode(), len(node.hostname)))
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def mount_sys() -> None:
    """The sysfs of this network namespace, with the machine's cgroup mounts and a bpffs of the node's own in it."""
    aside = Path("/run/cgroup")
    aside.mkdir()
    mount("/sys/fs/cgroup", str(aside), flags=MS_BIND | MS_REC)
    mount("sysfs", "/sys", kind="sysfs")
    mount(str(aside), "/sys/fs/cgroup", flags=MS_MOVE)
    aside.rmdir()
    if "\tbpf\n" in Path("/proc/filesystems").read_text():
        mount("bpf", "/sys/fs/bpf", kind="bpf")


def mount(source: str, target: str, *, kind: str = "", flags: int = 0, options: str = "") -> None:
    """The system call mount, section 2. Raises OSError."""
    check(
        libc.mount(
            source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()
        ),
        target,
    )


def check(result: int, what: str = "") -> None:
    """Raise the C library's error where a call failed."""
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def supervise(services: Sequence[Service]) -> NoReturn:
    """Keep the services running and reap every orphan, for ever."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    running: dict[int, Service] = {}
    due = {service.name: 0.0 for service in services}
    starts = dict.fromkeys(due, 0)
    while True:
        for service in services:
            if service not in running.values() and startable(service, due[service.name]):
                running[launch(service)] = service
                starts[service.name] += 1
                publish(running, starts)
        waiting = len(running) < len(services)
        signal.sigtimedwait({signal.SIGCHLD}, 0.05 if waiting else 5)
        for pid in reap():
            if ended := running.pop(pid, None):
                due[ended.name] = time.monotonic() + BACK_OFF
                publish(running, starts)


def startable(service: Service, due: float) -> bool:
    """Whether it is time, and what it needs is there."""
    return time.monotonic() >= due and all(Path(path).exists() for path in service.needs)


def launch(service: Service) -> int:
    """Start a service in a session of its own; its pid."""
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    Path(service.log).parent.mkdir(parents=True, exist_ok=True)
    return os.posix_spawnp(
        service.argv[0],
        service.argv,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, service.log, append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=(),
    )


def reap() -> list[int]:
    """The pids of all children that ended since the last call."""
    ended = []
    try:
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            ended.append(pid)
    except ChildProcessError:
        pass
    return ended


def publish(running: Mapping[int, Service], starts: Mapping[str, int]) -> None:
    """Write STATUS: for each service its pid in the node (0 when it is down) and how often it was started."""
    pids = {service.name: pid for pid, service in running.items()}
    status = {name: {"pid": pids.get(name, 0), "starts": count} for name, count in starts.items()}
    draft = STATUS.with_suffix(".new")
    draft.write_text(json.dumps(status))
    draft.replace(STATUS)


if __name__ == "__main__":
    start(Node.load(Path(sys.argv[1]).read_text()))
