"""The command blocks of documents, each with the mark above it that says who runs it, or why nobody does.

<!-- run by tests/e2e/test_x.py -->
<!-- as in docs/tutorial.md -->
<!-- not run: it takes half an hour -->
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
DOCUMENTS: Final = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)
BLOCK: Final = re.compile(
    r"(?:^ *<!-- (?P<mark>(?:(?:not )?run|as in)[^>]*) -->\n\n?)?"
    r"^(?P<indent> *)```(?P<kind>\w+)\n(?P<body>.*?)^(?P=indent)```",
    re.DOTALL | re.MULTILINE,
)
PROMPT: Final = re.compile(r"^ *[$#] (.+)\n", re.MULTILINE)
HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)
NOTE: Final = re.compile(r"\s+# .*$")
CODE: Final = re.compile(r"# .*exit code (\d+)")


@dataclass(frozen=True)
class Line:
    """A line that a person types."""

    command: str
    note: str = ""
    """The comment behind it."""
    printed: tuple[str, ...] = ()
    """What the document shows below it."""

    @property
    def code(self) -> int:
        """The exit code it is said to have."""
        said = CODE.search(self.note)
        return int(said[1]) if said else 0


@dataclass(frozen=True)
class Block:
    """A `console` block of a document."""

    path: Path
    number: int
    """Of its first line in the file."""
    heading: str
    """Of its section."""
    mark: str
    """`run by FILE`, `as in PAGE`, `not run: REASON`, or nothing."""
    lines: tuple[Line, ...]

    @property
    def runner(self) -> str:
        """The test file that runs it."""
        return self.mark.removeprefix("run by ") if self.mark.startswith("run by ") else ""

    @property
    def twin(self) -> Path | None:
        """The page that has the same commands in blocks that are run."""
        return ROOT / self.mark.removeprefix("as in ") if self.mark.startswith("as in ") else None

    @property
    def excuse(self) -> str:
        """Why nobody runs it."""
        return self.mark.removeprefix("not run: ") if self.mark.startswith("not run: ") else ""


def blocks(path: Path) -> Iterator[Block]:
    """The `console` blocks of a document."""
    text = path.read_text()
    for found in BLOCK.finditer(text):
        if found["kind"] != "console":
            continue
        before = text[: found.start("body")]
        headings = HEADING.findall(before)
        mark = (found["mark"] or "").strip()
        lines = tuple(_lines(found["body"]))
        yield Block(path, before.count("\n") + 1, headings[-1] if headings else "", mark, lines)


def blocks_of(runner: str) -> list[Block]:
    """The blocks that a test file runs, in the order of the documents."""
    name = str(Path(runner).relative_to(ROOT))
    return [block for path in DOCUMENTS for block in blocks(path) if block.runner == name]


def _lines(body: str) -> Iterator[Line]:
    """What is typed, each with what is printed below it."""
    parts = PROMPT.split(body)
    for typed, printed in zip(parts[1::2], parts[2::2], strict=True):
        note = NOTE.search(typed)
        command = typed[: note.start()] if note else typed
        yield Line(command, note[0].strip() if note else "", tuple(printed.splitlines()))
