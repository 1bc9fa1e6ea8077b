from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st

from kubeception.engine.scale import PATIENCE, Scaling, Wish, Worker, scale
from kubeception.providers.base import Machine, Phase

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OLD, NEW = "old", "new"


def worker(
    name: str,
    *,
    joined: bool = True,
    ready: bool = True,
    age: int = 600,
    phase: Phase = Phase.RUNNING,
    template: str = NEW,
) -> Worker:
    machine = Machine(
        name=name,
        pool="p",
        phase=phase,
        created=NOW - timedelta(seconds=age),
        joined_instance="i" if joined else "",
        template=template,
    )
    return Worker(machine, ready=ready and joined)


def names(machines: tuple[Machine, ...]) -> list[str]:
    return [m.name for m in machines]


def decided(wish: Wish, *workers: Worker) -> tuple[int, list[str], list[str]]:
    plan = scale(wish, workers, NOW)
    return plan.add, names(plan.drain), names(plan.discard)


def test_an_empty_pool_gains_all() -> None:
    assert decided(Wish(3, NEW)) == (3, [], [])


def test_enough_is_enough() -> None:
    assert decided(Wish(2, NEW), worker("a"), worker("b")) == (0, [], [])


def test_first_go_those_that_are_no_nodes_then_the_unready_then_the_newest() -> None:
    pool = [
        worker("old", age=900),
        worker("unready", age=1000, ready=False),
        worker("starting", joined=False, age=2000),
        worker("new", age=10),
    ]
    assert set(names(scale(Wish(3, NEW), pool, NOW).drain)) == {"starting"}
    assert set(names(scale(Wish(2, NEW), pool, NOW).drain)) == {"starting", "unready"}
    assert set(names(scale(Wish(1, NEW), pool, NOW).drain)) == {"starting", "unready", "new"}


def test_a_machine_being_drained_is_not_taken_back() -> None:
    leaving = Worker(replace(worker("a").machine, draining_since=NOW), ready=True)
    assert decided(Wish(1, NEW), leaving) == (1, ["a"], [])


def test_without_a_surge_the_next_comes_when_the_last_is_gone() -> None:
    leaving = Worker(replace(worker("a").machine, draining_since=NOW), ready=True)
    wish = Wish(1, NEW, surge=0, unavailable=1)
    assert decided(wish, leaving) == (0, ["a"], [])
    assert decided(wish) == (1, [], [])


def test_an_ended_machine_is_replaced() -> None:
    assert decided(Wish(1, NEW), worker("a", phase=Phase.ENDED)) == (1, [], ["a"])


def test_a_machine_that_ends_young_is_not_remade_at_once() -> None:
    young = worker("a", phase=Phase.ENDED, age=5)
    assert decided(Wish(1, NEW), young) == (0, [], [])
    later = scale(Wish(1, NEW), [young], NOW + PATIENCE)
    assert (later.add, names(later.discard)) == (1, ["a"])


def test_a_pool_of_an_older_template_rolls_by_one_more() -> None:
    pool = [worker(name, template=OLD) for name in "abc"]
    wish = Wish(3, NEW)
    assert decided(wish, *pool) == (1, [], [])
    assert decided(wish, *pool, worker("d", joined=False)) == (0, [], [])
    assert decided(wish, *pool, worker("d")) == (0, ["a"], [])


def test_a_pool_rolls_by_one_less() -> None:
    pool = [worker(name, template=OLD) for name in "abc"]
    assert decided(Wish(3, NEW, surge=0, unavailable=1), *pool) == (0, ["a"], [])
    assert decided(Wish(3, NEW, surge=0, unavailable=1), *pool[1:]) == (1, [], [])


def test_machines_of_an_older_template_that_are_no_nodes_yet_go_at_once() -> None:
    pool = [worker(name, template=OLD, joined=False) for name in "abc"]
    assert decided(Wish(3, NEW), *pool) == (3, ["a", "b", "c"], [])


