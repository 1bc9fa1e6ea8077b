"""Somebody who types what the pages say, in a shell with an empty home."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from kubeception import names
from kubeception.lab.state import cache_folder, labs_folder
from tests.blocks import ROOT, Block, Line
from tests.e2e.conftest import PARTS, Lab, programs
from tests.e2e.tenant import uid_of

ENDLESS: Final = re.compile(r"--(watch|follow)\b")
LOOK_SECONDS: Final = 8
"""How long what has no end is looked at, before Ctrl-C."""
ENDED: Final = 124
"""Exit code of `timeout` for that."""
COMMAND_SECONDS: Final = 900
END: Final = "-- this was it:"
LEFT_OUT: Final = (".venv", ".git", ".*_cache", "*.egg-info", "build", "site")


@dataclass
class Reader:
    """Somebody with a checkout, an empty home and a shell."""

    lab: Lab
    home: Path
    said: list[str] = field(default_factory=list)
    """The transcript."""
    began: float = field(default_factory=time.monotonic)
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    """The load average at the beginning."""

    def __post_init__(self) -> None:
        self.checkout = self.home / "kubeception"
        shutil.copytree(
            ROOT, self.checkout, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT)
        )
        venv = self.home / "venv"
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip = subprocess.run(
            [sys.executable, "-m", "pip", "cache", "dir"],
            capture_output=True,
            text=True,
            check=True,
        )
        ours = ("KUBE", "XDG_", "PYTHON", "VIRTUAL_ENV", "PIP_")
        kept = {k: v for k, v in self.lab.environment.items() if not k.startswith(ours)}
        self.shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            env={
                **kept,
                "HOME": str(self.home),
                "PATH": f"{venv}/bin:{programs()}:{kept['PATH']}",
                "XDG_CACHE_HOME": str(cache_folder().parent),
                "XDG_STATE_HOME": str(labs_folder().parents[1]),
                "PIP_CACHE_DIR": pip.stdout.strip(),
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "PIP_QUIET": "1",
                "EDITOR": "true",
                "SHELL": "/bin/sh",
            },
            cwd=self.checkout,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def follow(self, block: Block) -> None:
        """Type a block's lines, each of which must end as the page says."""
        heading = f"## {block.heading}"
        self.said += [] if heading in self.said else ["", heading]
        self.said += ["", "```text"]
        for line in block.lines:
            command = self.meant(line.command)
            endless = bool(ENDLESS.search(command))
            code, printed = self.type(
                f"timeout --signal INT {LOOK_SECONDS} {command}" if endless else command
            )
            self.said += [f"$ {self.own(line.command)}", *printed, *(["^C"] if endless else [])]
            told = "\n".join([f"{block.path.name}: {line.command}: {code}", *printed])
            assert code == (ENDED if endless else line.code), told
            assert "Traceback" not in told, told
            found = {" ".join(each.split()) for each in printed}
            assert [head for head in heads(line) if head not in found] == [], told
        self.said += ["```"]

    def type(self, command: str) -> tuple[int, list[str]]:
        """The exit code of a command, and what it printed to a pipe."""
        assert self.shell.stdin
        assert self.shell.stdout
        self.shell.stdin.write(f'{{ {command}\n}} </dev/null; code=$?; echo; echo "{END}" $code\n')
        self.shell.stdin.flush()
        printed: list[str] = []
        for text in self.shell.stdout:
            if text.startswith(END):
                return int(text.split()[-1]), "\n".join(printed).rstrip().splitlines()
            printed.append(text.rstrip("\n"))
        pytest.fail(f"the shell ended: {printed}")

    def own(self, command: str) -> str:
        """A line of a page, with the names that are this run's."""
        if re.search(r"\bkc-acme-[0-9a-f]{8}", command):
            space = names.control_plane_namespace(uid_of(self.lab, "acme"), "acme")
            command = re.sub(r"\bkc-acme-[0-9a-f]{8}", space, command)
        return command

    def meant(self, command: str) -> str:
        """The same, with the lab of the tests."""
        lab = self.lab.name
        command = re.sub(r"\bkubeception lab (\w+)", rf"kubeception lab \1 --name {lab}", command)
        command = re.sub(r"(\blab up.*)", rf"\1 --parts {PARTS}", command)
        return self.own(command).replace("kubeception-lab", f"kubeception-{lab}")

    def close(self) -> None:
        """End the shell."""
        self.shell.communicate(timeout=COMMAND_SECONDS)


def heads(line: Line) -> list[str]:
    """The heads of tables that a page shows as printed."""
    return [" ".join(each.split()) for each in line.printed if each.isupper()]
