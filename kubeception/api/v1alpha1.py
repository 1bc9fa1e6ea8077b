"""TenantCluster and NodePool: what a person asks for.

The models are the only source: the CustomResourceDefinitions (`crd.py`), the reference in the docs
and the errors of a bad spec come out of them. Unknown keys are errors.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from kubeception import names
from kubeception.errors import SpecError

DEFAULT_VERSION = "v1.36.3"
OLDEST_MINOR = 34
NEWEST_MINOR = 36
"""The minors of Kubernetes 1 this release knows the flags and configuration kinds of."""

VERSION = r"^v1\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})$"
DNS_LABEL = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
DNS_DOMAIN = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
QUANTITY = r"^[1-9][0-9]*(Ki|Mi|Gi|Ti|k|M|G|T)?$"
LABEL_KEY = r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
LABEL_VALUE = r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$"
ADDRESS = r"^[A-Za-z0-9.:-]+$"

LARGEST_PREFIX, SMALLEST_PREFIX = 8, 24
LARGEST_SERVICE_PREFIX = 12
"""kube-apiserver refuses a larger service range."""

API_SERVER_ARGS = frozenset(
    {
        "default-not-ready-toleration-seconds",
        "default-unreachable-toleration-seconds",
        "event-ttl",
        "goaway-chance",
        "max-mutating-requests-inflight",
        "max-requests-inflight",
        "min-request-timeout",
        "request-timeout",
        "v",
    }
)
"""Flags of kube-apiserver a TenantCluster may set: none names a file, address or credential."""


def _cidr(text: str) -> str:
    """`text` if it is an IPv4 network without host bits, large enough to be split."""
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"is not an IPv4 range such as 10.128.0.0/16: {error}") from None
    if not LARGEST_PREFIX <= network.prefixlen <= SMALLEST_PREFIX:
        raise ValueError(
            f"has a prefix of /{network.prefixlen}; "
            f"it must be between /{LARGEST_PREFIX} and /{SMALLEST_PREFIX}"
        )
    if str(network) != text:
        raise ValueError(f"must be written as {network}")
    return text


def _service_cidr(text: str) -> str:
    """`text`, a range, if kube-apiserver takes it for Services."""
    if ipaddress.IPv4Network(text).prefixlen < LARGEST_SERVICE_PREFIX:
        raise ValueError(f"{text} is too large: at most a /{LARGEST_SERVICE_PREFIX}")
    return text


Cidr = Annotated[str, Field(max_length=18), AfterValidator(_cidr)]
ServiceCidr = Annotated[Cidr, AfterValidator(_service_cidr)]
Label = Annotated[str, Field(pattern=LABEL_VALUE, max_length=63)]


class Model(BaseModel):
    """Frozen, camelCase outside, no unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class Audit(Model):
    """The audit log of the API server, written to its container's log."""

    level: Literal["None", "Metadata", "Request"] = Field(
        default="None",
        description="None: no log. Metadata: who did what when. Request: with the bodies of requests, "
        "except those of Secrets.",
    )


class ApiServer(Model):
    """Options of kube-apiserver."""

    extra_args: dict[str, Annotated[str, Field(max_length=64)]] = Field(
        default_factory=dict,
        max_length=len(API_SERVER_ARGS),
        description="Flags, without dashes. Only those are taken that name no file, address or credential: "
        f"{', '.join(sorted(API_SERVER_ARGS))}.",
    )

    @field_validator("extra_args")
    @classmethod
    def _allowed(cls, value: dict[str, str]) -> dict[str, str]:
        if refused := sorted(set(value) - API_SERVER_ARGS):
            allowed = ", ".join(sorted(API_SERVER_ARGS))
            raise ValueError(f"{', '.join(refused)}: may not be set here; allowed are {allowed}")
        return value


class ControlPlane(Model):
    """The tenant's control plane, which runs as pods of the host."""

    audit: Audit = Audit()
    api_server: ApiServer = ApiServer()


class Datastore(Model):
    """The tenant's own etcd. It can't be changed once the cluster is."""

    storage: Literal["Auto", "Persistent", "Ephemeral"] = Field(
        default="Auto",
        description="Persistent: on a volume. Ephemeral: lives and dies with its pod. "
        "Auto: a volume where the host has a default StorageClass, else ephemeral.",
    )
    size: Annotated[str, Field(pattern=QUANTITY, max_length=20)] = Field(
        default="1Gi", description="Size of the volume; half of it is for the data itself."
    )
    storage_class_name: Annotated[str, Field(pattern=DNS_DOMAIN, max_length=253)] | None = Field(
        default=None, description="StorageClass of the host; default: the host's default one."
    )


