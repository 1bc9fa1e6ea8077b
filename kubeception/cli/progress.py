"""Lines that tell how far a command is: one with a tick for each phase, on standard error."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

PATIENCE_SECONDS: Final = 3.0
"""How long a phase may be silent before what it waits for is said."""


class Progress:
    """Phases one after the other. On a terminal the running one is shown with what it waits for."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._title, self._began, self._said, self._detail = "", 0.0, "", ""
        self._status: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hide()

    @contextmanager
    def phase(self, title: str) -> Iterator[None]:
        """A phase that is over when the block is; an exception crosses it out."""
        self.start(title)
        try:
            yield
        except BaseException:
            self.done(ok=False)
            raise
        self.done()

    def start(self, title: str) -> None:
        """A phase begins."""
        self._title, self._began, self._said, self._detail = title, time.monotonic(), "", ""
        self._show()

    def done(self, title: str = "", *, ok: bool = True) -> None:
        """The phase is over; `title` may say it better now that it is known how it went."""
        seconds = time.monotonic() - self._began
        self._hide()
        self._line(_mark(ok=ok), title or self._title, f"{seconds:.1f} s")
        self._title = ""

    def detail(self, text: str) -> None:
        """What the phase is waiting for."""
        self._detail = text
        waited = time.monotonic() - self._began
        if self._terminal:
            self._show()
        elif text and text != self._said and waited >= PATIENCE_SECONDS:
            self._said = text
            self._line("…", f"waiting for {text}", "")

    def _line(self, mark: str, text: str, seconds: str) -> None:
        from kubeception.cli.output import clean

        shown = f"{mark} {clean(text)}"
        sys.stderr.write(f"{shown:<64} {seconds:>7}".rstrip() + "\n")
        sys.stderr.flush()

    def _show(self) -> None:
        """The running phase, on a terminal."""
        if not self._terminal:
            return
        if self._status is None:
            from rich.console import Console

            self._status = Console(stderr=True, highlight=False, markup=False).status("")
            self._status.start()
        waited = time.monotonic() - self._began
        said = f"  {self._detail}" if self._detail and waited >= PATIENCE_SECONDS else ""
        self._status.update(f"{self._title}{said}")

    def _hide(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


def _mark(*, ok: bool) -> str:
    """A tick or a cross, in colour where that is wanted."""
    mark, colour = ("✓", "32") if ok else ("✗", "31")
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        return f"\033[{colour}m{mark}\033[0m"
    return mark
