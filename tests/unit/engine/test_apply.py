import base64
from typing import Any

import pytest
from hypothesis import given, strategies as st

from kubeception import names
from kubeception.engine.apply import _check_owner, contains, prepare, unchanged
from kubeception.errors import ConflictError

LABELS = {names.CLUSTER_LABEL: "id", names.COMPONENT_LABEL: "c"}


def config_map(**data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "n"},
        "data": data,
    }


def as_served(prepared: dict[str, Any]) -> dict[str, Any]:
    """The object with what an API server adds."""
    meta = {**prepared["metadata"], "uid": "u", "resourceVersion": "7", "managedFields": []}
    return {**prepared, "metadata": meta}


def test_what_was_applied_and_still_stands_is_unchanged() -> None:
    wanted = prepare(config_map(a="1"), LABELS)
    assert unchanged(wanted, as_served(wanted))


@pytest.mark.parametrize(
    "live",
    [
        None,
        as_served(prepare(config_map(a="2"), LABELS)),
        {**as_served(prepare(config_map(a="1"), LABELS)), "data": {"a": "edited"}},
        {**as_served(prepare(config_map(a="1"), LABELS)), "data": {}},
        as_served(prepare(config_map(a="1"), {**LABELS, names.CLUSTER_LABEL: "other"})),
    ],
    ids=["absent", "applied otherwise", "edited", "emptied", "labelled otherwise"],
)
def test_what_differs_is_written(live: dict[str, Any] | None) -> None:
    assert not unchanged(prepare(config_map(a="1"), LABELS), live)


def test_what_is_being_deleted_is_written_again() -> None:
    wanted = prepare(config_map(a="1"), LABELS)
    live = as_served(wanted)
    live["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not unchanged(wanted, live)


def test_no_longer_saying_a_field_is_a_change_although_the_field_still_stands() -> None:
    live = as_served(prepare(config_map(a="1", b="2"), LABELS))
    assert not unchanged(prepare(config_map(a="1"), LABELS), live)


def test_texts_of_a_secret_are_sent_as_data() -> None:
    secret = {
        "kind": "Secret",
        "metadata": {"name": "s"},
        "stringData": {"k": "v"},
        "data": {"x": "eA=="},
    }
    prepared = prepare(secret, {})
    assert "stringData" not in prepared
    assert prepared["data"] == {"x": "eA==", "k": base64.b64encode(b"v").decode()}


def test_preparing_leaves_the_manifest_alone() -> None:
    manifest = config_map(a="1")
    prepare(manifest, LABELS)
    assert manifest == config_map(a="1")


@pytest.mark.parametrize(
    ("live", "wanted", "expected"),
    [
        ({"a": 1, "defaulted": 2}, {"a": 1}, True),
        ({"a": [{"x": 1, "defaulted": 2}]}, {"a": [{"x": 1}]}, True),
        ({"a": [{"x": 1}, {"x": 2}]}, {"a": [{"x": 1}]}, False),
        ({"a": [2, 1]}, {"a": [1, 2]}, False),
        ({}, {"a": {}}, True),
        ({}, {"a": []}, True),
        ({}, {"a": None}, True),
        ({}, {"a": False}, True),
        ({}, {"a": "x"}, False),
        ({"a": "1"}, {"a": 1}, False),
        ({"a": "abc"}, {"a": ["a", "b", "c"]}, False),
        ({"podSelector": {}}, {"podSelector": {}}, True),
        ({"podSelector": {"matchLabels": {"x": "y"}}}, {"podSelector": {}}, False),
        ({}, {"podSelector": {}}, True),
    ],
)
def test_contains(live: Any, wanted: Any, expected: bool) -> None:
    assert contains(live, wanted) is expected


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values)
def test_everything_contains_itself(value: Any) -> None:
    assert contains(value, value)


@given(st.dictionaries(st.text(max_size=3), values, max_size=4), st.text(min_size=4, max_size=5))
def test_more_than_asked_for_contains_what_was_asked_for(value: dict[str, Any], extra: str) -> None:
    assert contains({**value, extra: 1}, value)
    assert not contains(value, {**value, extra: 1})


def test_somebody_elses_object_is_refused() -> None:
    theirs = {**config_map(), "metadata": {"name": "a", "namespace": "n", "labels": {"app": "x"}}}
    with pytest.raises(ConflictError, match="ConfigMap n/a"):
        _check_owner(config_map(), theirs, {names.CLUSTER_LABEL: "id"})
    ours = as_served(prepare(config_map(), LABELS))
    _check_owner(config_map(), ours, {names.CLUSTER_LABEL: "id"})
    with pytest.raises(ConflictError):
        _check_owner(config_map(), ours, {names.CLUSTER_LABEL: "of another tenant"})


def test_an_object_that_lost_our_labels_is_still_ours() -> None:
    ours = as_served(prepare(config_map(), LABELS))
    del ours["metadata"]["labels"]
    _check_owner(config_map(), ours, {names.CLUSTER_LABEL: "id"})
