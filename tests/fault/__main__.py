"""`make fault`: every fault at every request that creating, scaling, changing and deleting a tenant takes.

Prints how many there were and which went wrong; ends with 1 if any did.
"""

import argparse
import os
import queue
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.fault.runs import Reference, Strikes, learn, live, servers
from tests.integration.servers import ApiServer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reads", action="store_true", help="faults of reads too")
    parser.add_argument("--sample", type=int, default=0, help="only so many lives, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--threads", type=int, default=2, help="of each process: deleting is waiting"
    )
    chosen = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kubeception-fault-") as folder:
        slots = chosen.processes * chosen.threads
        with servers(Path(folder), slots) as (host, tenants):
            reference = learn(host, tenants[0])
            lives = reference.lives(reads=chosen.reads)
            if chosen.sample:
                lives = random.Random(chosen.seed).sample(lives, min(chosen.sample, len(lives)))
            calls = {name: len(found) for name, found in reference.calls.items()}
            print("requests:", ", ".join(f"{name} {count}" for name, count in calls.items()))
            wrong = _all(host, tenants, reference, lives, chosen.processes)
    faults = Counter(str(strike.fault) for strikes in lives for strike in strikes.values())
    print("faults:", ", ".join(f"{name} {count}" for name, count in sorted(faults.items())))
    minutes = (time.monotonic() - began) / 60
    print(f"{faults.total()} runs in {len(lives)} lives, {len(wrong)} wrong, {minutes:.1f} min")
    return bool(wrong)


def _all(
    host: ApiServer,
    tenants: list[ApiServer],
    reference: Reference,
    lives: list[Strikes],
    processes: int,
) -> list[str]:
    """Live all of them, several at a time; what went wrong."""
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
    wrong: list[str] = []
    began = time.monotonic()
    for number in range(1, len(lives) + 1):
        for said in done.get():
            wrong.append(said)
            print("WRONG", said, flush=True)
        if number % 50 == 0:
            print(f"{number}/{len(lives)} after {time.monotonic() - began:.0f} s", flush=True)
    for worker in workers:
        worker.join()
    return wrong


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
                done.put([f"{', '.join(map(str, strikes.values()))}: {error!r}"])

    threads = [threading.Thread(target=run, args=(tenant,)) for tenant in tenants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
