"""Threads for passes: a bounded number, and a slow one doesn't hold up the others."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

PROMPT_SECONDS: Final = 3.0
"""A pass that takes longer gives its place to another, and goes on beside it."""
BESIDE: Final = 2
"""For each place, as many passes may go on so: when all are slow, more at once would make all slower."""


class Lanes:
    """`workers` places for passes, and half as many for tenants whose last pass was slow.

    A tenant whose API takes connections and doesn't answer costs the others a place for
    `PROMPT_SECONDS` once; after that it waits with its like. Only where more than `BESIDE` for each
    place are so at once do the next ones keep theirs. Passes of tenants that answer much run one at a
    time: what each has read, it holds until its end.
    """

    def __init__(self, workers: int) -> None:
        slow, beside = max(1, workers // 2), workers * BESIDE
        self._threads = ThreadPoolExecutor(workers + slow + beside + 1, thread_name_prefix="pass")
        self._prompt = asyncio.Semaphore(workers)
        self._slow = asyncio.Semaphore(slow)
        self._beside = asyncio.Semaphore(beside)
        self._heavy = asyncio.Semaphore(1)
        self.running = 0
        """Passes that run now, overlong ones among them."""
        self.waiting = 0
        """Passes that are due and have no place."""

    async def run(self, work: Callable[[], T], *, slow: bool = False, heavy: bool = False) -> T:
        """What `work` returns or raises, done in a thread as soon as there is a place."""
        place = self._heavy if heavy else self._slow if slow else self._prompt
        self.waiting += 1
        try:
            await place.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            done = asyncio.get_running_loop().run_in_executor(self._threads, work)
            await asyncio.wait({done}, timeout=PROMPT_SECONDS if place is self._prompt else None)
            if place is self._prompt and not done.done() and not self._beside.locked():
                await self._beside.acquire()
                place.release()
                place = self._beside
            return await done
        finally:
            self.running -= 1
            place.release()
