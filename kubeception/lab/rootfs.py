"""Debian root filesystems, as compressed archives in the cache."""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from kubeception.lab import debian
from kubeception.lab.command import run
from kubeception.lab.report import Report

SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PACKAGES = ("mmdebstrap", "debian-archive-keyring", "zstd")
EXCLUDED = (
    "/usr/share/bash-completion/*",
    "/usr/share/doc/*",
    "/usr/share/i18n/*",
    "/usr/share/info/*",
    "/usr/share/lintian/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    "/usr/share/zsh/*",
)
EPOCH = "1767225600"
"""Time of every file that is newer, in Unix seconds."""
STATUS = "./var/lib/dpkg/status"
"""What dpkg says of the packages that it installed."""
RECORDS = f"{STATUS}.d"
"""The same where nothing was installed, a file for each package, where scanners of images look for it."""
RECORD = f"""\
mkdir -p "$1/{RECORDS}"
for file in "$1"/var/cache/apt/archives/*.deb; do
  dpkg-deb --field "$file" >"$1/{RECORDS}/$(dpkg-deb --field "$file" Package)"
done
"""
"""Run after packages were unpacked."""


@dataclass(frozen=True)
class Root:
    """A Debian root filesystem by its packages."""

    name: str
    packages: tuple[str, ...]
    variant: Literal["minbase", "extract"] = "minbase"
    """`extract` only unpacks: no package manager, no accounts, no alternatives, a tenth of the size."""

    def fingerprint(self) -> str:
        """Changes with what goes in."""
        facts: tuple[object, ...] = (asdict(self), SUITE, EXCLUDED, EPOCH)
        if self.variant == "extract":
            facts += (RECORD,)
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


TOOLS = Root(
    "tools",
    ("busybox-static", "conntrack", "iproute2", "iptables", "nftables"),
    variant="extract",
)
"""nft, iptables, ip, conntrack and busybox."""


def place(root: Root, cache: Path) -> Path:
    """Where the cache has the root filesystem, if it has it."""
    return cache / "rootfs" / f"{root.name}-{root.fingerprint()}.tar.zst"


def archive(root: Root, cache: Path, report: Report) -> Path:
    """The root filesystem as a .tar.zst file, made if the cache lacks it. Raises KubeceptionError."""
    target = place(root, cache)
    if target.exists():
        return target
    debian.install(PACKAGES, report)
    work = target.with_suffix("").with_suffix(".new")
    shutil.rmtree(work, ignore_errors=True)  # of a run that was killed
    work.mkdir(parents=True)
    draft = work / target.name
    argv = [
        "unshare",
        "--mount",
        "mmdebstrap",
        "--mode=root",
        f"--variant={root.variant}",
        f"--keyring={KEYRING}",
    ]
    argv += ["--format=tar", f"--include={','.join(root.packages)}"]
    argv += ['--aptopt=Acquire::Languages "none"', "--aptopt=Acquire::Retries 3"]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
    if root.variant == "extract":
        argv += [f"--extract-hook={RECORD}"]
    argv += [SUITE, str(draft), debian.mirror()]
    environment = {"SOURCE_DATE_EPOCH": EPOCH, "TMPDIR": str(work)}
    hint = "the Debian mirror must be reachable; it is the one in /etc/apt"
    run(argv, report, doing=f"unpacking Debian for {root.name}", hint=hint, env=environment)
    for older in target.parent.glob(f"{root.name}-*.tar.zst"):
        older.unlink()
    draft.replace(target)
    shutil.rmtree(work)
    return target
