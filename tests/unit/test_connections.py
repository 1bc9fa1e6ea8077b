"""The table of who reaches what: how it is measured and read, and what may never be written in it."""

from collections.abc import Mapping
from pathlib import Path

from tests.e2e.connections import (
    ITSELF,
    NO,
    YES,
    Address,
    Connections,
    differences,
    measured,
    read,
    table,
)

GOLDEN = Path(__file__).parents[1] / "e2e" / "connections.txt"
TARGETS = {"api": ("192.0.2.1", 6443), "etcd": ("192.0.2.2", 2379)}


def test_a_table_is_read_as_it_was_written() -> None:
    text = GOLDEN.read_text()
    assert table(read(text)) == text


def test_what_connected_once_connects_and_nobody_dials_itself() -> None:
    answers = [{"api"}, {"etcd"}]

    def pod(targets: Mapping[str, Address]) -> set[str]:
        return answers.pop(0) & targets.keys() if answers else set()

    def etcd(targets: Mapping[str, Address]) -> set[str]:
        assert "etcd" not in targets
        return set()

    found = measured({"pod": pod, "etcd": etcd}, TARGETS, frozenset({("etcd", "etcd")}), {})
    assert found == {
        ("api", "pod"): YES,
        ("etcd", "pod"): YES,
        ("api", "etcd"): NO,
        ("etcd", "etcd"): ITSELF,
    }


def test_nobody_is_dialled_again_when_all_is_as_wanted() -> None:
    rounds = []

    def pod(targets: Mapping[str, Address]) -> set[str]:
        rounds.append(targets)
        return {"api"}

    wanted: Connections = {("api", "pod"): YES, ("etcd", "pod"): NO}
    assert measured({"pod": pod}, TARGETS, frozenset(), wanted) == wanted
    assert len(rounds) == 1


def test_a_difference_is_told_by_its_cell() -> None:
    found: Connections = {("etcd", "pod"): YES, ("api", "pod"): YES}
    assert differences(found, {("etcd", "pod"): NO, ("api", "pod"): YES}) == [
        "pod to etcd: yes, not no"
    ]
    assert differences(found, {("etcd", "pod"): YES}) == ["pod to api: yes, not None"]


def test_of_its_host_a_tenant_is_approved_to_reach_dns_alone() -> None:
    """By its control plane; and whoever isn't of it, its API server and its tunnel alone."""
    approved = {cell for cell, word in read(GOLDEN.read_text()).items() if word == YES}
    inward = {(target, by) for target, by in approved if by != "stranger"}
    assert {cell for cell in inward if cell[0].startswith(("host-", "other-"))} == {
        ("host-dns", "control-plane")
    }
    assert {
        target for target, by in approved - inward if target.startswith(("own-", "other-"))
    } == {
        f"{whose}-{what}"
        for whose in ("own", "other")
        for what in ("api", "api-node-port", "tunnel")
    }
