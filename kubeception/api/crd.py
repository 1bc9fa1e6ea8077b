"""The models as CustomResourceDefinitions: structural schemas, with the rules no field alone can say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from kubeception import names
from kubeception.api import authentication
from kubeception.api.status import NodePoolStatus, TenantClusterStatus
from kubeception.api.v1alpha1 import (
    API_SERVER_ARGS,
    BLOCKS,
    DNS_LABEL,
    LABEL_KEY,
    LARGEST_PREFIX,
    LARGEST_SERVICE_PREFIX,
    LOCAL_PATH,
    NEWEST_MINOR,
    OLDEST_MINOR,
    POD_PREFIXES6,
    ROOT_KEYS,
    SERVICE_PREFIXES6,
    SMALLEST_PREFIX,
    NodePoolSpec,
    TenantClusterSpec,
)

Schema = dict[str, Any]

KEPT: Final = (
    "default",
    "description",
    "enum",
    "format",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "required",
    "type",
    "x-kubernetes-int-or-string",
)
"""Keywords that mean the same in JSON Schema and in a structural schema."""


def rule(cel: str, message: str) -> Schema:
    """A CEL rule, and what is said to whoever breaks it."""
    return {"rule": cel, "message": message}


def immutable(what: str) -> Schema:
    """A rule: this can't be changed once it is."""
    return rule("self == oldSelf", f"{what} of a cluster that runs can't be changed")


NAME_RULES: Final = [
    rule(
        f"self.metadata.name.size() <= {names.CLUSTER_NAME_LIMIT}",
        f"the name may have {names.CLUSTER_NAME_LIMIT} characters",
    ),
    rule(
        f"self.metadata.name.matches('{DNS_LABEL}')",
        "the name must be a DNS label: lower-case letters, digits and dashes",
    ),
]

ROOM_FOR_SOME: Final = rule(
    "!has(self.depth) || self.depth > 0 || !has(self.clusters) || self.clusters == 0",
    "clusters: with depth 0 there can be none",
)

MINOR, OLD_MINOR = (f"int({value}.split('.')[1])" for value in ("self", "oldSelf"))
PATCH, OLD_PATCH = (f"int({value}.split('.')[2])" for value in ("self", "oldSelf"))
VERSION_RULES: Final = [
    rule(
        f"{MINOR} >= {OLDEST_MINOR} && {MINOR} <= {NEWEST_MINOR}",
        f"this version is not supported: use one from v1.{OLDEST_MINOR} to v1.{NEWEST_MINOR}",
    ),
    rule(
        f"{MINOR} > {OLD_MINOR} || ({MINOR} == {OLD_MINOR} && {PATCH} >= {OLD_PATCH})",
        "a cluster can't go back to an older version",
    ),
    rule(f"{MINOR} <= {OLD_MINOR} + 1", "a cluster goes up by one minor version at a time"),
]


def cidr_rules(largest: int) -> list[Schema]:
    """Rules of an IPv4 range; a second one would fail with an error where the first one does."""
    return [
        rule(
            "isCIDR(self) && cidr(self).ip().family() == 4 && cidr(self) == cidr(self).masked()",
            "must be an IPv4 range without host bits, such as 10.128.0.0/16",
        ),
        rule(
            f"!isCIDR(self) || (cidr(self).prefixLength() >= {largest}"
            f" && cidr(self).prefixLength() <= {SMALLEST_PREFIX})",
            f"the prefix must be between /{largest} and /{SMALLEST_PREFIX}",
        ),
    ]


def cidr6_rules(example: str, largest: int, smallest: int) -> list[Schema]:
    """Rules of an IPv6 range."""
    return [
        rule(
            "isCIDR(self) && cidr(self).ip().family() == 6 && string(cidr(self).masked()) == self",
            f"must be an IPv6 range without host bits, in its short form, such as {example}",
        ),
        rule(
            f"!isCIDR(self) || (cidr(self).prefixLength() >= {largest}"
            f" && cidr(self).prefixLength() <= {smallest})",
            f"the prefix must be between /{largest} and /{smallest}",
        ),
    ]


