"""A TLS socket on which an answer's time is that of the whole answer, however many octets it comes in."""

import ssl
import time
from typing import Any


class PromptSocket(ssl.SSLSocket):
    """Its timeout is for all that is sent or received until it is set anew, where others have it for each call.

    An HTTP client sets it before each request and before each answer, and reads on for as long as somebody
    sends an octet now and then.
    """

    _until: float | None = None

    def settimeout(self, value: float | None) -> None:
        self._until = None if value is None else time.monotonic() + value
        super().settimeout(value)

    def send(self, *args: Any, **kwargs: Any) -> int:
        self._hurry()
        return super().send(*args, **kwargs)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self._hurry()
        return super().recv_into(*args, **kwargs)

    def _hurry(self) -> None:
        """Allow the next call what is left."""
        if self._until is None:
            return
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        super().settimeout(left)
