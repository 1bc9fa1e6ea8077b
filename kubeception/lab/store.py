"""A containerd store filled before its machine exists: images unpacked and pinned, so a node starts without a pull."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubeception.errors import KubeceptionError
from kubeception.lab.command import run
from kubeception.lab.report import Report

PINNED = ("io.cri-containerd.image=managed", "io.cri-containerd.pinned=pinned")
"""What keeps the kubelet from collecting an image."""


@dataclass(frozen=True)
class Store:
    """A store in a folder, and a containerd that works on it for a while."""

    programs: Path
    root: Path
    work: Path

    @property
    def socket(self) -> Path:
        """Where it answers."""
        return self.work / "containerd.sock"

    @property
    def ctr(self) -> tuple[str, ...]:
        """The beginning of a command line to it."""
        return (str(self.programs / "ctr"), "-a", str(self.socket), "-n", "k8s.io")

    @property
    def config(self) -> str:
        """The text of its configuration: no pods, only images."""
        return f"""\
version = 3
root = "{self.root}"
state = "{self.work / "state"}"
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"]

[grpc]
address = "{self.socket}"

[ttrpc]
address = "{self.socket}.ttrpc"
"""

    def fill(self, images: tuple[str, ...], registry: str, report: Report) -> None:
        """Have these images of a registry in the store, under their full names. Raises KubeceptionError."""
        hosts = self.work / "hosts"
        for host in {image.partition("/")[0] for image in images}:
            (hosts / host).mkdir(parents=True, exist_ok=True)
            mirror = f'server = "http://{registry}"\n'
            (hosts / host / "hosts.toml").write_text(mirror)
        with self.running():
            for image in images:
                pull = ("pull", "--hosts-dir", str(hosts), "--platform", "linux/amd64", image)
                for arguments in (pull, ("label", image, *PINNED)):
                    argv = [*self.ctr, "images", *arguments]
                    run(argv, report, doing=f"putting {image} into the node's store")
            argv = [*self.ctr, "content", "prune", "references"]
            run(argv, report, doing="removing packed layers, which are unpacked by now")

    @contextmanager
    def running(self, patience: float = 20.0) -> Iterator[None]:
        """A containerd in a mount namespace of its own. Raises KubeceptionError."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.work.mkdir(parents=True, exist_ok=True)
        config, log = self.work / "config.toml", self.work / "log"
        config.write_text(self.config)
        argv = ["unshare", "--mount", str(self.programs / "containerd"), "--config", str(config)]
        with (
            log.open("wb") as out,
            subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out) as process,
        ):
            try:
                until = time.monotonic() + patience
                while not self.socket.exists():
                    if process.poll() is not None or time.monotonic() > until:
                        output = log.read_text()[-2000:]
                        raise KubeceptionError("containerd did not start", output=output)
                    time.sleep(0.05)
                yield
            finally:
                process.terminate()
