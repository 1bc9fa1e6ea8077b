#!/usr/bin/python3 -SE
"""Process 1 of a node that is a pod: it does what its bootstrap says, then keeps containerd and the kubelet running.

The image holds this file alone, as /usr/local/sbin/node-init, so it imports nothing of this project. The bootstrap is a
JSON document (`Bootstrap.document`): it is read, written to files and given to programs as arguments, never to a shell.
"""

import array
import fcntl
import json
import os
import re
import shlex
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

BOOTSTRAP = Path("/bootstrap/bootstrap.json")
CGROUPS = Path("/sys/fs/cgroup")
SOCKET = Path("/run/containerd/containerd.sock")
MACHINE_ID = Path("/etc/machine-id")
CONTAINERD_CONFIG = Path("/etc/containerd/config.toml")
CNI_TEMPLATE = Path("/etc/containerd/cni.conf.template")
KUBELET_CONFIG = Path("/var/lib/kubelet/config.yaml")
KUBELET_FLAGS = Path("/var/lib/kubelet/kubeadm-flags.env")
"""Read as systemd would: without it a kubelet would register as another node than it is."""
DROP_IN = Path("/etc/kubernetes/kubelet.conf.d/10-pod.conf")
VXLAN_HEADER = 50
SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17
"""Of linux/sockios.h and linux/ethtool.h."""
BACK_OFF = 1.0
"""Seconds between the end of a program and its next start."""
KUBELET = (
    "/usr/local/bin/kubelet",
    "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf",
    "--kubeconfig=/etc/kubernetes/kubelet.conf",
    f"--config={KUBELET_CONFIG}",
    f"--config-dir={DROP_IN.parent}",
)


def say(text: str) -> None:
    """A line of the pod's log."""
    print(f"node-init: {text}", flush=True)  # noqa: T201  # this is a program


def own_cgroup(mount: Path, entries: str, mounts: str) -> Path:
    """The folder of this process's cgroup below `mount`, by the texts of /proc/self/cgroup and /proc/self/mountinfo.

    What a runtime shows a container of the machine's cgroups begins with its own or, in a node that is a container
    itself, with that of the node: then the pods of the node are there, too, and a kubelet that took them for its own
    would end them as nobody's.
    """
    paths = dict(line.split(":", 2)[1:] for line in entries.splitlines())
    top = mount / "memory" if (mount / "memory").is_dir() else mount
    path = Path(paths.get("memory" if top != mount else "", "/"))
    shown = (line.split()[3] for line in mounts.splitlines() if line.split()[4] == str(top))
    root = Path(next(shown, "/"))
    inner = path.relative_to(root if path.is_relative_to(root) else "/")
    return top / inner if (top / inner).is_dir() else top


def make_room(cgroup: Path) -> None:
    """Let a cgroup of version 2 have children with controllers: the processes in it move to a leaf."""
    if not (cgroup / "cgroup.controllers").exists():
        return
    leaf = cgroup / "init"
    leaf.mkdir(exist_ok=True)
    for pid in (cgroup / "cgroup.procs").read_text().split():
        (leaf / "cgroup.procs").write_text(pid)
    names = (cgroup / "cgroup.controllers").read_text().split()
    (cgroup / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in names))


def limits(cgroup: Path, capacity: int) -> int | None:
    """How many bytes of memory the pod may use; None where that is all the machine has."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        if (cgroup / name).exists() and (said := (cgroup / name).read_text().strip()).isdigit():
            return int(said) if int(said) < capacity else None
    return None


def memory_of_machine(text: str) -> int:
    """Bytes of memory, by the text of /proc/meminfo."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def kubelet_settings(
    cgroup: Path, mount: Path, oom_score_adj: int, capacity: int
) -> dict[str, Any]:
    """What a kubelet must be told in a pod, over what its cluster says."""
    below = cgroup.relative_to(mount).parts
    path = below[1:] if (cgroup / "memory.limit_in_bytes").exists() else below
    limit = limits(cgroup, capacity)
    settings: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/" + "/".join(path),
        "failCgroupV1": False,
        "failSwapOn": False,
        # Not below its pod's own: on the host other pods' lives hang on it.
        "oomScoreAdj": oom_score_adj,
        # The disk is the host's: what is full there is the host's to judge, by far higher thresholds.
        "evictionHard": {
            "imagefs.available": "200Mi",
            "memory.available": "50Mi",
            "nodefs.available": "200Mi",
            "nodefs.inodesFree": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }
    if limit:
        settings["systemReserved"] = {"memory": str(capacity - limit)}
    return settings


def kubelet_arguments(flags: str) -> list[str]:
    """The arguments in the environment file; raises ValueError for half a file."""
    for line in flags.splitlines():
        name, equals, value = line.partition("=")
        if name == "KUBELET_KUBEADM_ARGS" and equals:
            return [word for part in shlex.split(value) for word in shlex.split(part)]
    raise ValueError("no arguments yet")


