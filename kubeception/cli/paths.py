"""Paths of clusters: `a/b/c` is the tenant c of the tenant b of the tenant a of the host cluster."""

from collections.abc import Sequence
from typing import Any, Final

from kubeception.errors import UsageError

NAMED: Final = ("name", "names", "node", "pool")
"""Arguments of commands before which a path may stand."""


def steps(path: str) -> tuple[str, ...]:
    """The names of a path, the outermost first. Raises UsageError."""
    found = tuple(path.split("/")) if path else ()
    if not all(found):
        raise UsageError(
            f"{path!r} is no path of clusters: a name is empty",
            hint="A path is names with a slash between them, such as a/b: tenant cluster b of tenant cluster a.",
        )
    return found


def descend(inside: str, arguments: dict[str, Any]) -> tuple[str, ...]:
    """The path to the host of a command: `inside`, and what stands before its names, which are left without it.

    Raises UsageError, also where names are of several hosts.
    """
    start, ends = steps(inside), set()
    for key in NAMED:
        given = arguments.get(key)
        if not given:
            continue
        split = [steps(each) for each in ([given] if isinstance(given, str) else given)]
        ends |= {path[:-1] for path in split}
        names = tuple(path[-1] for path in split)
        arguments[key] = names[0] if isinstance(given, str) else names
    if len(ends) > 1:
        raise UsageError(
            f"these are tenants of several clusters: {_told(sorted(ends))}",
            hint="Give the command once for each of them.",
        )
    return (*start, *next(iter(ends), ()))


def _told(ends: Sequence[tuple[str, ...]]) -> str:
    return ", ".join("/".join(path) or "the host" for path in ends)
