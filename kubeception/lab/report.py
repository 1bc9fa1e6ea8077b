"""What long work tells while it runs; how that looks on a terminal is the caller's affair."""

from contextlib import AbstractContextManager
from typing import Protocol


class Report(Protocol):
    """A listener to phases, to progress inside a phase, and to lines for the log."""

    def phase(self, title: str) -> AbstractContextManager[None]:
        """One unit of work a person waits for; leaving it without an exception is success."""

    def progress(self, done: int, total: int, what: str) -> None:
        """How far the running phase is, in units of `what`; total 0 means unknown."""

    def waits(self, what: str) -> None:
        """What the latest phase waits for, told again at each look; a thing that blocks it with its cause."""

    def log(self, line: str) -> None:
        """A line for the log file, on the terminal only when asked for."""
