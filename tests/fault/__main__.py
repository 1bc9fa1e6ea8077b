"""`make fault`: every fault at every request that creating, scaling, changing and deleting a tenant takes.

Prints how many there were and which went wrong; ends with 1 if any did.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fault.abreast import live_all
from tests.fault.runs import Strikes, learn, servers

ENOUGH = 0.95
"""Of the faults that are planned: where fewer are met, the lives aren't what was learned."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reads", action="store_true", help="faults of reads too")
    parser.add_argument("--sample", type=int, default=0, help="only so many lives, drawn at random")
    parser.add_argument("--only", default="", help="only faults in whose name this is")
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
            lives = [kept for life in lives if (kept := _of(life, chosen.only))]
            if chosen.sample:
                lives = random.Random(chosen.seed).sample(lives, min(chosen.sample, len(lives)))
            calls = {name: len(found) for name, found in reference.calls.items()}
            print("requests:", ", ".join(f"{name} {count}" for name, count in calls.items()))
            lived = live_all(host, tenants, reference, lives, chosen.processes)
    planned = sum(map(len, lives))
    struck = Counter(fault for life in lived for fault in life.struck)
    wrong = sum(bool(life.wrong) for life in lived)
    print("faults:", ", ".join(f"{name} {count}" for name, count in sorted(struck.items())))
    minutes = (time.monotonic() - began) / 60
    print(
        f"{struck.total()} runs in {len(lives)} lives, {wrong} wrong, {minutes:.1f} min; "
        f"{planned - struck.total()} faults met no such request"
    )
    return bool(wrong) or struck.total() < ENOUGH * planned


def _of(life: Strikes, text: str) -> Strikes:
    """The strikes of a life with this in their names."""
    return {name: strike for name, strike in life.items() if text in str(strike)}


if __name__ == "__main__":
    sys.exit(main())
