"""A measured figure: its single values, each with the load the machine was under when it was taken."""

import json
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

FINE = 0.1
"""Below this two decimals say little."""


@dataclass
class Figure:
    """One thing that is measured, in one unit."""

    title: str
    unit: str
    goal: float | None = None
    """What the project aims at: at most this much."""
    values: list[float] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    """The machine's load average over one minute beside each value."""

    def take(self, value: float) -> None:
        """Add a value that was measured just now, and say it: a run that breaks off has its figures on the terminal."""
        self.values.append(round(value, 3 if value >= FINE else 5))
        self.loads.append(round(os.getloadavg()[0], 2))
        said = f"{self.title}: {_shown(value)} {self.unit}".rstrip()
        print(f"{said} (load {self.loads[-1]})", file=sys.stderr)

    def row(self) -> tuple[str, ...]:
        """What the table shows."""
        values = sorted(self.values)
        spread = f"{_shown(values[0])} to {_shown(values[-1])}" if len(values) > 1 else ""
        load = f"{min(self.loads):.1f} to {max(self.loads):.1f}"
        goal = f"{self.goal:g}" if self.goal is not None else ""
        middle = f"{_shown(median(values))} {self.unit}"
        return (self.title, middle, spread, str(len(values)), load, goal)

    def document(self) -> dict[str, Any]:
        """What the file holds."""
        return {
            "title": self.title,
            "unit": self.unit,
            "median": median(self.values),
            "goal": self.goal,
            "values": self.values,
            "loads": self.loads,
        }


def _shown(value: float) -> str:
    return f"{value:.2f}" if value >= FINE or not value else f"{value:.2g}"


HEAD = ("figure", "median", "spread", "runs", "load average", "goal")


def table(figures: Iterable[Figure]) -> str:
    """The figures that were taken, in columns."""
    rows = [HEAD, *(figure.row() for figure in figures if figure.values)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(": ")[2] for line in info if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processors": len(models),
        "model": models[0] if models else platform.machine(),
        "memoryGiB": round(memory / (1 << 30), 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def save(path: Path, figures: Iterable[Figure], **facts: str) -> None:
    """Write all of it as JSON."""
    taken = [figure.document() for figure in figures if figure.values]
    document = {"machine": machine(), **facts, "figures": taken}
    path.write_text(json.dumps(document, indent=2) + "\n")
