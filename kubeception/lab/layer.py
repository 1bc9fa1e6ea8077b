"""Image layers, packed the same way every time: equal content has an equal digest."""

import hashlib
import io
import json
import struct
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, cast

from kubeception.errors import KubeceptionError

CHUNK = 1 << 20
CAPABILITY = "security.capability"
NET_BIND_SERVICE = 10
"""Bit of a Linux capability: ports below 1024."""
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
PACKAGES = ("zstd",)


@dataclass(frozen=True)
class Blob:
    """A packed layer as manifests and configurations name it."""

    digest: str
    size: int
    diff_id: str
    """Digest of the tar before compression."""
    media_type: str = ZSTD

    def save(self, path: Path) -> None:
        """Write it as `load` reads it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Blob | None":
        """The blob of a record; None where there is none, or half of one."""
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None


@dataclass(frozen=True)
class Entry:
    """A file, link or folder of a layer. Exactly one of `source`, `text` and `link` is set, none for a folder."""

    path: str
    """Without the leading slash."""
    source: Path | None = None
    text: str | None = None
    link: str = ""
    mode: int = 0o755
    owner: int = 0
    """Both user and group."""
    capability: int | None = None
    """A file capability, effective and permitted."""

    def header(self) -> tarfile.TarInfo:
        """What stands before the content in a tar."""
        info = tarfile.TarInfo(self.path)
        info.mode, info.uid, info.gid = self.mode, self.owner, self.owner
        if self.source is not None:
            info.size = self.source.stat().st_size
        elif self.text is not None:
            info.size = len(self.text.encode())
        elif self.link:
            info.type, info.linkname = tarfile.SYMTYPE, self.link
        else:
            info.type = tarfile.DIRTYPE
        if self.capability is not None:
            permitted = 1 << self.capability
            value = struct.pack("<IIIII", 0x02000001, permitted, 0, 0, 0)
            info.pax_headers = {f"SCHILY.xattr.{CAPABILITY}": value.decode("ascii")}
        return info

    def write(self, archive: tarfile.TarFile) -> None:
        """Add it to an archive."""
        if self.source is not None:
            with self.source.open("rb") as content:
                archive.addfile(self.header(), content)
        elif self.text is not None:
            archive.addfile(self.header(), io.BytesIO(self.text.encode()))
        else:
            archive.addfile(self.header())


def resolved(entries: tuple[Entry, ...], folder: Path) -> tuple[Entry, ...]:
    """The entries with sources that were relative to a folder; a folder as source is each file below it."""
    return tuple(found for entry in entries for found in _resolved(entry, folder))


def _resolved(entry: Entry, folder: Path) -> Iterator[Entry]:
    if entry.source is None:
        yield entry
        return
    source = folder / entry.source
    for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
        if not path.is_dir():
            yield replace(entry, path=str(Path(entry.path) / path.relative_to(source)), source=path)


def with_folders(entries: tuple[Entry, ...]) -> Iterator[Entry]:
    """The entries sorted, each after the folders above it."""
    made: set[str] = {entry.path for entry in entries}
    for entry in sorted(entries, key=lambda each: each.path):
        for parent in reversed(list(Path(entry.path).parents)[:-1]):
            if str(parent) not in made:
                made.add(str(parent))
                yield Entry(str(parent))
        yield entry


class Packer:
    """Writes one layer: tar on one side, a zstd file on the other, both digests taken on the way."""

    def __init__(self, target: Path, level: int) -> None:
        self.target = target
        self.plain = hashlib.sha256()
        self.packed = hashlib.sha256()
        target.parent.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            ["zstd", "-q", f"-{level}", "-T1", "-c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.reader = threading.Thread(target=self.drain)
        self.reader.start()

    def drain(self) -> None:
        """Take the compressed bytes away."""
        with self.target.open("wb") as out:
            while self.process.stdout and (chunk := self.process.stdout.read(CHUNK)):
                self.packed.update(chunk)
                out.write(chunk)

    def write(self, data: bytes) -> int:
        """A file's write, for tarfile."""
        self.plain.update(data)
        if self.process.stdin:
            self.process.stdin.write(data)
        return len(data)

    def close(self) -> Blob:
        """The finished layer. Raises KubeceptionError."""
        if self.process.stdin:
            self.process.stdin.close()
        self.reader.join()
        if code := self.process.wait():
            raise KubeceptionError(f"packing {self.target.name}: zstd ended with {code}")
        digests = (f"sha256:{self.packed.hexdigest()}", f"sha256:{self.plain.hexdigest()}")
        return Blob(digests[0], self.target.stat().st_size, digests[1])


def pack(entries: tuple[Entry, ...], target: Path, *, level: int = 1) -> Blob:
    """A layer of these entries, written to a file packed with zstd at a level. Raises KubeceptionError."""
    packer = Packer(target, level)
    with tarfile.open(
        fileobj=cast("IO[bytes]", packer), mode="w|", format=tarfile.PAX_FORMAT, bufsize=CHUNK
    ) as archive:
        for entry in with_folders(entries):
            entry.write(archive)
    return packer.close()


def packed(file: Path) -> Blob:
    """The layer that a .tar.zst file is as it stands. Raises KubeceptionError."""
    plain = hashlib.sha256()
    with subprocess.Popen(["zstd", "-q", "-d", "-c", str(file)], stdout=subprocess.PIPE) as process:
        while process.stdout and (chunk := process.stdout.read(CHUNK)):
            plain.update(chunk)
    if process.returncode:
        raise KubeceptionError(f"{file} is not a whole zstd file")
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256")
    return Blob(f"sha256:{digest.hexdigest()}", file.stat().st_size, f"sha256:{plain.hexdigest()}")
