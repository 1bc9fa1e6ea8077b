"""How fast something may go: at once for a while, and then at a pace."""

import time


class Pace:
    """So much a second for long, and so much at once before that."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._credit, self._told = burst, time.monotonic()

    @property
    def delay(self) -> float:
        """Seconds until it may go on; 0 where it may now."""
        self._earn()
        return max(0.0, -self._credit / self._rate)

    def spend(self, amount: float) -> None:
        """So much was done."""
        self._earn()
        self._credit -= amount

    def _earn(self) -> None:
        now = time.monotonic()
        self._credit = min(self._burst, self._credit + (now - self._told) * self._rate)
        self._told = now
