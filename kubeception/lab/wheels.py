"""Python packages for an image: what pip installs here, compiled by the image's own Python."""

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import requires
from pathlib import Path

from kubeception.lab import rootfs
from kubeception.lab.command import run
from kubeception.lab.layer import Entry, pack
from kubeception.lab.report import Report

PYTHON = rootfs.Root("python", ("python3-minimal", "libpython3-stdlib"), variant="extract")
"""Python and its standard library, and nothing to install anything with."""
VERSION = "3.13"
"""Of Python in that suite."""
FOLDER = f"usr/local/lib/python{VERSION}/dist-packages"
"""Where Debian's Python looks for what isn't Debian's."""
UNUSED = re.compile(r"(^|/)(bin|tests?)/|\.pyi$|\.dist-info/(?!METADATA$|entry_points)")


@dataclass(frozen=True)
class Wheels:
    """Distributions by their requirements, with all they need."""

    requirements: tuple[str, ...]

    def fingerprint(self) -> str:
        """Changes with what is asked for; what that means is settled when it is made."""
        facts = (asdict(self), PYTHON.fingerprint(), VERSION, UNUSED.pattern)
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def requirements(distribution: str) -> tuple[str, ...]:
    """What an installed distribution needs, without its extras."""
    return tuple(sorted(r for r in requires(distribution) or () if "extra ==" not in r))


def place(wheels: Wheels, cache: Path) -> Path:
    """Where the cache has the packages, if it has them."""
    return cache / "wheels" / f"{wheels.fingerprint()}.tar.zst"


def archive(wheels: Wheels, cache: Path, report: Report) -> Path:
    """The packages as the .tar.zst file of a layer, made if the cache lacks it. Raises KubeceptionError."""
    target = place(wheels, cache)
    if target.exists():
        return target
    work = target.with_suffix("").with_suffix(".new")
    shutil.rmtree(work, ignore_errors=True)  # of a run that was killed
    root = work / "root"
    root.mkdir(parents=True)
    base = rootfs.archive(PYTHON, cache, report)
    doing = "unpacking Python"
    run(["tar", "--zstd", "-xf", str(base), "-C", str(root)], report, doing=doing)
    for name in ("lib", "lib64"):  # of a package that unpacking alone doesn't bring
        (root / name).symlink_to(f"usr/{name}")
    install(wheels, root / FOLDER, report)
    doing = "compiling Python packages"
    compiling = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", f"/{FOLDER}"]
    run(["chroot", str(root), "/usr/bin/python3", *compiling], report, doing=doing)
    draft = work / target.name
    pack(tuple(entries(root)), draft)
    draft.replace(target)
    shutil.rmtree(work)
    return target


def install(wheels: Wheels, folder: Path, report: Report) -> None:
    """Have pip put the packages into a folder: wheels for the image's Python. Raises KubeceptionError."""
    argv = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--no-warn-script-location",
    ]
    argv += ["--disable-pip-version-check", "--only-binary=:all:", "--implementation=cp"]
    argv += [f"--python-version={VERSION}", "--target", str(folder), *wheels.requirements]
    hint = "pip must be there and reach its index; both are those of the Python that runs this"
    run(argv, report, doing="installing Python packages", hint=hint)


def entries(root: Path) -> Iterator[Entry]:
    """The files of the packages, with one order and one mode."""
    for path in sorted((root / FOLDER).rglob("*")):
        name = str(path.relative_to(root))
        if path.is_file() and not UNUSED.search(name.removeprefix(f"{FOLDER}/")):
            yield Entry(name, source=path, mode=0o755 if path.suffix == ".so" else 0o644)


def package(folder: Path) -> tuple[Entry, ...]:
    """The files of a package in the checkout or where it is installed, data behind links included."""
    found = sorted(path for path in walk(folder) if "__pycache__" not in path.parts)
    return tuple(
        Entry(f"{FOLDER}/{folder.name}/{path.relative_to(folder)}", source=path, mode=0o644)
        for path in found
    )


def walk(folder: Path) -> Iterator[Path]:
    """All files below, through links."""
    for path in folder.iterdir():
        if path.is_dir():
            yield from walk(path)
        else:
            yield path
