"""Who in a host reaches what: a table with a line for each target and a column for each who dials."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

YES: Final = "yes"
NO: Final = "no"
ITSELF: Final = "-"
"""Whoever dials is the target."""
ROUNDS: Final = 8

Address = tuple[str, int]
Cell = tuple[str, str]
"""Target, who dials."""
Connections = dict[Cell, str]
Dial = Callable[[Mapping[str, Address]], set[str]]
"""Targets by name → those that a connection comes about with."""


def measured(
    dials: Mapping[str, Dial],
    targets: Mapping[str, Address],
    itself: frozenset[Cell],
    wanted: Connections,
) -> Connections:
    """Every cell, dialled until all are as wanted, and a few times where they don't become so.

    What connects once, connects: a wall that opens now and then isn't one, and a connection that was too slow comes
    about the next time.
    """
    found = {
        (target, by): ITSELF if (target, by) in itself else NO for target in targets for by in dials
    }
    for _ in range(ROUNDS):
        for by, dial in dials.items():
            asked = {name: to for name, to in targets.items() if found[name, by] != ITSELF}
            found |= {(target, by): YES for target in dial(asked)}
        if found == wanted:
            break
    return found


def table(connections: Connections) -> str:
    """The table as text, its lines and columns in the order of the cells."""
    targets = dict.fromkeys(target for target, _ in connections)
    dials = dict.fromkeys(by for _, by in connections)
    rows = [
        ["", *dials],
        *([target, *(connections[target, by] for by in dials)] for target in targets),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join(_line(row, widths) for row in rows)


def read(text: str) -> Connections:
    """What `table` wrote. Raises ValueError for a line with a word too many or too few."""
    head, *lines = text.splitlines()
    dials = head.split()
    return {
        (target, by): word
        for target, *words in map(str.split, lines)
        for by, word in zip(dials, words, strict=True)
    }


def differences(found: Connections, wanted: Connections) -> list[str]:
    """Cell by cell, in words."""
    cells = dict.fromkeys((*wanted, *found))
    return [
        f"{by} to {target}: {found.get((target, by))}, not {wanted.get((target, by))}"
        for target, by in cells
        if found.get((target, by)) != wanted.get((target, by))
    ]


def _line(words: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(map(str.ljust, words, widths)).rstrip() + "\n"
