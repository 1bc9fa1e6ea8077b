"""Many lives side by side, in processes of their own."""

import queue
import threading
import time
from multiprocessing import get_context
from typing import Any

from tests.fault.runs import Life, Reference, Strikes, live
from tests.integration.servers import ApiServer


def live_all(
    host: ApiServer,
    tenants: list[ApiServer],
    reference: Reference,
    lives: list[Strikes],
    processes: int,
) -> list[Life]:
    """Live all of them, several at a time; tells of each that went wrong at once."""
    context = get_context("spawn")
    todo, done = context.Queue(), context.Queue()
    for strikes in lives:
        todo.put(strikes)
    workers = [
        context.Process(target=_work, args=(host, tenants[n::processes], reference, todo, done))
        for n in range(processes)
    ]
    for worker in workers:
        worker.start()
    lived: list[Life] = []
    began = time.monotonic()
    for number in range(1, len(lives) + 1):
        lived.append(done.get())
        if lived[-1].wrong:
            print("WRONG", lived[-1].wrong, flush=True)
        if number % 50 == 0:
            print(f"{number}/{len(lives)} after {time.monotonic() - began:.0f} s", flush=True)
    for worker in workers:
        worker.join()
    return lived


def _work(
    host: ApiServer, tenants: list[ApiServer], reference: Reference, todo: Any, done: Any
) -> None:
    """One thread for each of the tenants' API servers."""

    def run(tenant: ApiServer) -> None:
        while True:
            try:
                strikes = todo.get(timeout=1)
            except queue.Empty:
                return
            try:
                done.put(live(host, tenant, reference, strikes))
            except Exception as error:  # noqa: BLE001  # one broken life isn't the end of all
                done.put(Life(f"{', '.join(map(str, strikes.values()))}: {error!r}"))

    threads = [threading.Thread(target=run, args=(tenant,)) for tenant in tenants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
