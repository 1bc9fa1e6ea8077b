"""The models as CustomResourceDefinitions: structural schemas, with the rules no field alone can say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from kubeception import names
from kubeception.api.status import NodePoolStatus, TenantClusterStatus
from kubeception.api.v1alpha1 import DNS_LABEL, NodePoolSpec, TenantClusterSpec

Schema = dict[str, Any]

KEPT: Final = (
    "default",
    "description",
    "enum",
    "format",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "required",
    "type",
)
"""Keywords that mean the same in JSON Schema and in a structural schema."""


def immutable(what: str) -> Schema:
    """A rule: this can't be changed once it is."""
    return {"rule": "self == oldSelf", "message": f"{what} of a cluster that runs can't be changed"}


NAME_RULES: Final = [
    {
        "rule": f"self.metadata.name.size() <= {names.CLUSTER_NAME_LIMIT}",
        "message": f"the name may have {names.CLUSTER_NAME_LIMIT} characters",
    },
    {
        "rule": f"self.metadata.name.matches('{DNS_LABEL}')",
        "message": "the name must be a DNS label: lower-case letters, digits and dashes",
    },
]


@dataclass(frozen=True)
class Definition:
    """What a CustomResourceDefinition says beyond its schema."""

    kind: str
    plural: str
    short_name: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[tuple[str, str, str], ...]
    """(title, JSON path, type) of what `kubectl get` prints; the age comes last by itself."""
    rules: Mapping[str, list[Schema]] = field(default_factory=dict)
    """CEL rules, by the path of the part of spec they stand at."""
    subresources: Mapping[str, Schema] = field(default_factory=dict)


DEFINITIONS: Final = (
    Definition(
        kind="TenantCluster",
        plural="tenantclusters",
        short_name="tc",
        spec=TenantClusterSpec,
        status=TenantClusterStatus,
        columns=(
            ("Version", ".status.version", "string"),
            ("Nodes", ".status.nodes", "integer"),
            ("Ready", ".status.readyNodes", "integer"),
            ("Endpoint", ".status.endpoint", "string"),
            ("Status", ".status.phase", "string"),
        ),
        rules={
            "networking": [immutable("networking")],
            "datastore": [immutable("the datastore")],
        },
    ),
    Definition(
        kind="NodePool",
        plural="nodepools",
        short_name="np",
        spec=NodePoolSpec,
        status=NodePoolStatus,
        columns=(
            ("Cluster", ".spec.clusterRef.name", "string"),
            ("Desired", ".spec.replicas", "integer"),
            ("Ready", ".status.readyReplicas", "integer"),
            ("CPUs", ".spec.kubevirt.cpus", "integer"),
            ("Memory", ".spec.kubevirt.memory", "string"),
        ),
        rules={
            "clusterRef": [
                {"rule": "self == oldSelf", "message": "a pool can't move to another cluster"}
            ]
        },
        subresources={
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
            }
        },
    ),
)


def definitions() -> list[dict[str, Any]]:
    """The CustomResourceDefinitions of this release."""
    return [_definition(d) for d in DEFINITIONS]


def _definition(d: Definition) -> dict[str, Any]:
    group, version = names.API_VERSION.split("/")
    columns = (*d.columns, ("Age", ".metadata.creationTimestamp", "date"))
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{d.plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": d.kind,
                "listKind": f"{d.kind}List",
                "plural": d.plural,
                "singular": d.kind.lower(),
                "shortNames": [d.short_name],
                "categories": ["kubeception"],
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _schema(d)},
                    "subresources": {"status": {}, **d.subresources},
                    "additionalPrinterColumns": [
                        {"name": title, "jsonPath": path, "type": kind}
                        for title, path, kind in columns
                    ],
                }
            ],
        },
    }


def _schema(d: Definition) -> Schema:
    spec, status = (structural(model) for model in (d.spec, d.status))
    if "required" not in spec:
        spec["default"] = {}
    for path, rules in d.rules.items():
        part = spec
        for step in path.split("."):
            part = part["properties"][step]
        part["x-kubernetes-validations"] = rules
    status["properties"]["conditions"] |= {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }
    return {
        "type": "object",
        "description": spec["description"],
        **({"required": ["spec"]} if "required" in spec else {}),
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
        "x-kubernetes-validations": NAME_RULES,
    }


def structural(model: type[BaseModel]) -> Schema:
    """A model's JSON Schema as Kubernetes wants it: nothing referred to, nothing said twice, no null."""
    schema = model.model_json_schema(by_alias=True)
    return _structural(schema, schema.get("$defs", {}))


def _structural(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Schema:
    whole = dict(schema)
    if reference := whole.pop("$ref", ""):
        whole = {**defs[reference.rpartition("/")[2]], **whole}
    if choices := whole.pop("anyOf", None):
        (given,) = [choice for choice in choices if choice != {"type": "null"}]
        whole = {**given, **whole}

    result = {key: whole[key] for key in KEPT if whole.get(key) is not None}
    if properties := whole.get("properties"):
        result["properties"] = {name: _structural(part, defs) for name, part in properties.items()}
        if "default" in result:  # its parts have defaults of their own
            result["default"] = {}
    if items := whole.get("items"):
        result["items"] = _structural(items, defs)
    if values := _map_values(whole):
        result["additionalProperties"] = _structural(values, defs)
    return result


def _map_values(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the values of a free mapping look like; a pattern of its keys can't be said."""
    if patterns := schema.get("patternProperties"):
        (values,) = patterns.values()
        return dict(values)
    values = schema.get("additionalProperties")
    return values if isinstance(values, Mapping) else {}