APART: Final = rule(
    "!has(self.podCIDR) || !has(self.serviceCIDR)"
    " || !isCIDR(self.podCIDR) || !isCIDR(self.serviceCIDR)"
    " || !(cidr(self.podCIDR).containsCIDR(self.serviceCIDR)"
    " || cidr(self.serviceCIDR).containsCIDR(self.podCIDR))",
    "podCIDR and serviceCIDR overlap",
)
MANIFEST: Final = rule(
    "has(self.manifestRef) == (has(self.cni) && self.cni == 'custom')",
    "manifestRef: is for cni custom, which can't do without",
)
NAME_SERVER: Final = rule(
    "isIP(self) && (ip(self).isGlobalUnicast() || ip(self).isLinkLocalUnicast())",
    "must be the IP address of a name server",
)
ONE_SOURCE_OF_NAMES: Final = rule(
    "!has(self.hostDNS) || !self.hostDNS || !has(self.nameservers) || self.nameservers.size() == 0",
    "nameservers: with hostDNS they are the host's",
)
SOMETHING_TO_CACHE: Final = rule(
    "!has(self.nodeLocalDNS) || !self.nodeLocalDNS || (self.coreDNS && self.kubeProxy)",
    "nodeLocalDNS: needs coreDNS and kubeProxy",
)
RETAINABLE: Final = rule(
    # The default of spec as a whole is checked before those of its parts are filled in.
    "!has(self.deletionPolicy) || self.deletionPolicy != 'Retain'"
    " || self.datastore.storage != 'Ephemeral'",
    "deletionPolicy Retain: an Ephemeral datastore leaves nothing to retain",
)
MACHINES: Final = (
    "has(self.controlPlane) && has(self.controlPlane.provider)"
    " && self.controlPlane.provider == 'kubevirt'"
)
IN_MACHINES: Final = [
    rule(
        f"!({MACHINES}) || (self.datastore.storage == 'Auto' && self.datastore.size == '1Gi'"
        " && !has(self.datastore.storageClassName))",
        "datastore: with controlPlane.provider kubevirt it is on the machines' own disks; nothing can be chosen",
    ),
    rule(
        f"!({MACHINES}) || self.deletionPolicy == 'Delete'",
        "deletionPolicy Retain: with controlPlane.provider kubevirt the disks go with the machines",
    ),
    rule(
        f"!({MACHINES}) || !has(self.networking.ipv6)",
        "networking.ipv6: not with controlPlane.provider kubevirt",
    ),
    rule(
        f"!({MACHINES}) || self.storage.classes.size() == 0",
        "storage.classes: not with controlPlane.provider kubevirt",
    ),
    rule(
        f"!({MACHINES}) || !has(self.encryption.rotation) || self.encryption.rotation == ''",
        "encryption.rotation: not with controlPlane.provider kubevirt: a key that its machines have can't be exchanged",
    ),
    rule(
        f"!({MACHINES}) || self.version == oldSelf.version",
        "version: that of a control plane in machines can't be changed: make a new cluster of that version",
    ),
    *(
        rule(
            f"!({MACHINES}) || self.{field} == oldSelf.{field}",
            f"{field}: with controlPlane.provider kubevirt it can't be changed: the machines keep what they were "
            "made with",
        )
        for field in ("controlPlane", "encryption", "exposure")
    ),
]
COUNTABLE: Final = [
    rule(
        "!has(self.provider) || self.provider == 'kubevirt' || (self.replicas == 1 && !has(self.kubevirt))",
        "replicas, kubevirt: are for provider kubevirt",
    ),
    rule("!has(self.replicas) || self.replicas != 2", "replicas: 1 or 3"),
    rule(
        # The default, of which its parts' are no part, is checked too.
        "!has(self.provider) || !has(oldSelf.provider) || (self.provider == oldSelf.provider"
        " && self.replicas == oldSelf.replicas && has(self.kubevirt) == has(oldSelf.kubevirt)"
        " && (!has(self.kubevirt) || self.kubevirt == oldSelf.kubevirt))",
        "provider, replicas and kubevirt of a control plane that runs can't be changed",
    ),
]
ALLOWED_ARGS: Final = rule(
    f"self.all(arg, arg in {sorted(API_SERVER_ARGS)})",
    f"only these may be set: {', '.join(sorted(API_SERVER_ARGS))}",
)
DISTINCT_ISSUERS: Final = [
    rule(
        f"self.all(a, self.exists_one(b, b.{what} == a.{what}))",
        f"two issuers have the same {what}",
    )
    for what in ("name", "url")
]
ISSUER_NAME: Final = rule(f"!(self in {[*authentication.RESERVED]})", authentication.RESERVED_SAID)
ISSUER_URL: Final = [
    rule(f"self.matches('^{authentication.ISSUER_URL}$')", authentication.ISSUER_URL_SAID),
    rule(f"!self.matches('^{authentication.OWN_URL}$')", authentication.OWN_URL_SAID),
]
DISTINCT_AUDIENCES: Final = rule(
    "self.all(a, self.exists_one(b, b == a))", "an audience is there twice"
)
CERTIFICATES: Final = rule(
    f"self.matches('^{authentication.CERTIFICATES}$')", authentication.CERTIFICATES_SAID
)
CLAIMS: Final = rule(
    f"self.all(claim, claim.size() <= {authentication.CLAIM_LENGTH}"
    f" && claim.matches('{authentication.CLAIM}'))",
    "every key must be a claim's name, such as hd",
)
MOVES: Final = rule(
    "!has(self.maxSurge) || !has(self.maxUnavailable)"
    " || !(string(self.maxSurge) in ['0', '0%'] && string(self.maxUnavailable) in ['0', '0%'])",
    "maxSurge and maxUnavailable can't both be 0: nothing could be replaced",
)
ORDERED: Final = rule("self.min <= self.max", "min is more than max")
LABEL_KEYS: Final = rule(
    f"self.all(key, key.size() <= 317 && key.matches('{LABEL_KEY}'))",
    "every key must be that of a label, such as example.com/kind",
)


