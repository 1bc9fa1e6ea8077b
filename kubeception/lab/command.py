"""Other programs, run to their end with their output in the log."""

import os
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from kubeception.errors import KubeceptionError
from kubeception.lab.report import Report

TAIL = 40
"""Lines of output kept for an error."""


def run(
    argv: Sequence[str],
    report: Report,
    *,
    doing: str,
    hint: str = "",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a program and log what it prints; `env` is added to this process's environment.

    Raises KubeceptionError with the end of its output where it fails or does not exist.
    """
    report.log("+ " + " ".join(argv))
    tail: deque[str] = deque(maxlen=TAIL)
    try:
        with subprocess.Popen(
            argv,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                tail.append(line.rstrip())
                report.log(tail[-1])
    except FileNotFoundError:
        message = f"{doing}: the command {argv[0]} does not exist"
        raise KubeceptionError(message, hint=hint) from None
    if process.returncode:
        message = f"{doing}: {argv[0]} ended with {process.returncode}"
        raise KubeceptionError(message, hint=hint, output="\n".join(tail))


def output(
    argv: Sequence[str], report: Report, *, doing: str, stdin: str = "", hint: str = ""
) -> str:
    """What a short program prints to its standard output; the command and its complaints are logged.

    Raises KubeceptionError with all it printed where it fails or does not exist.
    """
    report.log("+ " + " ".join(argv))
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        message = f"{doing}: the command {argv[0]} does not exist"
        raise KubeceptionError(message, hint=hint) from None
    for line in done.stderr.splitlines():
        report.log(line)
    if done.returncode:
        message = f"{doing}: {argv[0]} ended with {done.returncode}"
        raise KubeceptionError(message, hint=hint, output=(done.stdout + done.stderr).strip())
    return done.stdout
