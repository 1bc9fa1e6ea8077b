from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, Field

from kubeception.api.crd import DEFINITIONS, definitions, structural


def parts(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from parts(part, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from parts(schema[key], f"{path}[]")


def schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    for crd in definitions():
        (version,) = crd["spec"]["versions"]
        yield crd["spec"]["names"]["kind"], version["schema"]["openAPIV3Schema"]


@pytest.mark.parametrize(("kind", "schema"), list(schemas()))
def test_schema_is_structural(kind: str, schema: dict[str, Any]) -> None:
    """Every part has a type; what a structural schema forbids is nowhere."""
    for path, part in parts(schema, kind):
        assert isinstance(part.get("type"), str) != part.get("x-kubernetes-int-or-string"), path
        assert not {"$ref", "anyOf", "$defs", "title", "patternProperties", "const"} & part.keys()
        assert not {"properties", "additionalProperties"} <= part.keys(), path
        if "default" in part and part.get("type") == "object":
            assert part["default"] == {}, path


def test_printer_columns_point_at_what_is_there() -> None:
    for crd, definition in zip(definitions(), DEFINITIONS, strict=True):
        (version,) = crd["spec"]["versions"]
        known = {path for path, _ in parts(version["schema"]["openAPIV3Schema"])}
        columns = {column.path.partition("[")[0] for column in definition.columns}
        assert columns <= known
        for scale in definition.subresources.values():
            assert set(scale.values()) <= known


@pytest.mark.parametrize(("kind", "schema"), list(schemas()))
def test_no_property_lacks_a_description(kind: str, schema: dict[str, Any]) -> None:
    for path, part in parts(schema, kind):
        for name, described in part.get("properties", {}).items():
            standard = path == kind and name in ("apiVersion", "kind", "metadata")
            assert standard or described.get("description"), f"{path}.{name}"


def test_what_a_cluster_and_a_pool_stand_on_is_immutable() -> None:
    for kind, schema in schemas():
        fixed = {
            path
            for path, part in parts(schema)
            for rule in part.get("x-kubernetes-validations", ())
            if rule["rule"] == "self == oldSelf"
        }
        wanted = {
            "TenantCluster": {".spec.networking", ".spec.datastore"},
            "NodePool": {".spec.clusterRef", ".spec.provider"},
        }
        assert fixed == wanted[kind]


class Inner(BaseModel):
    """Inside."""

    n: int = Field(default=1, ge=1)


class Outer(BaseModel):
    """Outside."""

    inner: Inner = Inner()
    described: Inner = Field(default=Inner(), description="Said here.")
    maybe: str | None = None
    required: list[Inner]
    free: dict[str, int] = Field(default_factory=dict)


def test_structural_form_of_a_model() -> None:
    inner = {
        "type": "object",
        "description": "Inside.",
        "properties": {"n": {"type": "integer", "default": 1, "minimum": 1}},
    }
    assert structural(Outer) == {
        "type": "object",
        "description": "Outside.",
        "required": ["required"],
        "properties": {
            "inner": {**inner, "default": {}},
            "described": {**inner, "default": {}, "description": "Said here."},
            "maybe": {"type": "string"},
            "required": {"type": "array", "items": inner},
            "free": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
    }