STATIC_NEEDS_RESERVED: Final = rule(
    "!has(self.cpuManagerPolicy) || self.cpuManagerPolicy != 'static'"
    " || (has(self.systemReserved) && has(self.systemReserved.cpu))"
    " || (has(self.kubeReserved) && has(self.kubeReserved.cpu))",
    "cpuManagerPolicy static: needs CPU in systemReserved or kubeReserved",
)
SIZED_ONCE: Final = rule(
    "!has(self.instancetype) || !(has(self.cpus) || has(self.memory))",
    "cpus, memory: the instancetype says them",
)
WHOLE_SITE: Final = rule(
    "has(self.infraKubeconfigSecretRef) == has(self.infraNamespace)",
    "infraKubeconfigSecretRef, infraNamespace: the one needs the other",
)
PLAIN_ELSEWHERE: Final = rule(
    "!has(self.infraNamespace) || (!has(self.rootDisk)"
    " && (!has(self.eviction) || self.eviction == 'Replace'))",
    "rootDisk, eviction: not with infraKubeconfigSecretRef",
)
ELSEWHERE, WAS_ELSEWHERE = (
    f"(has({value}.kubevirt) && has({value}.kubevirt.infraNamespace))"
    for value in ("self", "oldSelf")
)
SAME_SITE: Final = rule(
    f"{ELSEWHERE} == {WAS_ELSEWHERE} && (!{ELSEWHERE} || "
    "(self.kubevirt.infraNamespace == oldSelf.kubevirt.infraNamespace && "
    "self.kubevirt.infraKubeconfigSecretRef == oldSelf.kubevirt.infraKubeconfigSecretRef))",
    "a pool can't move to another infra cluster or namespace",
)
DISTINCT_DISKS: Final = rule(
    "self.all(a, self.exists_one(b, b.name == a.name))", "two disks have the same name"
)
DISTINCT_CLASSES: Final = rule(
    "self.all(a, self.exists_one(b, b.name == a.name))", "two classes have the same name"
)
ONE_DEFAULT: Final = rule(
    "self.filter(c, has(c.default) && c.default).size() <= 1", "more than one class is the default"
)
SAME_CLASSES: Final = rule(
    "self.all(n, oldSelf.all(o, o.name != n.name || (o.hostStorageClass == n.hostStorageClass"
    " && o.reclaimPolicy == n.reclaimPolicy && o.volumeBindingMode == n.volumeBindingMode)))",
    "a class can't be changed but for its default: take it away, and then give it anew",
)
NAMED_APART: Final = rule(
    "!has(self.storage) || !has(self.addons) || !self.addons.localPath"
    f" || !self.storage.classes.exists(c, c.name == '{LOCAL_PATH}')",
    f"storage.classes: {LOCAL_PATH} is the class of addons.localPath",
)
MOVABLE: Final = rule(
    "!has(self.eviction) || self.eviction != 'LiveMigrate' || !has(self.rootDisk)"
    " || !has(self.rootDisk.accessMode) || self.rootDisk.accessMode != 'ReadWriteOnce'",
    "eviction LiveMigrate: needs a root disk of accessMode ReadWriteMany",
)
KEYS_ONCE: Final = rule(
    "!has(self.sshAuthorizedKeys) || size(self.sshAuthorizedKeys) == 0"
    f" || !has(self.files) || self.files.all(f, f.path != '{ROOT_KEYS}')",
    f"sshAuthorizedKeys: files has {ROOT_KEYS} too",
)
KEYS_OF_MACHINES: Final = rule(
    "!has(self.provider) || self.provider == 'kubevirt' || !has(self.userData)"
    " || !has(self.userData.sshAuthorizedKeys) || size(self.userData.sshAuthorizedKeys) == 0",
    "userData.sshAuthorizedKeys: for virtual machines only",
)
OF_SSH: Final = [
    rule("!has(self.provider) || self.provider != 'ssh' || has(self.ssh)", "ssh: is missing"),
    rule(
        "!has(self.ssh) || !has(self.replicas) || self.replicas <= size(self.ssh.machines)",
        "replicas: more are asked for than ssh.machines has",
    ),
]
ONCE_EACH: Final = rule(
    "self.all(m, self.exists_one(n, n.address == m.address && n.port == m.port))",
    "a machine is there more than once",
)
MACHINE_ADDRESS: Final = rule(
    "isIP(self) && ip(self).family() == 4 && !ip(self).isLoopback() && !ip(self).isLinkLocalUnicast()"
    " && !ip(self).isUnspecified() && !ip(self).isLinkLocalMulticast()"
    " && !cidr('224.0.0.0/4').containsIP(self)",
    "must be the IPv4 address of a machine elsewhere",
)


