"""A report that keeps what it was told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Recorder:
    phases: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    waited: list[str] = field(default_factory=list)

    @contextmanager
    def phase(self, title: str) -> Iterator[None]:
        self.phases.append(title)
        yield

    def progress(self, done: int, total: int, what: str) -> None:
        assert done >= 0
        assert not total or done <= total

    def waits(self, what: str) -> None:
        self.waited.append(what)

    def log(self, line: str) -> None:
        self.lines.append(line)
