"""A node of a lab: namespaces of this machine with a containerd, a kubelet and files of their own."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CalledProcessError

from kubeception.errors import KubeceptionError
from kubeception.lab import containerd, init
from kubeception.lab.cgroup import Cgroups, may_raise_limits
from kubeception.lab.command import run
from kubeception.lab.network import Network
from kubeception.lab.process import Process, interpret
from kubeception.lab.report import Report
from kubeception.lab.state import LabNode

LOGS = "/var/log/kubeception"
"""Where the node's services log, inside the node."""
PATH = "/opt/kubeception/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "HOME": "/root", "KUBECONFIG": "/etc/kubernetes/admin.conf"}
"""Of what is run inside a node. kubeadm would prefer the ~/.kube/config of this machine to its own cluster's."""
KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"
JOINED = "joined"
"""The file in a node's folder that says kubeadm has ended well there."""


@dataclass(frozen=True)
class Node:
    """A node as it runs, or shall run, on this machine."""

    place: LabNode
    programs: Path
    """The folder of the lab's binaries."""
    cgroups: Cgroups
    network: Network
    report: Report

    @property
    def joined(self) -> bool:
        """Whether kubeadm has made it a member of the cluster."""
        return (self.place.folder / JOINED).exists()

    def set_joined(self) -> None:
        """Remember that kubeadm has ended well."""
        (self.place.folder / JOINED).touch()

    def process(self) -> Process | None:
        """Its process 1, if that is alive."""
        process = Process.load(self.place.record)
        return process if process and process.alive() else None

    def ensure(self, *, upstream: bool) -> bool:
        """Running and connected; True where it had to be started.

        What a kubeadm that never ended has left is thrown away first.
        """
        if not self.joined:
            self.remove()
        process = self.process()
        if started := process is None:
            self.write_files(upstream=upstream)
            process = self.start()
        self.network.connect(self.place, process.pid)
        return started

    def start(self) -> Process:
        """Start its process 1. Raises KubeceptionError."""
        place = self.place
        self.stop()
        self.cgroups.remove(
            place.cgroup
        )  # a kubelet does not start among cgroups of pods that are no more
        node = init.Node(
            hostname=place.name,
            folder=str(place.folder),
            programs=str(self.programs),
            record=str(place.record),
            log=str(place.log),
            cgroups=tuple(str(path) for path in self.cgroups.make(place.cgroup)),
            services=(CONTAINERD, kubelet(place)),
        )
        description = place.folder / "init.json"
        description.write_text(node.dump())
        try:
            interpret(init.__name__, str(description), env={"PATH": PATH})
        except CalledProcessError as error:
            raise KubeceptionError(
                f"node {place.name} did not start",
                hint=f"its log is {place.log}",
                output=error.stderr.strip().rpartition("\n")[2],
            ) from error
        process = self.process()
        if process is None:
            raise KubeceptionError(
                f"node {place.name} ended at once", hint=f"its log is {place.log}"
            )
        return process

    def stop(self) -> None:
        """End its process 1, and with it every process of its pid namespace. Raises KubeceptionError."""
        process = Process.load(self.place.record)
        if process and process.alive() and not process.end():
            raise KubeceptionError(
                f"process {process.pid} of node {self.place.name} does not end",
                hint="something of it hangs in the kernel: `ps -eo pid,stat,wchan:30,args | grep ' D'`",
            )

    def remove(self) -> None:
        """End it and delete everything it ever wrote."""
        self.stop()
        self.place.record.unlink(missing_ok=True)
        self.cgroups.remove(self.place.cgroup)
        delete_tree(self.place.folder)

    def run(self, argv: Sequence[str], *, doing: str) -> None:
        """Run a program inside the node, its output in the log."""
        run(enter(self.place, argv), self.report, doing=doing)

    def write_files(self, *, upstream: bool) -> None:
        """The configuration its services start with; nothing that kubeadm or the services wrote is touched."""
        folder = self.place.folder
        for name in ("etc.work", "opt/cni/bin", "tmp", "var/lib", "var/log"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "tmp").chmod(0o1777)
        self.place.record.parent.mkdir(parents=True, exist_ok=True)
        self.place.log.parent.mkdir(parents=True, exist_ok=True)
        for path, content in self.files(upstream=upstream).items():
            target = folder / "etc" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)

    def files(self, *, upstream: bool) -> Mapping[str, str]:
        """Its own files below /etc, by path."""
        mirrors = containerd.mirrors(self.place.lab, upstream=upstream)
        config = containerd.config(
            raises_limits=may_raise_limits(), template=self.place.lab.cni == "flannel"
        )
        return {
            "hostname": f"{self.place.name}\n",
            "hosts": f"127.0.0.1 localhost\n{self.place.address} {self.place.name}\n",
            "resolv.conf": resolvers(str(self.place.lab.machine)),
            "containerd/config.toml": config,
            "cni/template.conflist": containerd.cni_template(mtu=self.network.mtu()),
            **{f"containerd/certs.d/{name}/hosts.toml": text for name, text in mirrors},
        }