def _only_with_its_provider(block: str) -> Schema:
    cel = f"!has(self.{block}) || (has(self.provider) && self.provider == '{block}')"
    return rule(cel, f"{block}: options of another provider than the pool's")


@dataclass(frozen=True)
class Column:
    """A column of what `kubectl get` prints; the age comes last by itself."""

    title: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False
    """Whether it is only printed with `--output wide`."""


@dataclass(frozen=True)
class Definition:
    """What a CustomResourceDefinition says beyond its schema."""

    kind: str
    plural: str
    short_name: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    rules: Mapping[str, list[Schema]] = field(default_factory=dict)
    """CEL rules, by the path of the part of spec they stand at; empty: spec itself."""
    selectable: tuple[str, ...] = ()
    """Paths of fields that a field selector may name (KEP-4358)."""
    subresources: Mapping[str, Schema] = field(default_factory=dict)


READY_MESSAGE: Final = '.status.conditions[?(@.type=="Ready")].message'

DEFINITIONS: Final = (
    Definition(
        kind="TenantCluster",
        plural="tenantclusters",
        short_name="tc",
        spec=TenantClusterSpec,
        status=TenantClusterStatus,
        columns=(
            Column("Version", ".status.version", "Kubernetes version"),
            Column("Status", ".status.phase", "How it is"),
            Column("Nodes", ".status.nodes", "Nodes asked for", "integer"),
            Column("Ready", ".status.readyNodes", "Nodes that are ready", "integer"),
            Column("Endpoint", ".status.endpoint", "URL of the API server"),
            Column("Operation", ".status.lastOperation.type", "What was done last", wide=True),
            Column("State", ".status.lastOperation.state", "How that went", wide=True),
            Column("Percent", ".status.lastOperation.progress", "How far", "integer", wide=True),
            Column("Pods", ".status.podCIDR", "IPv4 range of pods", wide=True),
            Column("Services", ".status.serviceCIDR", "IPv4 range of Services", wide=True),
            Column("Message", READY_MESSAGE, "What it waits for", wide=True),
        ),
        rules={
            "": [RETAINABLE, NAMED_APART, *IN_MACHINES],
            "version": VERSION_RULES,
            "controlPlane": COUNTABLE,
            "controlPlane.apiServer.extraArgs": [ALLOWED_ARGS],
            "controlPlane.authentication.issuers": DISTINCT_ISSUERS,
            "controlPlane.authentication.issuers[].name": [ISSUER_NAME],
            "controlPlane.authentication.issuers[].url": ISSUER_URL,
            "controlPlane.authentication.issuers[].audiences": [DISTINCT_AUDIENCES],
            "controlPlane.authentication.issuers[].certificateAuthority": [CERTIFICATES],
            "controlPlane.authentication.issuers[].requiredClaims": [CLAIMS],
            "networking": [immutable("networking"), APART, MANIFEST, ONE_SOURCE_OF_NAMES],
            "networking.ipv6": [APART],
            "networking.ipv6.podCIDR": cidr6_rules("fd12:3456:789a::/56", *POD_PREFIXES6),
            "networking.ipv6.serviceCIDR": cidr6_rules(
                "fd12:3456:789a:ffff::/112", *SERVICE_PREFIXES6
            ),
            "networking.nameservers[]": [NAME_SERVER],
            "addons": [SOMETHING_TO_CACHE],
            "budget": [ROOM_FOR_SOME],
            "networking.podCIDR": cidr_rules(LARGEST_PREFIX),
            "networking.serviceCIDR": cidr_rules(LARGEST_SERVICE_PREFIX),
            "datastore": [immutable("the datastore")],
            "storage.classes": [DISTINCT_CLASSES, ONE_DEFAULT, SAME_CLASSES],
        },
    ),
    Definition(
        kind="NodePool",
        plural="nodepools",
        short_name="np",
        spec=NodePoolSpec,
        status=NodePoolStatus,
        columns=(
            Column("Cluster", ".spec.clusterRef.name", "Its TenantCluster"),
            Column("Desired", ".spec.replicas", "Workers asked for", "integer"),
            Column("Current", ".status.replicas", "Machines there are", "integer"),
            Column("Ready", ".status.readyReplicas", "Nodes that are ready", "integer"),
            Column("Updated", ".status.updatedReplicas", "Machines as the spec says", "integer"),
            Column("Version", ".status.version", "Kubernetes version of the kubelets"),
            Column(
                "Unhealthy", ".status.unhealthyReplicas", "Machines that fail", "integer", wide=True
            ),
            Column("Min", ".spec.autoscaling.min", "The fewest workers", "integer", wide=True),
            Column("Max", ".spec.autoscaling.max", "The most workers", "integer", wide=True),
            Column("Provider", ".spec.provider", "Where its workers come from", wide=True),
            Column("CPUs", ".spec.kubevirt.cpus", "CPUs of a machine", "integer", wide=True),
            Column("Memory", ".spec.kubevirt.memory", "Memory of a machine", wide=True),
            Column("Message", READY_MESSAGE, "What it waits for", wide=True),
        ),
        rules={
            "": [
                *(_only_with_its_provider(block) for block in BLOCKS),
                *OF_SSH,
                KEYS_OF_MACHINES,
                SAME_SITE,
            ],
            "kubelet": [STATIC_NEEDS_RESERVED],
            "kubevirt": [SIZED_ONCE, MOVABLE, WHOLE_SITE, PLAIN_ELSEWHERE],
            "userData": [KEYS_ONCE],
            "kubevirt.nodeSelector": [LABEL_KEYS],
            "kubevirt.disks": [DISTINCT_DISKS],
            "ssh.machines": [ONCE_EACH],
            "ssh.machines[].address": [MACHINE_ADDRESS],
            "clusterRef": [rule("self == oldSelf", "a pool can't move to another cluster")],
            "version": VERSION_RULES[:1],
            "strategy": [MOVES],
            "autoscaling": [ORDERED],
            "provider": [rule("self == oldSelf", "a pool can't change its provider")],
            "labels": [LABEL_KEYS],
        },
        selectable=(names.CLUSTER_FIELD,),
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
    age = Column("Age", ".metadata.creationTimestamp", "Since when it exists", "date")
    fields = [{"jsonPath": f".{path}"} for path in d.selectable]
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
                    "additionalPrinterColumns": [_column(c) for c in (*d.columns, age)],
                    **({"selectableFields": fields} if fields else {}),
                }
            ],
        },
    }


def _column(c: Column) -> Schema:
    shown = {"name": c.title, "jsonPath": c.path, "type": c.type, "description": c.description}
    return {**shown, "priority": 1} if c.wide else shown


def _schema(d: Definition) -> Schema:
    spec, status = (structural(model) for model in (d.spec, d.status))
    if "required" not in spec:
        spec["default"] = {}
    for path, rules in d.rules.items():
        part = spec
        for step in filter(None, path.split(".")):
            part = part["properties"][step.removesuffix("[]")]
            part = part["items"] if step.endswith("[]") else part
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
    if choices := whole.pop("anyOf", None):
        (given,) = [choice for choice in choices if choice != {"type": "null"}]
        whole = {**given, **whole}
    if reference := whole.pop("$ref", ""):
        whole = {**defs[reference.rpartition("/")[2]], **whole}

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
