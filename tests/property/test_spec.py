import json
import re
from collections.abc import Callable
from typing import Any

from hypothesis import given, strategies as st

from kubeception.api.v1alpha1 import parse_cluster, parse_pool
from kubeception.errors import SpecError

keys = st.sampled_from(
    ["version", "networking", "podCIDR", "datastore", "size", "exposure", "extraSANs", "x", "\0"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "version": st.from_regex(r"v1\.3[0-9]\.[0-9]", fullmatch=True),
        "datastore": st.fixed_dictionaries(
            {},
            optional={
                "storage": st.sampled_from(["Auto", "Persistent", "Ephemeral"]),
                "size": st.sampled_from(["1Gi", "512Mi", "2G"]),
            },
        ),
        "networking": st.fixed_dictionaries(
            {}, optional={"dnsDomain": st.sampled_from(["a", "cluster.local", "b.c.d"])}
        ),
        "exposure": st.fixed_dictionaries(
            {}, optional={"type": st.sampled_from(["NodePort", "ClusterIP", "LoadBalancer"])}
        ),
        "paused": st.booleans(),
    },
)


def problems(parse: Callable[[Any], object], document: Any) -> tuple[str, ...] | None:
    """What is wrong with a document; None when nothing is."""
    try:
        parse(document)
    except SpecError as error:
        assert error.problems  # noqa: PT017
        return error.problems
    return None


@given(specs)
def test_what_is_written_is_what_was_read(spec: dict[str, Any]) -> None:
    cluster = parse_cluster({"metadata": {"name": "demo"}, "spec": spec})
    again = parse_cluster(json.loads(json.dumps(cluster.manifest())))
    assert again == cluster
    assert again.manifest()["spec"] == spec


@given(anything)
def test_any_spec_is_taken_or_refused_with_a_path(spec: Any) -> None:
    for parse in (parse_cluster, parse_pool):
        refused = problems(parse, {"metadata": {"name": "demo"}, "spec": spec})
        assert refused is None or all(problem.partition(": ")[0] for problem in refused)


@given(st.text(max_size=70))
def test_any_name_is_taken_or_refused(name: str) -> None:
    refused = problems(parse_cluster, {"metadata": {"name": name}, "spec": {}})
    good = re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", name)
    assert (refused is None) == bool(good)
    assert all(problem.startswith("metadata.name: ") for problem in refused or ())
