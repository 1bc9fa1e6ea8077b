import time

import pytest

from kubeception.kube.pace import Pace


def test_so_much_at_once_and_then_so_much_a_second() -> None:
    pace = Pace(rate=100, burst=10)
    pace.spend(10)
    assert pace.delay == 0
    pace.spend(5)
    assert pace.delay == pytest.approx(0.05, abs=0.02)
    time.sleep(0.06)
    assert pace.delay == 0


def test_a_pause_saves_no_more_than_the_burst() -> None:
    pace = Pace(rate=1000, burst=10)
    time.sleep(0.05)
    pace.spend(60)
    assert pace.delay == pytest.approx(0.05, abs=0.01)
