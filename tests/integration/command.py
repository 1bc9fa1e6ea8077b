"""The command in a process of its own, and at a terminal."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.integration.servers import ApiServer
from tests.terminal import Terminal, open_terminal


@dataclass(frozen=True)
class Cli:
    """`kubeception` with a host's kubeconfig, and a home of its own."""

    folder: Path
    environment: dict[str, str]
    program: tuple[str, ...] = ("-m", "kubeception")
    """What the interpreter is to run."""

    @classmethod
    def of(cls, server: ApiServer, folder: Path, *program: str) -> Self:
        (folder / "kubeconfig").write_text(json.dumps(server.kubeconfig))
        kept = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "LANG") if key in os.environ}
        home = {"HOME": str(folder), "KUBECONFIG": str(folder / "kubeconfig")}
        always = {"PYTHONUTF8": "1", "PYTHONFAULTHANDLER": "1"}
        return cls(folder, {**kept, **home, **always}, program or cls.program)

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, *self.program, *words]

    def run(
        self, *words: str, code: int = 0, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.argv(*words),
            env={**self.environment, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def terminal(self, *words: str, columns: int = 80, **environment: str) -> Terminal:
        return open_terminal(self.argv(*words), {**self.environment, **environment}, columns)
