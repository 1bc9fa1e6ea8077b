"""Names fit, are DNS labels, and never meet."""

import re

import pytest
from hypothesis import given, strategies as st

from kubeception import names

CLUSTER_NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@given(uid=st.uuids().map(str), name=CLUSTER_NAMES)
def test_namespaces_are_dns_labels(uid: str, name: str) -> None:
    for namespace in (names.control_plane_namespace(uid, name), names.nodes_namespace(uid, name)):
        assert DNS_LABEL.fullmatch(namespace)


@pytest.mark.attack("A11")
@given(
    one=st.tuples(st.uuids().map(str), CLUSTER_NAMES),
    other=st.tuples(st.uuids().map(str), CLUSTER_NAMES),
)
def test_two_clusters_share_no_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    def all_names(uid: str, name: str) -> set[str]:
        return {
            names.cluster_id(uid, name),
            names.control_plane_namespace(uid, name),
            names.nodes_namespace(uid, name),
        }

    assert len(all_names(*one)) == 3
    assert (one == other) or not all_names(*one) & all_names(*other)


@given(name=st.text(alphabet="abc-.", min_size=1, max_size=300), limit=st.integers(24, 63))
def test_fit_keeps_to_its_limit(name: str, limit: int) -> None:
    assert len(names.fit("kc", name, limit=limit)) <= limit


@given(parts=st.lists(st.text(max_size=5), min_size=2, max_size=4))
def test_digest_knows_where_its_parts_end(parts: list[str]) -> None:
    joined = ["".join(parts[:2]), *parts[2:]]
    assert names.digest(*parts, length=32) != names.digest(*joined, length=32)
