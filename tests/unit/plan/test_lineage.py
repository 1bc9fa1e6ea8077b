import json

import pytest

from kubeception.plan.facts import HostFacts, Level
from kubeception.plan.lineage import DEEPEST, KEY, document, levels, parse

OUTER = HostFacts(
    pod_cidrs=("10.244.0.0/16",),
    service_cidrs=("10.96.0.0/12",),
    node_addresses=("10.200.0.2", "10.200.0.3", "10.200.7.9", "fd00::2", "node.example"),
)


def written(text: str) -> dict[str, object]:
    return {"data": {KEY: text}}


def test_what_is_written_is_what_is_read_one_level_down() -> None:
    above = parse(written(document(OUTER)))
    assert above == levels(OUTER)
    inner = HostFacts(pod_cidrs=("10.1.0.0/16",), service_cidrs=("10.2.0.0/20",), above=above)
    assert parse(written(document(inner))) == (
        *above,
        Level(("10.1.0.0/16",), ("10.2.0.0/20",), ()),
    )


def test_nodes_are_told_by_their_networks_so_that_another_one_is_no_news() -> None:
    (level,) = levels(OUTER)
    assert level.nodes == ("10.200.0.0/24", "10.200.7.0/24", "fd00::/64")
    more = HostFacts(
        OUTER.version,
        OUTER.pod_cidrs,
        OUTER.service_cidrs,
        ("10.200.0.77", "10.200.7.9", "fd00::9"),
    )
    assert document(more) == document(OUTER)


def test_a_cluster_that_is_nobodys_tenant_has_nothing_above_it() -> None:
    assert parse(None) == ()


@pytest.mark.attack("A22")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        '{"a": 1}',
        '[{"pods": 7}]',
        '[{"pods": ["all of it"]}]',
        "[" * 100_000,
        '"x"',
    ],
)
def test_what_a_tenants_administrator_made_unreadable_says_nothing(text: str) -> None:
    assert parse(written(text)) == ()


@pytest.mark.attack("A22")
def test_only_so_much_is_read() -> None:
    assert len(parse(written(json.dumps([{}] * 10_000)))) == DEEPEST