CONTAINERD = init.Service(
    name="containerd",
    argv=("containerd", "--config", "/etc/containerd/config.toml"),
    log=f"{LOGS}/containerd.log",
    needs=("/sys/class/net/eth0",),
)


def kubelet(place: LabNode) -> init.Service:
    """The kubelet, which starts as soon as kubeadm has written its configuration."""
    return init.Service(
        name="kubelet",
        argv=(
            "kubelet",
            f"--config={KUBELET_CONFIG}",
            "--kubeconfig=/etc/kubernetes/kubelet.conf",
            "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf",
            f"--node-ip={place.address}",
            f"--cgroup-root=/{place.cgroup}",  # all other settings are the cluster's
        ),
        log=f"{LOGS}/kubelet.log",
        needs=(KUBELET_CONFIG, containerd.SOCKET, "/sys/class/net/eth0"),
    )


def enter(place: LabNode, argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` inside a node, with nothing of this environment (such as a KUBECONFIG).

    Raises KubeceptionError when the node does not run.
    """
    process = Process.load(place.record)
    if process is None or not process.alive():
        raise KubeceptionError(
            f"node {place.name} does not run", hint="`kubeception lab up` repairs the lab"
        )
    spaces = ("--mount", "--net", "--pid", "--uts", "--ipc")
    variables = {**ENVIRONMENT, "TERM": os.environ.get("TERM", "dumb")}
    clean = ("env", "-i", *(f"{name}={value}" for name, value in variables.items()))
    return ["nsenter", "--target", str(process.pid), *spaces, *clean, *argv]


def resolvers(fallback: str, etc: Path = Path("/etc"), run_folder: Path = Path("/run")) -> str:
    """A resolv.conf with the machine's name servers, but for those on its loopback, which a node can't reach."""
    for path in (etc / "resolv.conf", run_folder / "systemd/resolve/resolv.conf"):
        lines = path.read_text().splitlines() if path.exists() else []
        servers = [words[1] for line in lines if (words := line.split())[:1] == ["nameserver"]]
        if usable := [server for server in servers if not server.startswith(("127.", "::1"))]:
            return "".join(f"nameserver {server}\n" for server in usable[:3])
    return f"nameserver {fallback}\n"


def delete_tree(folder: Path) -> None:
    """Delete a folder of ours. Raises KubeceptionError when something is still mounted below it."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    if inside := [mount for mount in mounts if Path(mount).is_relative_to(folder.resolve())]:
        raise KubeceptionError(
            f"{folder} is not deleted: mounted below it are {', '.join(inside)}",
            hint="unmount these (`umount PATH`), then repeat",
        )
    if folder.exists():
        shutil.rmtree(folder)