def write_files(files: Sequence[Mapping[str, str]]) -> None:
    """The files of the bootstrap; nobody reads one before it has its mode."""
    for file in files:
        path = Path(file["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(file["content"])
        path.chmod(int(file["mode"], 8))


def compute_checksums(interface: str) -> None:
    """Leave no packet's checksum to whoever comes next.

    That is the rule between namespaces of one machine, where nothing gets lost. But a virtual machine is behind
    address translation, and Linux translates a VXLAN packet wrongly whose inner checksum is still to come.
    """
    wanted = array.array("I", (ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sP", interface.encode(), wanted.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, request)


def identify(file: Path) -> None:
    """Give the node a machine id: the image's is that of all."""
    file.write_text(f"{os.urandom(16).hex()}\n")


def configure_network(*, pod_network: bool) -> None:
    """Pods get what VXLAN leaves of the pod's own MTU; the tenant's own network gets no template to fight with."""
    if not pod_network:
        lines = CONTAINERD_CONFIG.read_text().splitlines(keepends=True)
        CONTAINERD_CONFIG.write_text("".join(x for x in lines if "conf_template" not in x))
        return
    mtu = int(Path("/sys/class/net/eth0/mtu").read_text()) - VXLAN_HEADER
    template = re.sub(r'"mtu": \d+', f'"mtu": {mtu}', CNI_TEMPLATE.read_text())
    CNI_TEMPLATE.write_text(template)


@dataclass
class Program:
    """Something that runs as long as the node does."""

    name: str
    argv: Callable[[], Sequence[str] | None]
    """Its command line; None as long as it can't start."""
    process: subprocess.Popen[bytes] | None = None
    due: float = 0.0

    def start(self) -> None:
        """Start it unless it runs, or it isn't time."""
        if self.process is not None or time.monotonic() < self.due:
            return
        if (argv := self.argv()) is None:
            return
        say(f"starting {self.name}")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)

    def ended(self, pid: int, status: int) -> bool:
        """Take note of the end of a process; whether it was this program's."""
        if self.process is None or self.process.pid != pid:
            return False
        say(f"{self.name} ended with {os.waitstatus_to_exitcode(status)}")
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.process, self.due = None, time.monotonic() + BACK_OFF
        return True


def containerd() -> Sequence[str]:
    """The container runtime's command line."""
    return ("/usr/local/bin/containerd", "--log-level", "warn")


def kubelet() -> Sequence[str] | None:
    """The kubelet's command line, once there is a container runtime and what it reads."""
    if not SOCKET.exists():
        return None
    try:
        return (*KUBELET, *kubelet_arguments(KUBELET_FLAGS.read_text()))
    except (OSError, ValueError):
        return None


@dataclass
class Commands:
    """The commands of the bootstrap, one after the other: each until it has gone well, and then others once."""

    left: list[list[str]] = field(default_factory=list)
    after: list[list[str]] = field(default_factory=list)
    repeat: bool = True
    process: subprocess.Popen[bytes] | None = None
    due: float = 0.0

    def go_on(self) -> None:
        """Start the next one if it is time."""
        if self.process is not None or time.monotonic() < self.due:
            return
        if not self.left and self.after:
            self.left, self.after, self.repeat = self.after, [], False
        if self.left:
            self.process = self.begun(self.left[0])

    def begun(self, argv: list[str]) -> "subprocess.Popen[bytes] | None":
        """A command as it was started; one that is no program is done."""
        try:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        except OSError as error:
            say(f"{argv[0]}: {error}")
            self.left.pop(0)
            return None

    def ended(self, pid: int, status: int) -> None:
        """Take note of the end of a process."""
        if self.process is None or self.process.pid != pid:
            return
        code = self.process.returncode = os.waitstatus_to_exitcode(status)
        self.process = None
        if code:
            say(f"{self.left[0][0]} ended with {code}")
        if code and self.repeat:
            self.due = time.monotonic() + 2 * BACK_OFF
        else:
            self.left.pop(0)


def supervise(commands: Commands, programs: Sequence[Program]) -> NoReturn:
    """Keep the programs running and reap every orphan, for ever."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        for program in programs:
            program.start()
        if SOCKET.exists():
            commands.go_on()
        busy = (
            commands.left or commands.after or any(program.process is None for program in programs)
        )
        signal.sigtimedwait({signal.SIGCHLD}, 0.05 if busy else 10)
        for pid, status in reaped():
            if not any(program.ended(pid, status) for program in programs):
                commands.ended(pid, status)


def reaped() -> list[tuple[int, int]]:
    """(pid, status) of all children that ended since the last call."""
    found = []
    try:
        while (child := os.waitpid(-1, os.WNOHANG))[0] != 0:
            found.append(child)
    except ChildProcessError:
        pass
    return found


def main() -> NoReturn:
    """Become the node."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # all others end with process 1
    document = json.loads(BOOTSTRAP.read_text())
    # What the kubelet mounts must be seen in the containers that look for it.
    subprocess.run(("mount", "--make-rshared", "/"), check=True)
    entries, mounts = (Path(f"/proc/self/{name}").read_text() for name in ("cgroup", "mountinfo"))
    cgroup = own_cgroup(CGROUPS, entries, mounts)
    make_room(cgroup)
    write_files(document["files"])
    identify(MACHINE_ID)
    compute_checksums("eth0")
    configure_network(pod_network=document["podNetwork"])
    adjustment = int(Path("/proc/self/oom_score_adj").read_text())
    capacity = memory_of_machine(Path("/proc/meminfo").read_text())
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    DROP_IN.write_text(json.dumps(kubelet_settings(cgroup, CGROUPS, adjustment, capacity)))
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    supervise(
        Commands(document["commands"], document["after"]),
        (Program("containerd", containerd), Program("kubelet", kubelet)),
    )


if __name__ == "__main__":
    sys.exit(main())