def test_an_unready_node_goes_before_a_ready_one() -> None:
    pool = [worker("a", template=OLD), worker("b", template=OLD, ready=False), worker("c")]
    assert decided(Wish(2, NEW), *pool) == (0, ["b"], [])


def test_a_pool_that_may_not_roll_now_keeps_what_it_has() -> None:
    pool = [worker(name, template=OLD) for name in "abc"]
    wish = Wish(3, NEW, roll=False)
    assert decided(wish, *pool) == (0, [], [])
    assert decided(wish, *pool, worker("d", joined=False)) == (0, [], [])
    assert decided(wish, *pool[:2]) == (1, [], [])
    assert decided(Wish(1, NEW, roll=False), *pool) == (0, ["c"], [])


def test_fewer_of_an_older_template() -> None:
    pool = [worker(name, template=OLD) for name in "abcde"]
    assert decided(Wish(2, NEW), *pool) == (0, ["a", "b", "c"], [])


def test_machines_that_fail_are_replaced_unless_too_many_do() -> None:
    well = [worker("a"), worker("b")]
    failing = [replace(worker(name, ready=False), failing=True) for name in "xyz"]
    assert decided(Wish(3, NEW), *well, failing[0]) == (1, [], ["x"])
    assert decided(Wish(4, NEW, unhealthy=1), *well, *failing[:2]) == (0, [], [])
    assert scale(Wish(4, NEW, unhealthy=1), [*well, *failing[:2]], NOW).held
    assert decided(Wish(4, NEW, unhealthy=2), *well, *failing[:2]) == (2, [], ["x", "y"])
    ended = worker("e", phase=Phase.ENDED)
    assert decided(Wish(4, NEW, unhealthy=1), *well, failing[0], ended) == (1, [], ["e"])


def test_a_machine_that_its_host_is_to_lose_is_drained_and_made_anew() -> None:
    evicted = Worker(replace(worker("a").machine, evicted=True), ready=True)
    assert decided(Wish(2, NEW), evicted, worker("b")) == (1, ["a"], [])


def test_a_ready_node_that_is_not_initialised_yet_does_not_serve() -> None:
    early = Worker(worker("b", joined=False).machine, ready=True)
    assert decided(Wish(1, NEW), worker("a", template=OLD), early) == (0, [], [])


machines = st.lists(
    st.builds(
        Worker,
        st.builds(
            Machine,
            name=st.text("abc", min_size=1, max_size=4),
            pool=st.just("p"),
            phase=st.sampled_from(Phase),
            created=st.integers(0, 10_000).map(lambda age: NOW - timedelta(seconds=age)),
            joined_instance=st.sampled_from(["", "i"]),
            draining_since=st.sampled_from([None, NOW]),
            template=st.sampled_from([OLD, NEW]),
        ),
        ready=st.booleans(),
        failing=st.booleans(),
    ).map(lambda w: replace(w, ready=w.ready and not w.failing)),
    max_size=8,
    unique_by=lambda w: w.machine.name,
)
strategies = st.tuples(st.integers(0, 3), st.integers(0, 3)).filter(any)
wishes = st.builds(
    lambda replicas, template, roll, limits: Wish(
        replicas, template, roll=roll, surge=limits[0], unavailable=limits[1]
    ),
    st.integers(0, 6),
    st.sampled_from([OLD, NEW]),
    st.booleans(),
    strategies,
)


def count(workers: Sequence[Worker], plan: Scaling) -> int:
    """Machines there are after a decision, with those that have to be emptied first."""
    gone, lost = set(names(plan.drain)), set(names(plan.discard))
    left = [w for w in workers if w.alive and w.machine.name not in lost]
    return plan.add + sum(w.machine.name not in gone or w.is_node for w in left)


def test_one_that_fails_and_has_not_gone_yet_counts_beside_those_that_leave() -> None:
    young = Machine("b", "p", Phase.PENDING, NOW, template=OLD)
    leave = [
        Worker(replace(young, name=name, joined_instance="i", draining_since=NOW)) for name in "ac"
    ]
    plan = scale(Wish(2, OLD, surge=1), [*leave, Worker(young, failing=True)], NOW)
    assert plan.add == 0


