"""How far one pass may go: until its time is over, and only as long as it may write."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from kubeception.errors import StoppedError

PASS_SECONDS: Final = 60.0
"""A pass that isn't done after this is ended; what it had begun, the next one goes on with."""


class Limit:
    """Asked before each request of a pass; raises StoppedError when there is to be no further one.

    Its time begins with the first request: a pass may have waited for its turn. With `octets` it is ended,
    too, where the tenant answers more than these.
    """

    def __init__(
        self,
        may_write: Callable[[], bool] = lambda: True,
        seconds: float = PASS_SECONDS,
        octets: int | None = None,
    ) -> None:
        self._may_write, self._seconds, self._most = may_write, seconds, octets
        self._lock = threading.Lock()
        self.octets = 0
        """That the tenant answered."""
        self._began: float | None = None
        self.requests: Counter[str] = Counter()
        """How many were allowed, by method."""

    @property
    def seconds(self) -> float:
        """Since the first request."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    def __call__(self, method: str) -> float:
        """Seconds that are left."""
        if self._began is None:
            self._began = time.monotonic()
        left = self._seconds - self.seconds
        if left <= 0:
            message = f"the pass was ended: it took longer than {self._seconds:.0f} s"
            raise StoppedError(message, reason="Deadline")
        if method != "GET" and not self._may_write():
            message = "the pass was ended: another run has the right to work on this now"
            raise StoppedError(message, reason="LeaseLost")
        self.requests[method] += 1
        return left

    def answered(self, octets: int) -> None:
        """The tenant answered so much."""
        with self._lock:
            self.octets += octets
        if self._most is not None and self.octets > self._most:
            message = f"the pass was ended: its tenant answers more than {self._most >> 20} MiB"
            raise StoppedError(message, reason="Heavy")