class Networking(Model):
    """The tenant's address ranges; what is left out is planned to overlap nothing of the host.

    It can't be changed once the cluster is.
    """

    pod_cidr: Cidr | None = Field(
        default=None,
        alias="podCIDR",
        description="IPv4 range of pods, such as 10.128.0.0/16: without host bits, from /8 to /24.",
    )
    service_cidr: ServiceCidr | None = Field(
        default=None,
        alias="serviceCIDR",
        description="IPv4 range of Services, such as 10.96.0.0/20: without host bits, from /12 to /24.",
    )
    dns_domain: Annotated[str, Field(pattern=DNS_DOMAIN, max_length=100)] = Field(
        default="cluster.local", description="DNS domain of the tenant's Services."
    )
    cni: Literal["flannel", "none"] = Field(
        default="flannel",
        description="The pod network that is installed. With none, nodes are NotReady until you install one.",
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.pod_cidr and self.service_cidr:
            pods, services = (ipaddress.IPv4Network(c) for c in (self.pod_cidr, self.service_cidr))
            if pods.overlaps(services):
                raise ValueError(f"podCIDR {pods} overlaps serviceCIDR {services}")
        return self


class Exposure(Model):
    """How the API server is reached from outside its host namespace."""

    type: Literal["NodePort", "ClusterIP", "LoadBalancer"] = Field(
        default="NodePort", description="Type of the API server's Service in the host."
    )
    host: Annotated[str, Field(pattern=ADDRESS, max_length=253)] | None = Field(
        default=None, description="Address or name for kubeconfigs instead of the observed one."
    )
    extra_sans: tuple[Annotated[str, Field(pattern=ADDRESS, max_length=253)], ...] = Field(
        default=(),
        alias="extraSANs",
        max_length=32,
        description="More addresses and names that the API server's certificate is good for.",
    )


class Addons(Model):
    """What is installed in the tenant."""

    core_dns: bool = Field(default=True, alias="coreDNS", description="CoreDNS as cluster DNS.")
    kube_proxy: bool = Field(
        default=True, description="kube-proxy; switch it off where the pod network replaces it."
    )
    local_path: bool = Field(
        default=True, description="local-path-provisioner and its default StorageClass."
    )
    metrics_server: bool = Field(
        default=True, description="metrics-server, for `kubectl top` and autoscalers."
    )


class Encryption(Model):
    """Encryption of Secrets at rest in etcd."""

    provider: Literal["secretbox", "none"] = Field(
        default="secretbox",
        description="How Secrets are stored from now on; what is stored can be read either way.",
    )


class TenantClusterSpec(Model):
    """A whole cluster inside the host cluster."""

    version: Annotated[str, Field(pattern=VERSION, max_length=10)] = Field(
        default=DEFAULT_VERSION,
        description="Kubernetes version of the control plane. It can go up by one minor at a time, "
        "and not back.",
    )
    control_plane: ControlPlane = ControlPlane()
    datastore: Datastore = Datastore()
    networking: Networking = Networking()
    exposure: Exposure = Exposure()
    addons: Addons = Addons()
    encryption: Encryption = Encryption()
    paused: bool = Field(
        default=False,
        description="While this is true nothing is changed in host or tenant, and nothing removed. "
        f"The annotation {names.PAUSED_ANNOTATION} does the same.",
    )
    deletion_policy: Literal["Delete", "Retain"] = Field(
        default="Delete",
        description="What becomes of the data when this object is deleted. Delete: nothing is left. "
        "Retain: the datastore's volume stays in the control plane's namespace, with the keys "
        "without which it can't be read; all else goes.",
    )

    @model_validator(mode="after")
    def _retainable(self) -> Self:
        if self.deletion_policy == "Retain" and self.datastore.storage == "Ephemeral":
            raise ValueError(
                "deletionPolicy Retain: an Ephemeral datastore leaves nothing to retain"
            )
        return self


class ClusterRef(Model):
    """The TenantCluster of the same namespace that a pool belongs to. It can't be changed."""

    name: Annotated[str, Field(pattern=DNS_LABEL, max_length=names.CLUSTER_NAME_LIMIT)] = Field(
        description="Name of the TenantCluster."
    )


class Taint(Model):
    """A taint every node of the pool registers with."""

    key: Annotated[str, Field(pattern=LABEL_KEY, max_length=317)] = Field(
        description="Key of the taint, such as example.com/gpu."
    )
    value: Label = Field(default="", description="Value of the taint.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        description="What becomes of pods that don't tolerate it."
    )


class KubeVirtOptions(Model):
    """A worker as a KubeVirt virtual machine. A change holds for machines made after it."""

    cpus: Annotated[int, Field(ge=1, le=256)] = Field(
        default=1, description="How many CPUs a machine has."
    )
    memory: Annotated[str, Field(pattern=QUANTITY, max_length=20)] = Field(
        default="1536Mi", description="How much memory a machine has."
    )
    image: Annotated[str, Field(pattern=r"^[a-z0-9][a-zA-Z0-9._:/@-]*$", max_length=255)] | None = (
        Field(default=None, description="containerDisk; default: the one of the cluster's version.")
    )


class NodePoolSpec(Model):
    """Workers of one kind."""

    cluster_ref: ClusterRef
    replicas: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=1, description="How many workers the pool has; `kubectl scale` sets it."
    )
    labels: dict[Annotated[str, Field(pattern=LABEL_KEY, max_length=317)], Label] = Field(
        default_factory=dict,
        max_length=64,
        description="Labels every node of the pool registers with.",
    )
    taints: tuple[Taint, ...] = Field(
        default=(), max_length=32, description="Taints every node of the pool registers with."
    )
    provider: Literal["kubevirt"] = Field(
        default="kubevirt",
        description="Where the workers come from: virtual machines of the host (kubevirt). It can't be changed.",
        json_schema_extra={"enum": ["kubevirt"]},
    )
    kubevirt: KubeVirtOptions | None = Field(default=None, alias="kubevirt")

    @field_validator("kubevirt")
    @classmethod
    def _of_its_provider(cls, value: Model | None, info: ValidationInfo) -> Model | None:
        provider = info.data.get("provider", info.field_name)
        if value is not None and provider != info.field_name:
            raise ValueError(f"the provider is {provider}: options of another one mean nothing")
        return value


