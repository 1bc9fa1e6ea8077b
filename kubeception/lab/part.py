"""What a part of the lab is, and the stamp that says it is in the cache."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

PARTS_FOLDER = Path(__file__).with_name("parts")
"""One folder a part: go.mod and go.sum, or C sources."""


@dataclass(frozen=True)
class Download:
    """A file of an official release, and the file beside it that holds its SHA-256."""

    url: str
    checksums: str
    """URL of a bare digest, or of lines `digest  file name`."""
    takes: Mapping[str, str]
    """Path in the archive → binary; the key "" means that the file is itself the binary."""


@dataclass(frozen=True)
class Part:
    """Programs of one project at one version."""

    name: str
    version: str
    binaries: tuple[str, ...]
    """All names the part leaves in the bin folder."""
    renames: Mapping[str, str] = field(default_factory=dict)
    """Name the Go toolchain gives → ours, where they differ."""
    downloads: tuple[Download, ...] = ()
    """Its official release; empty where the project publishes no binaries with checksums."""
    module: str = ""
    """Go module that holds `files` and `c`; empty: the part's own folder does."""
    files: Mapping[str, str] = field(default_factory=dict)
    """File or folder of the module → path below the cache's share folder."""
    c: Mapping[str, str] = field(default_factory=dict)
    """Static C program → its only source file."""
    tests: Mapping[str, str] = field(default_factory=dict)
    """Program that is a Go package's tests → the package, which is a tool of go.mod, too."""
    cgo: bool = False
    ldflags: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    debian: tuple[str, ...] = ()
    """Packages its build needs beside the Go toolchain."""
    disk: float = 0.5
    """GiB that its build adds while it runs, in Go's caches."""

    @property
    def folder(self) -> Path:
        """Where its go.mod or its sources are."""
        return PARTS_FOLDER / self.name

    @property
    def go(self) -> bool:
        """Whether anything of it is written in Go."""
        return (self.folder / "go.mod").exists()

    def fingerprint(self) -> str:
        """Changes whenever another build or another release would come out."""
        facts = {key: value for key, value in asdict(self).items() if key != "disk"}
        if not self.tests:
            del facts["tests"]  # what was built before there were any is as good as it was
        identity = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        for source in sorted(self.folder.rglob("*")):
            if source.is_file():
                identity.update(source.read_bytes())
        return identity.hexdigest()


@dataclass(frozen=True)
class Cache:
    """The cache folder's layout. A stamp is written last, so what it names is whole."""

    folder: Path

    @property
    def bin(self) -> Path:
        """Every binary, flat."""
        return self.folder / "bin"

    @property
    def share(self) -> Path:
        """Files beside the binaries."""
        return self.folder / "share"

    @property
    def work(self) -> Path:
        """What building and downloading need meanwhile; removed after success."""
        return self.folder / "work"

    def share_copy(self, source: Path, name: str) -> None:
        """Have a copy of a file or folder in the share folder, and nothing of an earlier one."""
        target = self.share / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)

    def stamp(self, part: Part) -> Path:
        """The record of a finished part."""
        return self.folder / "stamps" / f"{part.name}.json"

    def holds(self, part: Part) -> bool:
        """Whether the part is complete, of this very version, and unchanged since it was stamped."""
        try:
            stamp = json.loads(self.stamp(part).read_text())
        except (FileNotFoundError, ValueError):
            return False
        return bool(
            stamp["fingerprint"] == part.fingerprint() and stamp["files"] == self.seen(part)
        )

    def seal(self, part: Part, source: str) -> None:
        """Write the stamp of a part whose files are all in place."""
        stamp = {"fingerprint": part.fingerprint(), "source": source, "files": self.seen(part)}
        path = self.stamp(part)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(stamp, indent=1))
        draft.replace(path)

    def seen(self, part: Part) -> dict[str, list[int]]:
        """Size and change time of each of the part's files that is there."""
        paths = [self.bin / name for name in part.binaries]
        paths += [self.share / name for name in part.files.values()]
        return {
            str(path.relative_to(self.folder)): [path.stat().st_size, path.stat().st_mtime_ns]
            for path in paths
            if path.exists()
        }

    def lacks(self, part: Part) -> list[str]:
        """The part's files that are not in place."""
        names = [f"bin/{name}" for name in part.binaries]
        names += [f"share/{name}" for name in part.files.values()]
        return [name for name in names if name not in self.seen(part)]
