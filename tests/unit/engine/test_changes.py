import signal
import threading
import time

import pytest

from kubeception.engine.changes import Changes


def test_a_signal_that_ends_no_sleep_is_seen_soon() -> None:
    """One that another thread takes: the kernel leaves the main thread's sleep alone."""
    began = time.monotonic()
    threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        Changes().wait(20)
    assert time.monotonic() - began < 5


def test_a_wait_ends_with_a_change_or_in_time() -> None:
    changes = Changes()
    changes.wait(0)
    began = time.monotonic()
    changes.wait(0.6)
    assert 0.6 <= time.monotonic() - began < 5
    threading.Timer(0.1, changes.wake).start()
    changes.wait(20)
    assert time.monotonic() - began < 5
    changes.wake()
    changes.wait(20)
    assert time.monotonic() - began < 5