@given(wishes, machines)
def test_none_is_made_beyond_the_surge(wish: Wish, pool: list[Worker]) -> None:
    plan = scale(wish, pool, NOW)
    assert not plan.add or count(pool, plan) <= wish.replicas + wish.surge
    assert not set(names(plan.drain)) & set(names(plan.discard))
    lost = {w.machine.name for w in pool if w.machine.phase is Phase.ENDED or w.failing}
    assert set(names(plan.discard)) <= lost
    assert len(set(plan.drain)) == len(plan.drain)


@given(wishes, machines)
def test_no_decision_leaves_fewer_ready_nodes_than_must_be(wish: Wish, pool: list[Worker]) -> None:
    plan = scale(wish, pool, NOW)
    gone = set(names(plan.drain))
    good = [w for w in pool if w.alive and not w.leaving and w.ready and w.is_node]
    left = [w for w in good if w.machine.name not in gone]
    assert len(left) >= min(len(good), wish.replicas - wish.unavailable)


class Pool:
    """What becomes of a pool's machines by decisions and time, drawn by hypothesis."""

    def __init__(self, data: st.DataObject) -> None:
        self.data, self.workers, self.made = data, dict[str, Worker](), 0

    def decide(self, wish: Wish) -> bool:
        """One pass; whether nothing was left to do, nor is to be waited for."""
        there = sum(w.alive for w in self.workers.values())
        ready = self.ready
        plan = scale(wish, list(self.workers.values()), NOW)
        for machine in plan.discard:
            del self.workers[machine.name]
        for machine in plan.drain:
            known = self.workers[machine.name]
            if known.is_node:
                draining = replace(machine, draining_since=NOW)
                self.workers[machine.name] = replace(known, machine=draining)
            else:
                del self.workers[machine.name]
        for _ in range(plan.add):
            self.made += 1
            name = f"m{self.made}"
            self.workers[name] = worker(name, joined=False, template=wish.template)
        assert sum(w.alive for w in self.workers.values()) <= max(there, wish.replicas + wish.surge)
        assert self.ready >= min(ready, wish.replicas - wish.unavailable)
        still = not (plan.add or plan.drain or plan.discard)
        return still and all(w.ready for w in self.workers.values())

    @property
    def ready(self) -> int:
        return sum(w.ready and not w.leaving for w in self.workers.values())

    def live(self, *, trouble: bool) -> None:
        """Some machines become nodes, some that drain are empty; in times of trouble some fail or end."""
        fates = ["stay", "go on"] + (["fail", "end"] if trouble else [])
        for name, known in list(self.workers.items()):
            fate = self.data.draw(st.sampled_from(fates)) if trouble else "go on"
            if fate == "go on" and known.leaving:
                del self.workers[name]
            elif fate == "go on" and known.alive:
                self.workers[name] = Worker(replace(known.machine, joined_instance="i"), ready=True)
            elif fate == "fail":
                self.workers[name] = replace(known, ready=False)
            elif fate == "end":
                ended = known.machine.ended("it ended")
                self.workers[name] = Worker(ended)


def _wish(replicas: int, template: str, limits: tuple[int, int]) -> Wish:
    return Wish(replicas, template, surge=limits[0], unavailable=limits[1])


@given(
    st.data(),
    strategies,
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([OLD, NEW, "newer"])), max_size=5),
)
def test_it_always_comes_to_its_end_also_when_changed_on_the_way(
    data: st.DataObject, limits: tuple[int, int], changes: list[tuple[int, str]]
) -> None:
    pool = Pool(data)
    wish = _wish(3, OLD, limits)
    for replicas, template in changes:
        wish = _wish(replicas, template, limits)
        for _ in range(3):
            pool.decide(wish)
            pool.live(trouble=True)
    for _ in range(60):
        if pool.decide(wish):
            break
        pool.live(trouble=False)
    assert pool.decide(wish)
    assert [w.machine.template for w in pool.workers.values()] == [wish.template] * wish.replicas
