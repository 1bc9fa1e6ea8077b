import threading
import time

import pytest

from kubeception.errors import ApiError, NotFoundError
from kubeception.kube.patience import MOST, Patience


def test_what_a_call_returns_or_raises() -> None:
    patience = Patience(5, "it")
    assert patience(lambda: 7) == 7

    def fails() -> None:
        raise NotFoundError("no such thing")

    with pytest.raises(NotFoundError, match="no such thing"):
        patience(fails)


def test_nobody_waits_longer_and_no_more_than_some_are_begun() -> None:
    patience, end = Patience(0.05, "infra"), threading.Event()
    began = time.monotonic()
    for _ in range(MOST):
        with pytest.raises(ApiError, match="infra: no answer within") as caught:
            patience(lambda: end.wait(20))
        assert caught.value.status == 0
    assert time.monotonic() - began < 5
    with pytest.raises(ApiError, match="too many requests"):
        patience(lambda: 7)
    end.set()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            assert patience(lambda: 7) == 7
        except ApiError:
            time.sleep(0.01)
        else:
            return
    pytest.fail("what ended makes no room")
