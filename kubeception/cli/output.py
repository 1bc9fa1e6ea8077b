"""What commands print: tables, documents, ages; never a control character from somebody else's object."""

import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from kubeception.cli.options import Formats

if TYPE_CHECKING:
    from kubeception.engine.changes import Changes

FORMATS: Final = ("table", "wide", "json", "yaml", "name")
GAP: Final = "   "
NO_LIMIT: Final = 1 << 30
WATCH_SECONDS: Final = 3600.0
"""Between two looks of a watch of which nothing is heard."""

output_option = click.option(
    "-o",
    "--output",
    type=Formats(FORMATS),
    default="table",
    show_default=True,
    help="How it is printed.",
)
watch_option = click.option(
    "-w", "--watch", is_flag=True, help="Print what changes, too, until interrupted."
)
all_option = click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces.")


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    least: int = 0
    """Cells it may be shortened to where the terminal is narrow; 0: it is always whole."""
    wide: bool = False
    """Shown with `-o wide` only."""


@dataclass(frozen=True)
class Row:
    """One object of a listing, in all the forms it may be asked for."""

    name: str
    cells: Sequence[Any]
    obj: Mapping[str, Any]
    age: str | None = None
    """When it began; printed as the last column."""


@dataclass
class Listing:
    """Objects as a table or as documents, once or as they change."""

    columns: Sequence[Column]
    """Without the last, which is AGE."""
    read: Callable[[], list[Row]]
    output: str
    empty: str = ""
    """What is said on standard error where there are none."""
    _widths: list[int] = field(default_factory=list)

    def show(self) -> None:
        """Print all that is there."""
        rows = self.read()
        if self.output in ("json", "yaml"):
            items = [trimmed(row.obj) for row in rows]
            document({"apiVersion": "v1", "kind": "List", "items": items}, self.output)
        elif self.output == "name":
            _lines(clean(row.name) for row in rows)
        elif rows:
            self._table(rows, head=True)
        elif self.empty:
            click.echo(self.empty, err=True)

    def watch(self, changes: "Changes") -> None:
        """Print all that is there, then each object that is new or another; until interrupted."""
        known: dict[str, Any] = {}
        first = True
        while True:
            rows = self.read()
            fresh = [row for row in rows if known.get(row.name) != list(row.cells)]
            known = {row.name: list(row.cells) for row in rows}
            if self.output in ("json", "yaml"):
                for row in fresh:
                    click.echo("---\n" if self.output == "yaml" else "", nl=False)
                    document(trimmed(row.obj), self.output)
            elif self.output == "name":
                _lines(clean(row.name) for row in fresh)
            elif first or fresh:
                self._table(fresh, head=first)
            first = False
            sys.stdout.flush()
            changes.wait(WATCH_SECONDS)

    def _table(self, rows: Sequence[Row], *, head: bool) -> None:
        chosen = [i for i, c in enumerate(self.columns) if self.output == "wide" or not c.wide]
        columns = [*(self.columns[i] for i in chosen), Column("AGE")]
        cells = [[*(row.cells[i] for i in chosen), age(row.age)] for row in rows]
        self._widths = table(columns, cells, head=head, widths=self._widths)


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[Any]],
    *,
    head: bool = True,
    widths: Sequence[int] = (),
    room: int | None = None,
) -> list[int]:
    """Print columns, each as wide as its widest cell; an empty cell is a dash. Returns the widths.

    A line is never longer than the terminal: long cells are shortened first, with `…` at their end.
    Where the output is no terminal it may be as long as it likes.
    """
    room = terminal_width() if room is None else room
    cells = [[flat(str(cell)) or "-" for cell in row] for row in rows]
    titles = [[column.title for column in columns]]
    natural = [max(map(width, column)) for column in zip(*titles, *cells, strict=True)]
    if widths:
        natural = [max(old, new) for old, new in zip(widths, natural, strict=True)]
    fitted = fit(natural, [column.least for column in columns], room)
    for row in [*(titles if head else ()), *cells]:
        pairs = zip(row, fitted, strict=True)
        line = GAP.join(pad(shorten(cell, size), size) for cell, size in pairs)
        click.echo(shorten(line.rstrip(), room))
    return natural


def fit(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths whose sum, with the gaps, is within `room`: the widest of those that may give, gives."""
    result = list(widths)
    surplus = sum(result) + len(GAP) * (len(result) - 1) - room
    while surplus > 0:
        giving = [i for i, low in enumerate(least) if low and result[i] > low]
        if not giving:
            break
        result[max(giving, key=lambda i: result[i])] -= 1
        surplus -= 1
    return result


def terminal_width() -> int:
    """Cells of a line of standard output."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else NO_LIMIT


def coloured(stream: Any) -> bool:
    """Whether colours are wanted on a stream: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR")


def clean(text: str) -> str:
    """`text` without characters that steer a terminal."""
    return "".join(
        c if c in "\n\t" or unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def flat(text: str) -> str:
    """`clean`, in one line; blanks it begins with stay."""
    return re.sub(r"\s*[\n\t\u2028\u2029]\s*", " ", clean(text)).rstrip()


def width(text: str) -> int:
    """How many cells of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def shorten(text: str, size: int) -> str:
    """`text` in at most `size` cells, `…` for what is missing."""
    if width(text) <= size:
        return text
    while text and width(text) >= size:
        text = text[:-1]
    return f"{text}…" if size else ""


def pad(text: str, size: int) -> str:
    """`text` with blanks up to `size` cells."""
    return text + " " * (size - width(text))


def trimmed(obj: Mapping[str, Any]) -> dict[str, Any]:
    """An object without the book-keeping of field managers, which nobody reads."""
    result = dict(obj)
    if "managedFields" in result.get("metadata", {}):
        result["metadata"] = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    return result


def document(value: Any, form: str) -> None:
    """An object as JSON or YAML."""
    if form == "json":
        click.echo(json.dumps(value, indent=2))
        return
    import yaml

    click.echo(yaml.safe_dump(value, sort_keys=False), nl=False)


def age(timestamp: str | None) -> str:
    """How long ago: `42s`, `7m`, `3h`, `12d`."""
    if not timestamp:
        return ""
    return span((datetime.now(UTC) - datetime.fromisoformat(timestamp)).total_seconds())


def span(seconds: float) -> str:
    """A length of time, as `age` says it."""
    for limit, unit, letter in ((120, 1, "s"), (7200, 60, "m"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{max(0, int(seconds // unit))}{letter}"
    return f"{int(seconds // 86400)}d"


def _lines(texts: Iterator[str]) -> None:
    for text in texts:
        click.echo(text)
