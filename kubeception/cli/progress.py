"""Lines that tell how far a command is: one with a tick for each phase, on standard error."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

from kubeception.cli.output import clean, coloured, flat, pad, shorten, width

PATIENCE_SECONDS: Final = 3.0
"""How long a phase may be silent before what it waits for is said."""
BLOCKED_SECONDS: Final = 10.0
"""How long it may take before what it waits for is said in full, be it ever so long."""
FRAMES_PER_SECOND: Final = 4
TITLE_WIDTH: Final = 64
SECONDS_WIDTH: Final = 8


class Progress:
    """Phases one after the other. On a terminal the running one is shown with its seconds and what it waits for."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._title, self._began = "", 0.0
        self._detail, self._said = "", ""
        self._status: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        title, detail = self._title, self._detail
        if title and error is not None:
            self.done(ok=False)
        self._hide()
        if isinstance(error, KeyboardInterrupt):
            where = f"{title}: waits for {flat(detail)}" if title and detail else title
            error.add_note(f"It was at: {clean(where or 'its beginning')}")

    @contextmanager
    def phase(self, title: str) -> Iterator[None]:
        """A phase that is over when the block is; an exception crosses it out."""
        self.start(title)
        try:
            yield
        except Exception:
            self.done(ok=False)
            raise
        self.done()

    def start(self, title: str) -> None:
        """A phase begins."""
        self._title, self._began = title, time.monotonic()
        self._detail, self._said = "", ""
        self._show()

    def done(self, title: str = "", *, ok: bool = True) -> None:
        """The phase is over; `title` may say it better now that it is known how it went."""
        seconds = self._seconds()
        self._hide()
        self._line(_mark(ok=ok), title or self._title, f"{seconds:.1f} s")
        self._title = ""

    def detail(self, text: str) -> None:
        """What the phase is waiting for."""
        self._detail = text
        if (
            not self._terminal
            and text not in ("", self._said)
            and self._seconds() >= PATIENCE_SECONDS
        ):
            self._said = text
            self._line("…", f"waits for {text}", "")

    def running(self, room: int) -> tuple[str, str]:
        """What is shown of the running phase: a line of `room` cells, and what has no room in it."""
        seconds, detail = self._seconds(), flat(self._detail)
        line = f"{flat(self._title)}  {seconds:.0f} s"
        if not detail or seconds < PATIENCE_SECONDS:
            return shorten(line, room), ""
        whole = f"{line}  waits for {detail}"
        if seconds >= BLOCKED_SECONDS and width(whole) > room:
            return shorten(line, room), f"waits for {detail}"
        return shorten(whole, room), ""

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _line(self, mark: str, text: str, seconds: str) -> None:
        room, text = TITLE_WIDTH, clean(text).replace("\n", " ")
        if self._terminal:
            room = min(room, os.get_terminal_size(sys.stderr.fileno()).columns - SECONDS_WIDTH - 2)
            text = shorten(text, room)
        line = f"{pad(text, room)} {seconds:>{SECONDS_WIDTH - 1}}".rstrip()
        sys.stderr.write(f"{mark} {line}\n")
        sys.stderr.flush()

    def _show(self) -> None:
        """The running phase, on a terminal."""
        if not self._terminal:
            return
        from rich.console import Console
        from rich.status import Status

        console = Console(stderr=True, highlight=False, markup=False)
        self._status = Status(_Running(self), console=console, refresh_per_second=FRAMES_PER_SECOND)
        self._status.start()

    def _hide(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class _Running:
    """The running phase as `rich` draws it, anew in every frame."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich.text import Text

        line, blocked = self._progress.running(options.max_width - 1)
        yield Text(line, no_wrap=True, overflow="ellipsis")
        if blocked:
            yield Text(f"  {blocked}", style="yellow")


def _mark(*, ok: bool) -> str:
    """A tick or a cross, in colour where that is wanted."""
    mark, colour = ("✓", "32") if ok else ("✗", "31")
    return f"\033[{colour}m{mark}\033[0m" if coloured(sys.stderr) else mark
