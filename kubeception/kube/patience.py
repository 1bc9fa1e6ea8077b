"""Calls to somebody who isn't trusted with our time: however slowly an answer comes, nobody waits longer."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from kubeception.errors import ApiError

T = TypeVar("T")

MOST: Final = 8
"""Calls that may be under way at once; each that is given up goes on until the other end is done."""


class Patience:
    """So many seconds for each call, each in a thread of its own. Raises ApiError, status 0, when they are over."""

    def __init__(self, seconds: float, title: str) -> None:
        self._seconds, self._title = seconds, title
        self._free = threading.BoundedSemaphore(MOST)

    def __call__(self, call: Callable[[], T], seconds: float | None = None) -> T:
        """What the call returns, or raises; `seconds` is less time, where there is less."""
        if not self._free.acquire(blocking=False):
            raise ApiError(f"{self._title}: too many requests have no answer yet", reason="Timeout")
        done: Future[T] = Future()

        def run() -> None:
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001  # raised where it is waited for
                done.set_exception(error)
            else:
                done.set_result(result)
            finally:
                self._free.release()

        threading.Thread(target=run, name="request", daemon=True).start()
        within = self._seconds if seconds is None else min(seconds, self._seconds)
        try:
            return done.result(within)
        except TimeoutError:
            said = f"{self._title}: no answer within {within:.0f} s"
            raise ApiError(said, reason="Timeout") from None
