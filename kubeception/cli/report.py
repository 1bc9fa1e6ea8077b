"""Long work on a terminal: a ticked line with its seconds for each phase, and a log file of all of it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import TaskID


class TerminalReport:
    """Tells a person of phases and progress, and the log file of every line.

    May be used from several threads. On something that is no terminal only finished phases are printed.
    """

    def __init__(self, log: Path, *, verbose: bool = False) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.verbose = verbose
        self.lock = threading.Lock()
        log.parent.mkdir(parents=True, exist_ok=True)
        self.file = log.open("a", buffering=1)
        self.progress_bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[amount]}", markup=False),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.running: list[TaskID] = []
        self.latest = ""

    def __enter__(self) -> Self:
        self.progress_bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress_bar.stop()
        if isinstance(error, KeyboardInterrupt):
            error.add_note(f"It was at: {self.latest or 'its beginning'}")
        if error is not None:
            self.log(f"{type(error).__name__}: {error}")
            self.console.print(f"The log is {self.file.name}", markup=False)
        self.file.close()

    @contextmanager
    def phase(self, title: str) -> Iterator[None]:
        """One unit of work: `✓ title  1.2 s` when it ends well, `✗ title` when it doesn't."""
        started = time.monotonic()
        self.log(f"== {title}")
        self.latest = title
        task = self.progress_bar.add_task(title, total=None, amount="")
        with self.lock:
            self.running.append(task)
        mark, style = "✗", "red"
        try:
            yield
            mark, style = "✓", "green"
        finally:
            with self.lock:
                self.running.remove(task)
            self.progress_bar.remove_task(task)
            seconds = time.monotonic() - started
            self.log(f"{mark} {title} {seconds:.1f} s")
            self.console.print(f"[{style}]{mark}[/] {title:<62} {seconds:5.1f} s")

    def progress(self, done: int, total: int, what: str) -> None:
        """How far the latest phase is."""
        amount = f"{done}/{total} {what}" if total else f"{done} {what}"
        with self.lock:
            if self.running:
                task = self.running[-1]
                self.progress_bar.update(task, completed=done, total=total or None, amount=amount)

    def log(self, line: str) -> None:
        """A line for the log file, and for the terminal when all is asked for."""
        with self.lock:
            self.file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f} {line}\n")
        if self.verbose:
            self.console.print(f"  {line}", markup=False, style="dim")
