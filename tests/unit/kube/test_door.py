import asyncio
import time

import pytest

from kubeception.kube import door
from kubeception.kube.door import Door


class Server:
    """Counts who knocks."""

    def __init__(self) -> None:
        self.silent, self.knocks = True, 0

    async def dial(self) -> int:
        self.knocks += 1
        await asyncio.sleep(0)
        if self.silent:
            raise ConnectionRefusedError
        return self.knocks


async def persist(way: Door, server: Server) -> int:
    """As a watch does: again and again."""
    while True:
        try:
            return await way.enter(server.dial)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)


def test_while_a_server_is_silent_one_knocks_for_all_and_then_all_come_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "KNOCK_SECONDS", 0.05)

    async def run() -> None:
        way, server = Door(), Server()
        crowd = [asyncio.create_task(persist(way, server)) for _ in range(100)]
        await asyncio.sleep(0.05)
        before, began = server.knocks, time.monotonic()
        await asyncio.sleep(0.5)
        assert server.knocks - before <= (time.monotonic() - began) / 0.05 + 1
        crowd.pop(0).cancel()  # whoever's turn it is
        server.silent = False
        await asyncio.wait_for(asyncio.gather(*crowd), 5)

    asyncio.run(run())


def test_a_server_that_answers_is_asked_at_once_by_all() -> None:
    async def run() -> None:
        way, server = Door(), Server()
        server.silent = False
        began = time.monotonic()
        await asyncio.gather(*(way.enter(server.dial) for _ in range(100)))
        assert time.monotonic() - began < door.KNOCK_SECONDS

    asyncio.run(run())


def test_what_is_no_silence_keeps_nobody_out() -> None:
    async def broken() -> None:
        raise ValueError("no credentials")

    async def run() -> None:
        way, server = Door(), Server()
        server.silent = False
        with pytest.raises(ValueError, match="no credentials"):
            await way.enter(broken)
        await asyncio.wait_for(way.enter(server.dial), door.KNOCK_SECONDS / 2)

    asyncio.run(run())
