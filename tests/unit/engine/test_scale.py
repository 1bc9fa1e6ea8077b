from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st

from kubeception.engine.scale import PATIENCE, scale
from kubeception.providers.base import Machine, Phase

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def machine(
    name: str, *, joined: bool = True, age: int = 600, phase: Phase = Phase.RUNNING
) -> Machine:
    return Machine(
        name=name,
        pool="p",
        phase=phase,
        created=NOW - timedelta(seconds=age),
        joined_instance="i" if joined else "",
    )


def names(machines: tuple[Machine, ...]) -> list[str]:
    return [m.name for m in machines]


def test_an_empty_pool_gains_all() -> None:
    plan = scale(3, [], lambda _: True, NOW)
    assert (plan.add, plan.drain, plan.discard) == (3, (), ())


def test_enough_is_enough() -> None:
    plan = scale(2, [machine("a"), machine("b")], lambda _: True, NOW)
    assert (plan.add, plan.drain, plan.discard) == (0, (), ())


def test_first_go_those_that_are_no_nodes_then_the_unready_then_the_newest() -> None:
    pool = [
        machine("old", age=900),
        machine("unready", age=1000),
        machine("starting", joined=False, age=2000),
        machine("new", age=10),
    ]

    def ready(m: Machine) -> bool:
        return m.name != "unready"

    assert set(names(scale(3, pool, ready, NOW).drain)) == {"starting"}
    assert set(names(scale(2, pool, ready, NOW).drain)) == {"starting", "unready"}
    assert set(names(scale(1, pool, ready, NOW).drain)) == {"starting", "unready", "new"}


def test_a_machine_being_drained_is_not_taken_back() -> None:
    leaving = replace(machine("a"), draining_since=NOW)
    plan = scale(1, [leaving], lambda _: True, NOW)
    assert (plan.add, names(plan.drain)) == (1, ["a"])


def test_an_ended_machine_is_replaced() -> None:
    plan = scale(1, [machine("a", phase=Phase.ENDED)], lambda _: True, NOW)
    assert (plan.add, names(plan.discard)) == (1, ["a"])


def test_a_machine_that_ends_young_is_not_remade_at_once() -> None:
    young = machine("a", phase=Phase.ENDED, age=5)
    plan = scale(1, [young], lambda _: True, NOW)
    assert (plan.add, plan.discard) == (0, ())
    later = scale(1, [young], lambda _: True, NOW + PATIENCE)
    assert (later.add, names(later.discard)) == (1, ["a"])


machines = st.lists(
    st.builds(
        Machine,
        name=st.text("abc", min_size=1, max_size=4),
        pool=st.just("p"),
        phase=st.sampled_from(Phase),
        created=st.integers(0, 10_000).map(lambda age: NOW - timedelta(seconds=age)),
        joined_instance=st.sampled_from(["", "i"]),
        draining_since=st.sampled_from([None, NOW]),
    ),
    max_size=8,
    unique_by=lambda m: m.name,
)


@given(st.integers(0, 6), machines)
def test_what_stays_and_what_comes_is_never_more_than_asked_for(
    replicas: int, pool: list[Machine]
) -> None:
    plan = scale(replicas, pool, lambda _: True, NOW)
    good = [
        m
        for m in pool
        if m.phase in (Phase.PENDING, Phase.RUNNING)
        and not m.draining_since
        and m not in plan.drain
    ]
    assert len(good) + plan.add <= max(replicas, len(good))
    assert len(good) <= replicas
    assert not set(names(plan.drain)) & set(names(plan.discard))
    assert all(m.phase is Phase.ENDED for m in plan.discard)
