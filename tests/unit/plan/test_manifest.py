"""What is made of somebody else's manifest."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from kubeception.plan.manifest import DEPTH_LIMIT, OBJECTS_LIMIT, Manifest, parse

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def read(**files: str) -> Manifest:
    return parse({"data": {name.replace("_", "."): text for name, text in files.items()}})


def test_all_documents_of_all_keys_are_read_in_order() -> None:
    found = read(
        b_yaml=HEAD.replace("a}", "z}"),
        a_yaml=f"{HEAD}---\n# nothing\n---\n{HEAD}".replace("a}", "x}", 1),
    )
    assert found.problems == ()
    assert [obj["metadata"]["name"] for obj in found.objects] == ["x", "a", "z"]
    assert found.kinds == [("v1", "ConfigMap")]


def test_the_items_of_a_list_are_objects() -> None:
    pod = "{apiVersion: v1, kind: Pod, metadata: {name: %s}}"
    found = read(a=f"apiVersion: v1\nkind: List\nitems: [{pod % 'x'}, {pod % 'y'}]")
    assert [obj["metadata"]["name"] for obj in found.objects] == ["x", "y"]


def test_what_is_an_api_servers_to_say_is_left_out() -> None:
    found = read(
        a="apiVersion: v1\nkind: Pod\nstatus: {phase: Running}\nspec: {x: null, y: [null, {z: null}]}\n"
        "metadata: {name: a, uid: u, creationTimestamp: null, resourceVersion: '1', labels: {k: v}}\n"
    )
    assert found.objects == (
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "spec": {"y": [None, {}]},
            "metadata": {"name": "a", "labels": {"k": "v"}},
        },
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2020-01-01", "2020-01-01"),
        ("1:30", "1:30"),
        ("0400", 256),
        ("0x10", 16),
        ("1_000", 1000),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        ("1.2.3", "1.2.3"),
        (".inf", ".inf"),
        ("yes", True),
        ("off", False),
        ("y", "y"),
        ("=", "="),
        ("'1'", "1"),
        ("10.0.0.0/8", "10.0.0.0/8"),
    ],
)
def test_scalars_are_what_kubectl_takes_them_for(text: str, value: Any) -> None:
    (obj,) = read(a=f"{HEAD}data: {{v: {text}, 5: x}}").objects
    assert obj["data"] == {"v": value, "5": "x"}
    assert type(obj["data"]["v"]) is type(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it holds no object"),
        ("- 1", "a, document 1: is not an object"),
        ("{{ .Values.x }}", "a: line 1: "),
        ("a: [", "a: line 2: "),
        ("a: !!python/object:os.system {}", "could not determine a constructor"),
        ("a: !!binary aGFsbG8=", "not JSON serializable"),
        (HEAD + "data: {v: !!float .nan}", "not JSON compliant"),
        ("a: &a [x]\nb: *a", "line 2: aliases (*) are not taken"),
        ("[" * 500_000, f"is nested more than {DEPTH_LIMIT} deep"),
        ("{a: " * 500_000, f"is nested more than {DEPTH_LIMIT} deep"),
        (f"{HEAD}---\n{HEAD}", "ConfigMap default/a: is there twice"),
        (f"{HEAD}---\n{HEAD}".replace("a}", "a, namespace: default}", 1), "is there twice"),
        ("apiVersion: v1\nkind: List\nitems: 7", "is not an object"),
        ("metadata: 1", "metadata: is not a mapping"),
        ("x: '\x00'", "control characters"),
    ],
)
def test_what_is_no_object_is_said(text: str, said: str) -> None:
    found = read(a=text)
    assert len(found.problems) == 1
    assert said in found.problems[0]
    assert len(found.problems[0]) < 400


def test_all_problems_are_said_at_once() -> None:
    found = read(
        a="kind: ../secrets\nmetadata: {name: a/b, namespace: 7, labels: {x: 1}, annotations: []}\n---\nx: 1",
        b="[",
    )
    assert found.problems[:6] == (
        "a, document 1: apiVersion: is missing",
        "a, document 1: kind: '../secrets' can't be one",
        "a, document 1: metadata.name: 'a/b' can't be one",
        "a, document 1: metadata.namespace: '7' can't be one",
        "a, document 1: metadata.labels.x: is not a text",
        "a, document 1: metadata.annotations: is not a mapping",
    )
    assert [p.partition(":")[0] for p in found.problems[6:]] == ["a, document 2"] * 3 + ["b"]


def test_there_may_be_so_many_objects_and_no_more() -> None:
    many = [HEAD.replace("a}", f"a{n}}}") for n in range(OBJECTS_LIMIT + 1)]
    assert read(a="---\n".join(many[:-1])).problems == ()
    assert "at most 256" in read(a="---\n".join(many)).problems[0]


@pytest.mark.attack("A21")
@given(st.text(alphabet="-*&!{}[]:,abk \n'\"|>%@`#?", max_size=60))
def test_whatever_is_written_there_is_read_or_said(text: str) -> None:
    found = read(a=text)
    assert found.problems or found.objects
