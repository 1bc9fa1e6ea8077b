"""Long work on a terminal: a ticked line with its seconds for each phase, and a log file of all of it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kubeception.cli.output import flat
from kubeception.cli.progress import BLOCKED_SECONDS, PATIENCE_SECONDS

if TYPE_CHECKING:
    from rich.progress import TaskID


class TerminalReport:
    """Tells a person of phases and progress, and the log file of every line.

    May be used from several threads. A terminal shows what runs, with its seconds and, after a few, what it
    waits for; elsewhere that and finished phases are printed.
    """

    def __init__(self, log: Path, *, verbose: bool = False) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.verbose = verbose
        self.lock = threading.Lock()
        log.parent.mkdir(parents=True, exist_ok=True)
        self.file = log.open("a", buffering=1)
        self.progress_bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn(
                "{task.fields[amount]}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
            expand=True,
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.running: list[TaskID] = []
        self.latest = ""
        self.began = 0.0
        self.awaited, self.awaited_since, self.told = "", 0.0, ""

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
            waits = f": waits for {self.awaited}" if self.awaited else ""
            error.add_note(f"It was at: {self.latest or 'its beginning'}{waits}")
        if error is not None:
            self.log(f"{type(error).__name__}: {error}")
            self.console.print(f"The log is {self.file.name}", markup=False)
        self.file.close()

    @contextmanager
    def phase(self, title: str) -> Iterator[None]:
        """One unit of work: `✓ title  1.2 s` when it ends well, `✗ title` when it doesn't."""
        started = time.monotonic()
        self.log(f"== {title}")
        self.latest, self.began, self.awaited = title, started, ""
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

    def waits(self, what: str) -> None:
        """What the latest phase waits for: shown after a moment; when nothing changes, said in full."""
        now, what = time.monotonic(), flat(what)
        with self.lock:
            if what != self.awaited:
                self.awaited, self.awaited_since = what, now
            if now - self.began < PATIENCE_SECONDS or not self.running:
                return
            self.progress_bar.update(self.running[-1], amount=f"waits for {what}")
            blocked = now - self.awaited_since >= BLOCKED_SECONDS
            say = what != self.told and (blocked or not self.console.is_terminal)
            self.told = what if say else self.told
        if say:
            self.console.print(f"… waits for {what}", markup=False, style="yellow")

    def log(self, line: str) -> None:
        """A line for the log file, and for the terminal when all is asked for."""
        with self.lock:
            if self.file.closed:  # a phase that an interrupt hit on its way in ends last
                return
            self.file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f} {line}\n")
        if self.verbose:
            self.console.print(f"  {line}", markup=False, style="dim")