class ObjectMeta(BaseModel):
    """The part of an object's metadata that is read; the rest is the API server's."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )

    name: Annotated[str, Field(pattern=DNS_LABEL, max_length=names.CLUSTER_NAME_LIMIT)]
    namespace: Annotated[str, Field(pattern=DNS_LABEL, max_length=63)] = "default"
    uid: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()


class _Resource(Model):
    api_version: Literal["kubeception.io/v1alpha1"] = names.API_VERSION  # type: ignore[assignment]
    metadata: ObjectMeta
    status: dict[str, Any] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace


class TenantCluster(_Resource):
    """A tenant's whole cluster (short name tc)."""

    kind: Literal["TenantCluster"] = "TenantCluster"
    spec: TenantClusterSpec = TenantClusterSpec()

    @property
    def paused(self) -> bool:
        """Whether it is to be left alone, by its field or its annotation."""
        return self.spec.paused or self.metadata.annotations.get(names.PAUSED_ANNOTATION) == "true"

    def manifest(self) -> dict[str, Any]:
        """The object to apply: name, namespace, labels, annotations and the fields that were set."""
        return _manifest(self)


class NodePool(_Resource):
    """Workers of one kind of one tenant (short name np)."""

    kind: Literal["NodePool"] = "NodePool"
    spec: NodePoolSpec

    def manifest(self) -> dict[str, Any]:
        """The object to apply: name, namespace, labels, annotations and the fields that were set."""
        return _manifest(self)


def _manifest(resource: TenantCluster | NodePool) -> dict[str, Any]:
    meta = resource.metadata
    marks = {"labels": meta.labels, "annotations": meta.annotations}
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": meta.name,
            "namespace": meta.namespace,
            **{key: dict(values) for key, values in marks.items() if values},
        },
        "spec": resource.spec.model_dump(by_alias=True, mode="json", exclude_unset=True),
    }


R = TypeVar("R", TenantCluster, NodePool)


def parse_cluster(document: Mapping[str, Any]) -> TenantCluster:
    """The TenantCluster a document says.

    Raises SpecError with every problem and its path.
    """
    return _parse(TenantCluster, document)


def parse_pool(document: Mapping[str, Any]) -> NodePool:
    """The NodePool a document says.

    Raises SpecError with every problem and its path.
    """
    return _parse(NodePool, document)


def _parse(model: type[R], document: Mapping[str, Any]) -> R:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        found = document.get("metadata")
        name = found.get("name", "?") if isinstance(found, Mapping) else "?"
        raise SpecError(
            [_problem(entry) for entry in error.errors()], what=f"{model.__name__} {name}"
        ) from None


def _problem(entry: Any) -> str:
    """One line of a validation error: `spec.networking.podCIDR: is not an IPv4 range …`."""
    path = ""
    for step in entry["loc"]:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    message = re.sub(r"^Value error, ", "", entry["msg"])
    if entry["type"] == "extra_forbidden":
        message = "unknown key"
    return f"{path.lstrip('.') or 'document'}: {message}"
