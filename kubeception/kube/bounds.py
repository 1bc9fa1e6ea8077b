"""How much is read of an API server that isn't trusted with our time and memory, and how much of that is left."""

import threading
from dataclasses import dataclass
from typing import Final

from kubeception.errors import ExcessError

VALUE: Final = 16
"""Octets that a value counts for at least: of an answer of `{}` and nothing else, each takes 64 once it is parsed."""


@dataclass(frozen=True)
class Bounds:
    """What one who isn't trusted may cost."""

    objects: int = 20_000
    """Of a list, all its pages together."""
    answer: int = 8 << 20
    """Octets of an answer: as long as it is parsed, no other thread of ours runs."""
    octets: int = 32 << 20
    """Of all answers in a pass, or to a list that belongs to none. Parsed they take six times that."""
    answer_seconds: float = 15.0
    """From a request to the end of its answer."""
    seconds: float = 30.0
    """Of all requests in a pass, or for a list that belongs to none, added up."""


UNTRUSTED: Final = Bounds()
"""Tenants, and whoever else a tenant's owner names."""


def weight(answer: bytes) -> int:
    """Octets that an answer counts for: its own, or more where it is made of many small values."""
    return max(len(answer), VALUE * sum(map(answer.count, (b",", b"[", b"{"))))


EXCESSES: Final = 2
"""Answers that are too much in a pass: one list that is too long is no reason to leave all else undone."""


class Meter:
    """What a pass has taken of the bounds; several threads may tell it. Raises ExcessError where that is all."""

    def __init__(self, bounds: Bounds, title: str) -> None:
        """`title` names the cluster: `tenant cluster acme`."""
        self._bounds, self._title = bounds, title
        self._lock = threading.Lock()
        self._octets, self._seconds = 0, 0.0
        self._excesses: list[ExcessError] = []

    def left(self, doing: str) -> float:
        """Seconds that the next answer may take; `doing` is for errors: `reading Pods in default`."""
        if len(self._excesses) >= EXCESSES:
            raise self._excesses[0]
        left = self._bounds.seconds - self._seconds
        if left <= 0:
            found = f"requests took {self._seconds:.0f} s"
            raise self._excess(
                doing, found, f"all those of a pass may take {self._bounds.seconds:.0f} s"
            )
        return min(left, self._bounds.answer_seconds)

    def took(self, seconds: float) -> None:
        """So long took a request."""
        with self._lock:
            self._seconds += seconds

    def answered(self, doing: str, octets: int) -> None:
        """So much was answered, before it is parsed; what is refused isn't counted."""
        with self._lock:
            total = self._octets + octets
            if total <= self._bounds.octets:
                self._octets = total
                return
        most = f"all answers of a pass may have {_mib(self._bounds.octets)}"
        raise self._excess(doing, f"with this answer there are {_mib(total)}", most)

    def paged(self, doing: str, pages: int, size: int, objects: int) -> None:
        """So many pages, of so many objects at most, have come of a list that goes on."""
        if max(objects, pages * size) >= self._bounds.objects:
            found = f"{objects} objects in {pages} pages, and more to come"
            raise self.exceeded(
                self._excess(doing, found, f"a list may have {self._bounds.objects} objects")
            )

    def exceeded(self, error: ExcessError) -> ExcessError:
        """An answer was too much; after some of them nothing more is asked for."""
        with self._lock:
            self._excesses.append(error)
        return error

    def _excess(self, doing: str, found: str, most: str) -> ExcessError:
        return ExcessError(f"{self._title}: {doing}: {found}; {most}")


def _mib(octets: int) -> str:
    return f"{octets / (1 << 20):.1f} MiB"
