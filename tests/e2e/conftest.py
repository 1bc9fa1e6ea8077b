"""The lab that the tests of this tier share, and how to run its commands."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PARTS = os.environ.get("KUBECEPTION_PARTS", "auto")
"""What `lab up --parts` is given."""

ECHO_SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  selector: {app: echo}
  ports: [{port: 80, targetPort: 8080}]
"""
"""A Service named echo in front of the pods with that label, whichever workload made them."""


@dataclass(frozen=True)
class Lab:
    """A lab of this machine, by its commands."""

    name: str
    environment: dict[str, str]

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`kubeception lab WORDS --name …`, its output captured."""
        done = subprocess.run(
            self.argv(*words), env=self.environment, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            pytest.fail(f"lab {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
        return done

    def argv(self, *words: str) -> list[str]:
        """The command line of `run`."""
        verb, *rest = words
        return [sys.executable, "-m", "kubeception", "lab", verb, "--name", self.name, *rest]

    def up(self, *options: str) -> subprocess.CompletedProcess[str]:
        """`lab up` that leaves the user's kubeconfig alone."""
        return self.run("up", "--no-merge", "--parts", PARTS, *options)

    def status(self) -> dict[str, Any]:
        """`lab status`, parsed."""
        found: dict[str, Any] = json.loads(self.run("status", "-o", "json").stdout)
        return found

    @property
    def kubeconfig(self) -> Path:
        """Of its admin."""
        return Path(self.status()["kubeconfig"])

    def kubectl(self, *words: str, stdin: str = "") -> str:
        """What kubectl prints; fails the test when it fails."""
        done = self._kubectl(words, stdin)
        if done.returncode:
            pytest.fail(f"kubectl {' '.join(words)}: {done.stderr}")
        return done.stdout

    def refused(self, *words: str, stdin: str = "") -> str:
        """Why kubectl fails; fails the test when it doesn't."""
        done = self._kubectl(words, stdin)
        if not done.returncode:
            pytest.fail(f"kubectl {' '.join(words)}: {done.stdout}")
        return done.stderr

    def _kubectl(self, words: tuple[str, ...], stdin: str) -> subprocess.CompletedProcess[str]:
        argv = [str(programs() / "kubectl"), "--kubeconfig", str(self.kubeconfig), *words]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)


def programs() -> Path:
    """The folder of the lab's binaries."""
    from kubeception.lab.state import cache_folder

    return cache_folder() / "bin"


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab with KubeVirt: the one KUBECEPTION_LAB names, or one that is made for the tests and ended after them."""
    if name := os.environ.get("KUBECEPTION_LAB"):
        found = Lab(name, dict(os.environ))
        found.up()
        yield found
        return
    made = Lab("e2e", dict(os.environ))
    made.up()
    yield made
    made.run("down")
