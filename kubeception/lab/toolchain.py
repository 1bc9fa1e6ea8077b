"""The Go command: the machine's, or the official download where that is missing or too old."""

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from kubeception.errors import KubeceptionError
from kubeception.lab.part import Download
from kubeception.lab.release import Releases, UnavailableError
from kubeception.lab.report import Report

NEEDED = (1, 26, 4)
"""The highest `go` line of the parts."""
SWITCHES = (1, 21)
"""From here on Go fetches the toolchain that a go.mod asks for, unless told not to."""
ARCHIVE = Download(
    url="https://dl.google.com/go/go1.26.8.linux-amd64.tar.gz",
    checksums="https://dl.google.com/go/go1.26.8.linux-amd64.tar.gz.sha256",
    takes={},
)


def go(work: Path, releases: Releases, report: Report) -> str:
    """A Go command fit for every part, downloaded if need be. Raises KubeceptionError."""
    downloaded = work / "go" / "bin" / "go"
    if downloaded.exists():
        return str(downloaded)
    commands = [shutil.which(name) for name in ("go", "/usr/local/go/bin/go")]
    seen = {command: version(command) for command in commands if command}
    for command, (number, switching) in seen.items():
        if number >= NEEDED or (number >= SWITCHES and switching):
            return command
    try:
        install(work, releases, report)
    except UnavailableError as error:
        wanted = ".".join(map(str, NEEDED))
        found = ", ".join(f"{c} is {'.'.join(map(str, v))}" for c, (v, _) in seen.items())
        raise KubeceptionError(
            f"building parts needs Go {wanted}: {found or 'there is no Go command'}",
            hint=f"install it from https://go.dev/dl ({error.message})",
        ) from None
    return str(downloaded)


def version(command: str) -> tuple[tuple[int, ...], bool]:
    """The version of a Go command, and whether it fetches another one when asked to."""
    argv = [command, "env", "-json", "GOVERSION", "GOTOOLCHAIN"]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/")
    facts = json.loads(answer.stdout or "{}")
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", facts.get("GOVERSION", ""))
    number = tuple(int(part or 0) for part in found.groups()) if found else (0,)
    return number, facts.get("GOTOOLCHAIN") != "local"


def install(work: Path, releases: Releases, report: Report) -> None:
    """Download and unpack the official toolchain, whole or not at all. Raises KubeceptionError."""
    draft = work / "go.new"
    shutil.rmtree(draft, ignore_errors=True)
    file = releases.verified(ARCHIVE, work, report)
    with tarfile.open(file) as archive:
        archive.extractall(draft, filter="data")
    file.unlink()
    (draft / "go").replace(work / "go")
