from pathlib import Path

import pytest

from kubeception.lab.buildinfo import MAGIC, BuildInfo, Module, read

SAID = """\
path\texample.com/tool/cmd/tool
mod\texample.com/tool\tv1.2.3\th1:x=
dep\texample.com/kept\tv0.1.0\th1:x=
dep\texample.com/replaced\tv0.0.0
=>\texample.com/fork\tv0.9.0\th1:x=
dep\texample.com/stub\tv0.5.2
=>\t./stub\t(devel)\t
build\t-trimpath=true
"""


def text(value: bytes) -> bytes:
    """A text behind its length as a varint of two octets, which is enough here."""
    return bytes([0x80 | len(value) & 0x7F, len(value) >> 7]) + value


def linked(said: str = SAID, flags: int = 2) -> bytes:
    frame = b"\x30" * 16
    header = MAGIC + bytes([8, flags])
    return header.ljust(32, b"\0") + text(b"go1.26.8") + text(frame + said.encode() + frame)


def other() -> bytes:
    return linked("mod\texample.com/other\tv9.9.9\n")


@pytest.mark.parametrize(
    "before",
    [b"\x7fELF", b"\0" + other(), (MAGIC + bytes([8, 2])).ljust(64, b"\0")],
    ids=[
        "a program",
        "one that bears another, unaligned",
        "one with the magic and nothing behind it",
    ],
)
def test_a_program_tells_its_modules_and_what_replaced_them(tmp_path: Path, before: bytes) -> None:
    program = tmp_path / "tool"
    program.write_bytes(before.ljust(len(before) + -len(before) % 16, b"\0") + linked())
    assert read(program) == BuildInfo(
        "1.26.8",
        (
            Module("example.com/tool", "v1.2.3"),
            Module("example.com/kept", "v0.1.0"),
            Module("example.com/fork", "v0.9.0"),
            Module("example.com/stub", ""),
        ),
    )


@pytest.mark.parametrize("content", [b"\x7fELF of C", linked(flags=0)])
def test_what_go_did_not_build_or_long_ago_tells_nothing(tmp_path: Path, content: bytes) -> None:
    program = tmp_path / "tool"
    program.write_bytes(content)
    assert read(program) is None
