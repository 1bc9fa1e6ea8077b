"""The door of one API server: while nobody gets in, those who want to knock one after the other."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

KNOCK_SECONDS: Final = 0.5
"""Between two knocks while the server is silent, however many wait."""
CROWD_SECONDS: Final = 0.002
"""Between two who enter when it answers again: they don't all come at once."""


class Door:
    """What all connections to a server go through; in one event loop."""

    def __init__(self) -> None:
        self._queue = asyncio.Lock()
        self._answers = asyncio.Event()
        self._answers.set()
        self._knocked = 0.0

    async def enter(self, dial: Callable[[], Awaitable[T]]) -> T:
        """What `dial` returns; where the server is silent, when it is this caller's turn.

        Raises what `dial` raises; an OSError is the server's silence.
        """
        if not self._answers.is_set():
            async with self._queue:
                if not self._answers.is_set():
                    await asyncio.sleep(self._knocked + KNOCK_SECONDS - time.monotonic())
                    return await self._dial(dial)
                await asyncio.sleep(CROWD_SECONDS)
        return await self._dial(dial)

    async def _dial(self, dial: Callable[[], Awaitable[T]]) -> T:
        try:
            found = await dial()
        except OSError:
            self._answers.clear()
            self._knocked = time.monotonic()
            raise
        self._answers.set()
        return found
