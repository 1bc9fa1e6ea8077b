"""A sample of `make fault`, drawn anew every day, and proof that it would find what it looks for."""

import random

import pytest

from kubeception.engine.machines import Machines
from tests.fault.abreast import live_all
from tests.fault.runs import OPERATIONS, Reference, Strikes, live
from tests.fault.tap import Fault, Strike
from tests.integration.servers import ApiServer

LIVES = 5
"""Each with a fault in every operation: 35 faults."""

Servers = tuple[ApiServer, ApiServer]


def test_a_fault_changes_nothing_of_the_outcome(
    fault_servers: Servers, reference: Reference
) -> None:
    host, tenant = fault_servers
    lives: list[Strikes] = []
    for number in range(LIVES):
        drawn = random.Random(f"lives {number}")
        lives.append({n: drawn.choice(reference.strikes(n, reads=True)) for n in OPERATIONS})
    lived = live_all(host, [tenant], reference, lives, processes=1)
    assert [life.wrong for life in lived if life.wrong] == []
    # Of a delete only, what is awaited may come sooner, and the request is not made.
    assert sum(len(life.struck) for life in lived) >= LIVES * (len(OPERATIONS) - 1)


def strikes_at(reference: Reference, path: str, fault: Fault) -> Strikes:
    """The fault at the first creation of something like this."""
    found = [
        c for c in reference.calls["create"] if c.method in ("POST", "PATCH") and path in c.path
    ]
    assert found, path
    return {"create": Strike(found[0], fault)}


def test_what_a_killed_run_leaves_behind_would_be_found(
    fault_servers: Servers, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machines, "_remove_leftovers", lambda _: None)
    strikes = strikes_at(reference, "/api/v1/namespaces/MACHINES/secrets", Fault.KILLED)
    assert "left over" in live(*fault_servers, reference, strikes).wrong
