"""The machine's own Debian packages: which are there, and apt-get for those that aren't."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path

from kubeception.errors import KubeceptionError
from kubeception.lab.command import run
from kubeception.lab.report import Report

C = ("gcc", "libc6-dev")
"""For static C programs and cgo."""
MIRROR = "http://deb.debian.org/debian"


APT = threading.Lock()
"""apt-get runs once at a time."""


def missing(packages: Iterable[str]) -> list[str]:
    """Those of the packages that are not installed here."""
    argv = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n"]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    lines = map(str.split, answer.stdout.splitlines())
    installed = {package for package, status in lines if status == "installed"}
    return sorted(set(packages) - installed)


def install(packages: Iterable[str], report: Report) -> None:
    """Have these packages on the machine. Raises KubeceptionError."""
    with APT:
        if lacking := missing(packages):
            add(lacking, report)


def add(lacking: list[str], report: Report) -> None:
    """Install packages with apt-get. Raises KubeceptionError where that can't be."""
    names = " ".join(lacking)
    if not shutil.which("apt-get"):
        hint = "install what they contain with this machine's package manager"
        raise KubeceptionError(f"these Debian packages are needed: {names}", hint=hint)
    if os.geteuid():
        hint = f"sudo apt-get install {names}"
        raise KubeceptionError(f"these Debian packages are needed: {names}", hint=hint)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    doing = f"installing {names}"
    options = ("-qq", "-y", "--no-install-recommends", "-o=DPkg::Lock::Timeout=120")
    run(["apt-get", "update", "-qq"], report, doing="reading Debian's package lists", env=quiet)
    run(["apt-get", "install", *options, *lacking], report, doing=doing, env=quiet)


def mirror(folder: Path = Path("/etc/apt")) -> str:
    """The Debian mirror this machine is set up to use; Debian's own where none is."""
    files = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))]
    files += sorted(folder.glob("sources.list.d/*.sources"))
    for file in filter(Path.is_file, files):
        for words in map(str.split, file.read_text().splitlines()):
            for word in words if words and words[0] in ("deb", "URIs:") else ():
                if "://" in word and word.rstrip("/").endswith("/debian"):
                    return word.rstrip("/")
    return MIRROR
