"""Tenants of tenants, by the commands a person has."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Lab, programs
from tests.e2e.tenant import Tenant, tenant_in


@dataclass(frozen=True)
class Deep(Tenant):
    """A tenant that is used by its path, through whatever is above it."""

    def kubectl(self, *words: str, stdin: str = "", check: bool = True) -> str:
        argv = self.argv("connect", self.name, "--", str(programs() / "kubectl"), *words)
        done = subprocess.run(
            argv, env=self.environment, input=stdin, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            pytest.fail(f"in {self.name}: kubectl {' '.join(words)}: {done.stderr}")
        return done.stdout

    def inner(self, path: str) -> "Deep":
        """Another one of the same user."""
        return Deep(self.lab, path, self.kubeconfig)

    def json(self, *words: str) -> Any:
        """What a command of ours says for programs."""
        return json.loads(self.run(*words, "-o", "json").stdout)


def deep_in(lab: Lab, folder: Path, path: str) -> Deep:
    """One that is or will be there."""
    return Deep(lab, path, tenant_in(lab, folder, path).kubeconfig)
