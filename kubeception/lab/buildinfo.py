"""What a Go program was linked from, as the linker wrote it into the program."""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"\xff Go buildinf:"
ALIGNMENT = 16
INLINE = 2
"""Of the flags: the texts follow the header. Go writes them so since 1.18."""
FLAGS, TEXTS = 15, 32
"""Offsets from the magic."""
FRAME = 16
"""Octets before and after the list of modules."""


@dataclass(frozen=True, order=True)
class Module:
    """A Go module."""

    path: str
    version: str
    """Empty where a folder stood in for it."""


@dataclass(frozen=True)
class BuildInfo:
    """The toolchain, such as `1.26.8`, and all modules that a program is from, its own among them."""

    go: str
    modules: tuple[Module, ...]


def read(program: Path) -> BuildInfo | None:
    """The build info of a program; None where Go didn't build it. Raises OSError.

    The format is told in the source of Go's package debug/buildinfo.
    """
    with program.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(MAGIC)
        while at >= 0:  # a program that reads build info itself has the magic in its constants
            if at % ALIGNMENT == 0 and data[at + FLAGS : at + FLAGS + 1] == bytes([INLINE]):
                go, rest = _text(data, at + TEXTS)
                if go.startswith(b"go"):
                    listed, _ = _text(data, rest)
                    text = listed[FRAME:-FRAME].decode()
                    return BuildInfo(go.decode().removeprefix("go"), tuple(_modules(text)))
            at = data.find(MAGIC, at + 1)
    return None


def _text(data: mmap.mmap, at: int) -> tuple[bytes, int]:
    """A text behind its length, which is a varint, and where it ends."""
    length = shift = 0
    while True:
        octet = data[at]
        at += 1
        length |= (octet & 0x7F) << shift
        if octet < 0x80:
            return data[at : at + length], at + length
        shift += 7


def _modules(text: str) -> Iterator[Module]:
    """Each module, or what replaced it: that is said on the line after it."""
    found: list[Module] = []
    for kind, path, version, *_ in (f"{line}\t\t\t".split("\t") for line in text.splitlines()):
        if kind in ("mod", "dep"):
            found.append(Module(path, version))
        elif kind == "=>":
            folder = path.startswith((".", "/"))
            found[-1] = Module(found[-1].path, "") if folder else Module(path, version)
    yield from found
