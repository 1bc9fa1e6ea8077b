import time

import pytest

from kubeception.engine.limit import Limit
from kubeception.errors import StoppedError


def test_a_pass_has_the_time_that_is_left() -> None:
    limit = Limit(seconds=10)
    assert 9 < limit("GET") <= 10
    assert limit.requests == {"GET": 1}


def test_a_pass_ends_with_its_time() -> None:
    limit = Limit(seconds=0.01)
    time.sleep(0.02)
    limit("GET")  # waiting for its turn was not its time
    time.sleep(0.02)
    assert limit.seconds >= 0.02
    with pytest.raises(StoppedError, match="longer than") as raised:
        limit("GET")
    assert raised.value.reason == "Deadline"


def test_who_may_not_write_may_still_look() -> None:
    limit = Limit(lambda: False)
    limit("GET")
    for method in ("PATCH", "POST", "PUT", "DELETE"):
        with pytest.raises(StoppedError) as raised:
            limit(method)
        assert raised.value.reason == "LeaseLost"


def test_a_pass_ends_where_its_tenant_answers_more_than_it_has_room_for() -> None:
    limit = Limit(octets=2 << 20)
    limit.answered(1 << 20)
    limit.answered(1 << 20)
    with pytest.raises(StoppedError, match="more than 2 MiB") as raised:
        limit.answered(1)
    assert raised.value.reason == "Heavy"
    assert limit.octets == (2 << 20) + 1
    Limit().answered(1 << 40)
