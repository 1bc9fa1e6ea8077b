import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from kubeception.operator import lanes
from kubeception.operator.lanes import Lanes


def test_no_more_passes_run_at_once_than_there_are_places() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def work() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1

    async def all_of_them() -> None:
        pool = Lanes(3)
        await asyncio.gather(*(pool.run(work) for _ in range(12)))
        assert (pool.running, pool.waiting) == (0, 0)

    asyncio.run(all_of_them())
    assert most[0] == 3


def test_a_pass_that_hangs_gives_its_place_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "PROMPT_SECONDS", 0.05)
    free = threading.Event()

    async def run() -> int:
        pool = Lanes(1)
        hanging = asyncio.create_task(pool.run(partial(free.wait, 10)))
        await asyncio.sleep(0.01)
        result = await asyncio.wait_for(pool.run(lambda: 7), 5)
        assert not hanging.done()
        assert pool.running == 1
        free.set()
        assert await hanging
        return result

    assert asyncio.run(run()) == 7


def test_when_all_are_slow_no_more_run_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "PROMPT_SECONDS", 0.01)
    free = threading.Event()

    async def run() -> int:
        pool = Lanes(2)
        all_of_them = [asyncio.create_task(pool.run(partial(free.wait, 10))) for _ in range(20)]
        await asyncio.sleep(0.3)
        most = pool.running
        free.set()
        await asyncio.gather(*all_of_them)
        assert (pool.running, pool.waiting) == (0, 0)
        return most

    assert asyncio.run(run()) == 2 + 2 * lanes.BESIDE


def test_a_slow_tenant_waits_with_its_like_and_not_with_the_others() -> None:
    free = threading.Event()

    async def run() -> None:
        pool = Lanes(2)  # and so one place for the slow
        slow = [asyncio.create_task(pool.run(partial(free.wait, 10), slow=True)) for _ in range(5)]
        await asyncio.sleep(0.01)
        began = time.monotonic()
        await asyncio.wait_for(asyncio.gather(*(pool.run(int) for _ in range(10))), 5)
        assert time.monotonic() - began < 2
        assert pool.running == 1
        free.set()
        await asyncio.gather(*slow)

    asyncio.run(run())


def test_passes_that_hold_much_run_one_at_a_time_and_nobody_else_waits_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "PROMPT_SECONDS", 0.01)
    free = threading.Event()

    async def run() -> None:
        pool = Lanes(1)
        heavy = [asyncio.create_task(pool.run(partial(free.wait, 10), heavy=True)) for _ in "abc"]
        await asyncio.sleep(0.1)
        assert (pool.running, pool.waiting) == (1, 2)
        await asyncio.wait_for(pool.run(int), 5)
        await asyncio.wait_for(pool.run(int, slow=True), 5)
        free.set()
        await asyncio.gather(*heavy)
        assert (pool.running, pool.waiting) == (0, 0)

    asyncio.run(run())


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()], ids=["error", "exit"])
def test_what_a_pass_raises_is_raised(error: BaseException) -> None:
    def fail() -> None:
        raise error

    async def run(work: Callable[[], None]) -> None:
        pool = Lanes(1)
        with pytest.raises(type(error)):
            await pool.run(work)
        assert pool.running == 0
        await pool.run(int)  # the place is free again

    asyncio.run(run(fail))
