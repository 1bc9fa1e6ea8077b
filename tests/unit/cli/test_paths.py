from typing import Any

import pytest

from kubeception.cli.paths import descend, steps
from kubeception.errors import UsageError


@pytest.mark.parametrize(
    ("inside", "arguments", "path", "left"),
    [
        ("", {"name": "a"}, (), {"name": "a"}),
        ("", {"name": None}, (), {"name": None}),
        ("", {"name": "a/b/c"}, ("a", "b"), {"name": "c"}),
        ("a", {"name": "b/c"}, ("a", "b"), {"name": "c"}),
        ("a/b", {"name": None, "wait": 3}, ("a", "b"), {"name": None, "wait": 3}),
        ("", {"names": ("a/b", "a/c")}, ("a",), {"names": ("b", "c")}),
        ("a", {"names": ()}, ("a",), {"names": ()}),
        ("", {"node": "a/b-workers-1"}, ("a",), {"node": "b-workers-1"}),
        ("", {"file": "a/b"}, (), {"file": "a/b"}),
    ],
)
def test_a_path_before_a_name_leads_to_its_host(
    inside: str, arguments: dict[str, Any], path: tuple[str, ...], left: dict[str, Any]
) -> None:
    assert descend(inside, arguments) == path
    assert arguments == left


@pytest.mark.parametrize("path", ["/", "/a", "a/", "a//b"])
def test_a_path_with_an_empty_name_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="is no path of clusters"):
        steps(path)


def test_names_of_several_hosts_are_refused() -> None:
    with pytest.raises(UsageError, match="tenants of several clusters: the host, a, a/b"):
        descend("", {"names": ("a/b/c", "a/b", "c")})
