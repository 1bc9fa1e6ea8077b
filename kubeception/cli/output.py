"""What commands print: tables, documents, ages; never a control character from somebody else's object."""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

FORMATS: Final = ("json", "yaml", "name")

output_option = click.option(
    "-o", "--output", type=click.Choice(FORMATS), help="Print objects instead of a table."
)


def clean(text: str) -> str:
    """`text` without characters that steer a terminal."""
    return "".join(
        c if c in "\n\t" or unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Columns, each as wide as its widest cell; an empty cell is a dash."""
    cells = [[clean(str(cell)).replace("\n", " ") or "-" for cell in row] for row in rows]
    cells.insert(0, list(head))
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        pairs = zip(row, widths, strict=True)
        click.echo("   ".join(cell.ljust(width) for cell, width in pairs).rstrip())


def document(value: Any, form: str) -> None:
    """One object, or a list of them, as JSON or YAML."""
    if form == "json":
        click.echo(json.dumps(value, indent=2))
        return
    import yaml

    click.echo(yaml.safe_dump(value, sort_keys=False), nl=False)


def age(timestamp: str | None) -> str:
    """How long ago: `42s`, `7m`, `3h`, `12d`."""
    if not timestamp:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(timestamp)).total_seconds()
    for limit, unit, letter in ((120, 1, "s"), (7200, 60, "m"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{max(0, int(seconds // unit))}{letter}"
    return f"{int(seconds // 86400)}d"
