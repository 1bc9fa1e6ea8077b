"""The OCI registry of a lab: a process of the machine on the lab's bridge, its blobs in the cache all labs share."""

import json
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from kubeception.errors import KubeceptionError
from kubeception.lab.process import Process, spawn
from kubeception.lab.state import Lab

HEADER = "X-Kubeception-Lab"
"""In every answer: tells a lab's registry from another program on its address."""


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
        """Its configuration: YAML's JSON subset."""
        return {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.storage)}},
            "http": {"addr": self.lab.registry, "headers": {HEADER: [self.lab.name]}},
        }

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
        connection = HTTPConnection(str(self.lab.machine), 5000, timeout=2)
        try:
            connection.request("GET", "/v2/")
            answer = connection.getresponse()
            return answer.status == 200 and answer.headers[HEADER] == self.lab.name
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()
