"""The OCI registry of a lab: a process of the machine on the lab's bridge, its blobs in the cache all labs share.

And one for as long as a build lasts, with the same blobs, on loopback.
"""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kubeception.errors import KubeceptionError
from kubeception.lab.process import Process, spawn
from kubeception.lab.state import Lab

HEADER = "X-Kubeception-Lab"
"""In every answer: tells a lab's registry from another program on its address."""
BUILD = "a build"
"""In that place, for the registry of none."""


def settings(address: str, storage: Path, owner: str) -> dict[str, Any]:
    """A registry's configuration: YAML's JSON subset."""
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(storage)}},
        "http": {"addr": address, "headers": {HEADER: [owner]}},
    }


def answers(address: str, owner: str) -> bool:
    """Whether a registry's API is served at `host:port`, and by this very owner's."""
    connection = HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", "/v2/")
        answer = connection.getresponse()
        return answer.status == 200 and answer.headers[HEADER] == owner
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def serving(programs: Path, storage: Path, *, patience: float = 10) -> Iterator[str]:
    """A registry on this storage while the block lasts; its `host:port` on loopback. Raises KubeceptionError."""
    storage.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{free_port()}"
    with TemporaryDirectory() as folder:
        config, log = Path(folder) / "registry.yaml", Path(folder) / "log"
        config.write_text(json.dumps(settings(address, storage, BUILD)))
        argv = ["setpriv", "--pdeathsig", "TERM", str(programs / "registry"), "serve", str(config)]
        with (
            log.open("wb") as out,
            subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out) as process,
        ):
            try:
                until = time.monotonic() + patience
                while not answers(address, BUILD):
                    if process.poll() is not None or time.monotonic() > until:
                        message = f"the registry of the build does not answer at {address}"
                        raise KubeceptionError(message, output=log.read_text()[-2000:])
                    time.sleep(0.03)
                yield address
            finally:
                process.terminate()


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Registry:
    """One lab's registry."""

    lab: Lab
    programs: Path
    storage: Path

    @property
    def record(self) -> Path:
        return self.lab.folder / "processes" / "registry.json"

    @property
    def log(self) -> Path:
        return self.lab.logs / "registry.log"

    def config(self) -> dict[str, Any]:
        """Its configuration."""
        return settings(self.lab.registry, self.storage, self.lab.name)

    def ensure(self, cgroups: tuple[Path, ...]) -> None:
        """Started, if it does not run, and answering."""
        process = Process.load(self.record)
        if not (process and process.alive()):
            self.storage.mkdir(parents=True, exist_ok=True)
            config = self.lab.folder / "registry.yaml"
            config.write_text(json.dumps(self.config(), indent=1))
            argv = [str(self.programs / "registry"), "serve", str(config)]
            process = spawn(argv, record=self.record, log=self.log, cgroups=cgroups)
        self.wait(process)

    def wait(self, process: Process, *, patience: float = 10.0) -> None:
        """Return when it answers. Raises KubeceptionError."""
        until = time.monotonic() + patience
        while not self.answers():
            if not process.alive() or time.monotonic() > until:
                raise KubeceptionError(
                    f"the lab's registry does not answer at http://{self.lab.registry}",
                    hint=f"its log is {self.log}",
                    output="\n".join(self.log.read_text().splitlines()[-20:]),
                )
            time.sleep(0.03)

    def answers(self) -> bool:
        """Whether the registry's API is served, and by this very lab's."""
        return answers(self.lab.registry, self.lab.name)
