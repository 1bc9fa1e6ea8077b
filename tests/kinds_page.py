"""The reference of the kinds, made from their definitions."""

import json
from collections.abc import Iterator
from typing import Any, Final

from kubeception import names
from kubeception.api.crd import DEFINITIONS, definitions

Schema = dict[str, Any]

HEAD: Final = f"""# TenantCluster and NodePool

Made from the models, by `make reference`; `kubectl explain tenantcluster.spec` says the same.
Both are of `{names.API_VERSION}` and the category `kubeception`: `kubectl get kubeception` shows them.
[Troubleshooting](../troubleshooting.md) lists every reason of a condition, and who must act.

## Annotations of a TenantCluster

| annotation | it says |
|---|---|
| `{names.PAUSED_ANNOTATION}: "true"` | Nothing is changed or removed, as with `spec.paused`. |
| `{names.PROTECTED_ANNOTATION}: "true"` | It can't be deleted until this is taken away. |
"""
LIMITS: Final = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} keys",
    "pattern": "`{}`",
}


def kinds() -> Iterator[str]:
    """The page, line by line."""
    yield HEAD
    for definition, crd in zip(DEFINITIONS, definitions(), strict=True):
        (version,) = crd["spec"]["versions"]
        schema = version["schema"]["openAPIV3Schema"]
        yield f"## {definition.kind}\n"
        yield f"{schema['description']} Short name `{definition.short_name}`.\n"
        for part in ("spec", "status"):
            yield f"### {part} of a {definition.kind}\n"
            yield "| field | type | default | |\n|---|---|---|---|"
            yield from rows(schema["properties"][part], part)
            yield ""
        yield f"### What a {definition.kind} may not be\n"
        yield "| where | the API server says |\n|---|---|"
        for path, rules in definition.rules.items():
            for rule in rules:
                yield f"| `{'.'.join(filter(None, ('spec', path)))}` | {cell(rule['message'])} |"
        yield f"\n### What `kubectl get {definition.short_name}` shows\n"
        yield "| column | |\n|---|---|"
        for column in definition.columns:
            wide = " (with `--output wide`)" if column.wide else ""
            yield f"| {column.title.upper()} | {column.description}{wide} |"
        yield ""


def rows(schema: Schema, path: str) -> Iterator[str]:
    """A row for each field of a part, and for those within it."""
    for name, field in schema.get("properties", {}).items():
        where = f"{path}.{name}"
        default = field.get("default")
        shown = "" if default in (None, {}) else f"`{json.dumps(default)}`"
        required = "required" if name in schema.get("required", ()) else shown
        words = [field["description"].rstrip("."), *limits(field)]
        yield f"| `{where}` | {kind_of(field)} | {required} | {cell('; '.join(words))}. |"
        yield from rows(field, where)
        yield from rows(field.get("items", {}), f"{where}[]")


def kind_of(field: Schema) -> str:
    """The type of a field as a person says it."""
    if "items" in field:
        return f"list of {kind_of(field['items'])}s"
    if "additionalProperties" in field:
        return f"map of {kind_of(field['additionalProperties'])}s"
    if field.get("x-kubernetes-int-or-string"):
        return "integer or percentage"
    return str(field.get("format") or field["type"])


def limits(field: Schema) -> Iterator[str]:
    """What a field's values are held to."""
    if "enum" in field:
        yield "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    yield from (text.format(field[key]) for key, text in LIMITS.items() if key in field)


def cell(text: str) -> str:
    """A text in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
