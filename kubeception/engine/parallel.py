"""Independent requests at the same time."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

THREADS: Final = 8


def together(calls: Iterable[Callable[[], T]]) -> list[T]:
    """The results in the order of the calls; the first error is raised after all have ended."""
    listed = list(calls)
    if len(listed) < 2:
        return [call() for call in listed]
    with ThreadPoolExecutor(min(THREADS, len(listed))) as pool:
        return [future.result() for future in [pool.submit(call) for call in listed]]
