"""Independent requests at the same time."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Final, TypeVar

T = TypeVar("T")

THREADS: Final = 3


class _Own(threading.local):
    """Of each thread that asks its own: nobody waits for what somebody else asks a slow API server."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="requests")


_own = _Own()


def together(calls: Iterable[Callable[[], T]]) -> list[T]:
    """The results in the order of the calls; the first error is raised after all have ended."""
    listed = list(calls)
    if len(listed) < 2:
        return [call() for call in listed]
    futures = [_own.pool.submit(call) for call in listed]
    wait(futures)
    return [future.result() for future in futures]
