from collections import defaultdict
from typing import Any

from kubeception import names
from kubeception.components.base import Side
from kubeception.engine import observe
from tests.plans import CASES, applied, case

READ_ONLY = {"PersistentVolumeClaim", "Pod"}
"""Made by the host's controllers."""
OPERATORS = {"RoleBinding"}
"""Made where an operator is installed."""


def test_a_pass_reads_every_kind_that_components_write_and_no_other() -> None:
    written: dict[str, set[str]] = defaultdict(set)
    for name in CASES:
        ctx = case(name)
        nodes = names.nodes_namespace(ctx.cluster.metadata.uid, ctx.cluster.name)
        places = {ctx.namespace: "control plane", nodes: "nodes", "": "host"}
        for component, objects in applied(ctx):
            for obj in objects:
                space = obj["metadata"].get("namespace", "")
                place = "tenant" if component.side is Side.TENANT else places[space]
                written[place].add(obj["kind"])
    assert written.pop("host") == {"Namespace"}
    assert written.pop("tenant") == set(observe.TENANT_KINDS)
    assert written.pop("control plane") | READ_ONLY | OPERATORS == set(observe.CONTROL_PLANE_KINDS)
    assert written.pop("nodes") | OPERATORS == set(observe.NODES_KINDS) - {"ConfigMap", "Secret"}
    assert not written


def test_ranges_of_other_tenants_are_known_one_by_one() -> None:
    annotations = {
        names.POD_CIDR_ANNOTATION: "10.1.0.0/16,fd01::/56",
        names.SERVICE_CIDR_ANNOTATION: "10.2.0.0/20",
    }
    found = observe._tenant_cidrs([{"metadata": {"annotations": annotations}}, {"metadata": {}}])
    assert list(found) == ["10.1.0.0/16", "fd01::/56", "10.2.0.0/20"]


def space(uid: str, **annotations: str) -> dict[str, Any]:
    marks = {names.OWNER_UID_ANNOTATION: uid, names.POD_CIDR_ANNOTATION: "10.1.0.0/16"}
    return {"metadata": {"annotations": {**marks, **annotations}}}


def test_tenants_count_by_their_control_planes_namespace_with_what_is_in_them() -> None:
    machines = {"metadata": {"annotations": {names.OWNER_UID_ANNOTATION: "a"}}}
    retained = space("gone", **{names.RETAINED_ANNOTATION: "2026-01-02T03:04:05Z"})
    objects: list[dict[str, Any]] = [
        {"metadata": {"uid": "a"}, "status": {"clusters": 3}},
        {"metadata": {"uid": "not-made-yet"}},
    ]
    found = observe._tenants([space("a"), machines, space("b"), retained], objects)
    assert found == {"a": 3, "b": 0}
