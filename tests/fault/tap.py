"""The faults, and the place where they strike: each request that the engine sends to an API server."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kubeception.errors import ApiError, ConflictError, KubeceptionError
from kubeception.kube.client import Cluster

LATE_SECONDS = 0.3


class Killed(BaseException):  # nothing that the engine could catch
    """The engine's process is gone."""


class Fault(StrEnum):
    """What may become of a request."""

    BEFORE = "before"
    """It doesn't arrive."""
    LOST = "lost"
    """It is done, and its answer is lost."""
    CONFLICT = "409"
    TOO_MANY = "429"
    BROKEN = "500"
    LATE = "late"
    """No answer in time; it is done after the engine has given it up."""
    KILLED = "killed"
    """It is done, and then the engine's process ends."""


READ_FAULTS = (Fault.BEFORE, Fault.BROKEN, Fault.KILLED)
"""What may become of a request that changes nothing: to it, the others are the same as these."""


@dataclass(frozen=True, order=True)
class Call:
    """A request of an operation: the `nth` of its kind."""

    side: str
    method: str
    path: str
    nth: int

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All that may become of it."""
        return tuple(Fault) if self.writes else READ_FAULTS

    def __str__(self) -> str:
        return f"{self.side} {self.method} {self.path} #{self.nth}"


@dataclass(frozen=True)
class Strike:
    """One fault at one call."""

    call: Call
    fault: Fault

    def __str__(self) -> str:
        return f"{self.fault} at {self.call}"


@dataclass
class Tap:
    """What the engine of one tenant asks of its API servers; recorded, and struck once."""

    sides: dict[int, str]
    """`host` or `tenant`, by what a client and its limited copies share."""
    normal: Callable[[str], str]
    """A path without the names of this run."""
    strike: Strike | None = None
    calls: list[Call] = field(default_factory=list)
    struck: bool = False
    dead: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _late: list[threading.Thread] = field(default_factory=list)

    def begin(self, strike: Strike | None) -> None:
        """A new operation."""
        self.settle()
        self.strike, self.struck, self.dead, self.calls = strike, False, False, []
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def settle(self) -> None:
        """Wait until what is late has arrived."""
        for thread in self._late:
            thread.join()
        self._late.clear()

    def passes(self, side: str, method: str, path: str, send: Callable[[], Any]) -> Any:
        """Send a request, or let happen to it what is to happen."""
        with self._lock:
            if self.dead:
                raise Killed
            key = (side, method, self.normal(path))
            call = Call(*key, self._counts[key])
            self._counts[key] += 1
            self.calls.append(call)
            hit = self.strike is not None and not self.struck and self.strike.call == call
            self.struck |= hit
        if not hit or self.strike is None:
            return send()
        return self._struck(self.strike.fault, send)

    def _struck(self, fault: Fault, send: Callable[[], Any]) -> Any:
        match fault:
            case Fault.BEFORE:
                raise ApiError("struck: no connection", reason="Unreachable")
            case Fault.LOST:
                send()
                raise ApiError("struck: the answer was lost", reason="Unreachable")
            case Fault.CONFLICT:
                raise ConflictError("struck: conflict")
            case Fault.TOO_MANY:
                raise ApiError("struck: too many requests", status=429, reason="TooManyRequests")
            case Fault.BROKEN:
                raise ApiError("struck: internal error", status=500, reason="InternalError")
            case Fault.LATE:
                thread = threading.Thread(target=_later, args=(send,))
                self._late.append(thread)
                thread.start()
                raise ApiError("struck: no answer in time", reason="Timeout")
            case Fault.KILLED:
                with suppress(KubeceptionError):
                    send()
                self.dead = True
                raise Killed


def _later(send: Callable[[], Any]) -> None:
    time.sleep(LATE_SECONDS)
    with suppress(KubeceptionError):
        send()


_taps: dict[int, Tap] = {}
_send = Cluster._open


def _open(self: Cluster, method: str, path: str, **rest: Any) -> Any:
    shared = id(self._api)
    tap = _taps.get(shared)
    if tap is None:
        return _send(self, method, path, **rest)
    return tap.passes(tap.sides[shared], method, path, lambda: _send(self, method, path, **rest))


@contextmanager
def tapped(tap: Tap) -> Iterator[Tap]:
    """Let the tap see what its clients send."""
    Cluster._open = _open  # type: ignore[method-assign]
    _taps.update(dict.fromkeys(tap.sides, tap))
    try:
        yield tap
    finally:
        for side in tap.sides:
            del _taps[side]
