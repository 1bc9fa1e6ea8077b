"""TenantCluster and NodePool: what a person asks for.

The models are the only source: the CustomResourceDefinitions (`crd.py`), the reference in the docs
and the errors of a bad spec come out of them. Unknown keys are errors.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
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
from kubeception.api.authentication import Authentication
from kubeception.api.guest import NetworkData, SshKey
from kubeception.api.lifecycle import Autoscaling, Duration, Health, Strategy
from kubeception.api.model import Model
from kubeception.errors import SpecError

DEFAULT_VERSION = "v1.36.3"
OLDEST_MINOR = 34
NEWEST_MINOR = 36
"""The minors of Kubernetes 1 this release knows the flags and configuration kinds of."""

VERSION = r"^v1\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})$"
DNS_LABEL = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
DNS_DOMAIN = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
QUANTITY = r"^[1-9][0-9]*(Ki|Mi|Gi|Ti|k|M|G|T)?$"
CPU = r"^[1-9][0-9]*m?$"
LABEL_KEY = r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
LABEL_VALUE = r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$"
IMAGE = r"^[a-z0-9][a-zA-Z0-9._:/@-]*$"
USER_PATH = (
    r"^/(etc/(apt|modprobe\.d|modules-load\.d|profile\.d|security|ssh|ssl|sysctl\.d|udev)|home|root|srv"
    r"|usr/local/(etc|share))(/\.?[A-Za-z0-9_-][A-Za-z0-9._-]*)+$"
)
ROOT_KEYS = "/root/.ssh/authorized_keys"
"""Where sshd looks for the keys of who may log in as root."""
PACKAGE = r"^[a-z0-9][a-z0-9+.-]+$"
HOST_KEY = r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,2}$"
USER = r"^[a-z_][a-z0-9_-]*$"
ADDRESS = r"^[A-Za-z0-9.:-]+$"

LOCAL_PATH = "local-path"
"""The StorageClass of the addon of that name."""

LARGEST_PREFIX, SMALLEST_PREFIX = 8, 24
LARGEST_SERVICE_PREFIX = 12
"""kube-apiserver refuses a larger service range."""

POD_PREFIXES6 = (48, 60)
"""Of the IPv6 range of pods: each node has a /64, and kube-controller-manager cuts a range into 65,536 at most."""
SERVICE_PREFIXES6 = (108, 120)
"""Of the IPv6 range of Services: kube-apiserver takes no larger one."""

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


def _ipv6_range(text: str, largest: int, smallest: int) -> str:
    """`text` if it is an IPv6 network without host bits, as it is written in short, of such a size."""
    try:
        network = ipaddress.IPv6Network(text)
    except ValueError as error:
        raise ValueError(f"is not an IPv6 range such as fd12:3456:789a::/56: {error}") from None
    if not largest <= network.prefixlen <= smallest:
        raise ValueError(
            f"has a prefix of /{network.prefixlen}; it must be between /{largest} and /{smallest}"
        )
    if str(network) != text:
        raise ValueError(f"must be written as {network}")
    return text


def _pod_cidr6(text: str) -> str:
    return _ipv6_range(text, *POD_PREFIXES6)


def _service_cidr6(text: str) -> str:
    return _ipv6_range(text, *SERVICE_PREFIXES6)


def _nameserver(text: str) -> str:
    """`text` if it is an address where a name server may be."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("is not an IP address") from None
    everybody = found.is_multicast or text == "255.255.255.255"
    mapped = found.version == 6 and (found.ipv4_mapped is not None or "%" in text)
    if found.is_loopback or found.is_unspecified or everybody or mapped:
        raise ValueError(f"{text} is no address of a name server")
    return text


Cidr = Annotated[str, Field(max_length=18), AfterValidator(_cidr)]
ServiceCidr = Annotated[Cidr, AfterValidator(_service_cidr)]
Label = Annotated[str, Field(pattern=LABEL_VALUE, max_length=63)]


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


class ControlPlaneMachines(Model):
    """The virtual machines of a control plane."""

    cpus: Annotated[int, Field(ge=1, le=256)] = Field(
        default=2, description="How many CPUs each has."
    )
    memory: Annotated[str, Field(pattern=QUANTITY, max_length=20)] = Field(
        default="3Gi", description="How much memory each has, etcd's included."
    )


class ControlPlane(Model):
    """The tenant's control plane: pods of the host, or virtual machines of it, which kubeadm makes one.

    What it runs in can't be changed; with machines, nothing of this can.
    """

    provider: Literal["pod", "kubevirt"] = Field(
        default="pod",
        description="What it runs in: pods of the host (pod), or virtual machines of it (kubevirt), with etcd on "
        "their own disks.",
        validate_default=True,
    )
    replicas: Annotated[int, Field(ge=1, le=3)] = Field(
        default=1, description="How many machines it is, with provider kubevirt: 1 or 3."
    )
    kubevirt: ControlPlaneMachines | None = Field(default=None, alias="kubevirt")
    audit: Audit = Audit()
    api_server: ApiServer = ApiServer()
    authentication: Authentication = Authentication()

    @property
    def in_machines(self) -> bool:
        """Whether it is machines, and not pods of the host."""
        return self.provider == "kubevirt"

    @model_validator(mode="after")
    def _countable(self) -> Self:
        if self.in_machines and self.replicas == 2:
            raise ValueError("replicas: 1 or 3; of two etcd members none may fail")
        if not self.in_machines and self.replicas != 1:
            raise ValueError("replicas: is for provider kubevirt; with provider pod it is 1")
        if not self.in_machines and self.kubevirt is not None:
            raise ValueError("kubevirt: the provider is pod: options of another one mean nothing")
        return self


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


class ConfigMapRef(Model):
    """A ConfigMap of the TenantCluster's namespace."""

    name: Annotated[str, Field(pattern=DNS_DOMAIN, max_length=253)] = Field(description="Its name.")


class IPv6(Model):
    """The second ranges of a cluster with both families; what is left out is planned out of fd00::/8."""

    pod_cidr: Annotated[str, Field(max_length=43), AfterValidator(_pod_cidr6)] | None = Field(
        default=None,
        alias="podCIDR",
        description="IPv6 range of pods, such as fd12:3456:789a::/56: from /48 to /60; each node has a /64.",
    )
    service_cidr: Annotated[str, Field(max_length=43), AfterValidator(_service_cidr6)] | None = (
        Field(
            default=None,
            alias="serviceCIDR",
            description="IPv6 range of Services, such as fd12:3456:789a:ffff::/112: from /108 to /120.",
        )
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.pod_cidr and self.service_cidr:
            pods, services = (ipaddress.IPv6Network(c) for c in (self.pod_cidr, self.service_cidr))
            if pods.overlaps(services):
                raise ValueError(f"podCIDR {pods} overlaps serviceCIDR {services}")
        return self


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
    ipv6: IPv6 | None = Field(
        default=None,
        description="Where this is there, even empty, pods and Services have IPv6 addresses as well.",
    )
    dns_domain: Annotated[str, Field(pattern=DNS_DOMAIN, max_length=100)] = Field(
        default="cluster.local", description="DNS domain of the tenant's Services."
    )
    cni: Literal["flannel", "custom", "none"] = Field(
        default="flannel",
        description="The pod network that is installed. With custom, it is the one of manifestRef. "
        "With none, nodes are NotReady until you install one.",
    )
    host_dns: bool = Field(
        default=False,
        alias="hostDNS",
        description="Whether nodes resolve names by the host cluster's DNS, which tells them its Services. "
        "Default: by the name servers of the host's nodes.",
    )
    nameservers: tuple[Annotated[str, Field(max_length=45), AfterValidator(_nameserver)], ...] = (
        Field(
            default=(),
            max_length=3,
            description="Name servers of the nodes, instead of those of the host's nodes.",
        )
    )
    manifest_ref: ConfigMapRef | None = Field(
        default=None,
        description="For cni custom: the ConfigMap with its manifest, which is applied in the tenant; "
        "each key holds YAML documents.",
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.pod_cidr and self.service_cidr:
            pods, services = (ipaddress.IPv4Network(c) for c in (self.pod_cidr, self.service_cidr))
            if pods.overlaps(services):
                raise ValueError(f"podCIDR {pods} overlaps serviceCIDR {services}")
        return self

    @model_validator(mode="after")
    def _one_source_of_names(self) -> Self:
        if self.host_dns and self.nameservers:
            raise ValueError("nameservers: with hostDNS they are the host's")
        return self

    @model_validator(mode="after")
    def _a_manifest_for_custom(self) -> Self:
        if (self.cni == "custom") != (self.manifest_ref is not None):
            raise ValueError("manifestRef: is for cni custom, which can't do without")
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


class LoadBalancers(Model):
    """What becomes of the tenant's Services of type LoadBalancer: each is a Service of the host."""

    type: Literal["LoadBalancer", "NodePort", "None"] = Field(
        default="LoadBalancer",
        description="Type of the Services in the host. NodePort: where the host has no load balancers; clients "
        "then need the port that status shows. None: such Services are left to somebody else.",
    )
    class_name: Annotated[str, Field(pattern=LABEL_KEY, max_length=253)] | None = Field(
        default=None,
        alias="class",
        description="loadBalancerClass of the Services in the host; default: the host's own.",
    )
    limit: Annotated[int, Field(ge=0, le=500)] = Field(
        default=16, description="How many there may be at once."
    )


class StorageClass(Model):
    """A StorageClass of the tenant, whose volumes are volumes of its host.

    It can't be changed but for `default`; taken away and given anew it can.
    """

    name: Annotated[str, Field(pattern=DNS_DOMAIN, max_length=253)] = Field(
        description="Name in the tenant."
    )
    host_storage_class: Annotated[str, Field(pattern=DNS_DOMAIN, max_length=253)] = Field(
        description="StorageClass of the host that the volumes are of. Administrators of the host offer it, by its "
        f'label {names.OFFERED_LABEL}: "true".'
    )
    default: bool = Field(
        default=False,
        description="Whether claims that name no class are of this one; local-path is the default where none is.",
    )
    reclaim_policy: Literal["Delete", "Retain"] = Field(
        default="Delete",
        description="What becomes of a volume when its claim is deleted. Retain: it stays as long as the cluster.",
    )
    volume_binding_mode: Literal["WaitForFirstConsumer", "Immediate"] = Field(
        default="WaitForFirstConsumer",
        description="When a volume is made: with the first pod that wants it, or with its claim.",
    )


class Storage(Model):
    """Volumes of the host, attached to the machine a pod runs on: they go with it to another node."""

    classes: tuple[StorageClass, ...] = Field(
        default=(),
        max_length=16,
        description="StorageClasses of the tenant, beside local-path. With none, nothing is installed for them.",
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({c.name for c in self.classes}) < len(self.classes):
            raise ValueError("classes: two have the same name")
        if sum(c.default for c in self.classes) > 1:
            raise ValueError("classes: more than one is the default")
        return self


class Addons(Model):
    """What is installed in the tenant."""

    core_dns: bool = Field(default=True, alias="coreDNS", description="CoreDNS as cluster DNS.")
    node_local_dns: bool = Field(
        default=False,
        alias="nodeLocalDNS",
        description="A DNS cache on each node (NodeLocal DNSCache); it needs coreDNS and kubeProxy.",
    )
    kube_proxy: bool = Field(
        default=True, description="kube-proxy; switch it off where the pod network replaces it."
    )
    local_path: bool = Field(
        default=True, description="local-path-provisioner and its default StorageClass."
    )
    metrics_server: bool = Field(
        default=True, description="metrics-server, for `kubectl top` and autoscalers."
    )

    @model_validator(mode="after")
    def _something_to_cache(self) -> Self:
        if self.node_local_dns and not (self.core_dns and self.kube_proxy):
            raise ValueError("nodeLocalDNS: needs coreDNS and kubeProxy")
        return self


class Encryption(Model):
    """Encryption of Secrets at rest in etcd."""

    provider: Literal["secretbox", "none"] = Field(
        default="secretbox",
        description="How Secrets are stored from now on; what is stored can be read either way.",
    )
    rotation: Annotated[str, Field(pattern=LABEL_VALUE, max_length=63)] = Field(
        default="",
        description="Any word, such as a date. With another one, a new key takes the place of the old: every Secret "
        "is stored anew, whatever the provider, and then the old key is dropped.",
    )


class Budget(Model):
    """What a cluster may have, with all clusters in it; what is left out has no bound.

    Less than there is takes nothing away: nothing more is made.
    """

    clusters: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default=None, description="How many tenant clusters there may be in it, at any depth."
    )
    depth: Annotated[int, Field(ge=0, le=32)] | None = Field(
        default=None,
        description="How many levels of clusters there may be in it: with 0 none, with 1 tenants without tenants.",
    )
    cpu: Annotated[str, Field(pattern=CPU, max_length=10)] | None = Field(
        default=None, description="CPUs of its machines and of its control plane, such as 8."
    )
    memory: Annotated[str, Field(pattern=QUANTITY, max_length=20)] | None = Field(
        default=None, description="Memory of the same, such as 32Gi."
    )
    storage: Annotated[str, Field(pattern=QUANTITY, max_length=20)] | None = Field(
        default=None,
        description="Volumes of the host, such as 100Gi: its datastore, root disks of machines, and those of "
        "spec.storage.",
    )
    load_balancers: Annotated[int, Field(ge=0, le=500)] | None = Field(
        default=None,
        description="Load balancers of the host: that of its API server, where there is one, and those of its "
        "Services.",
    )

    @model_validator(mode="after")
    def _room_for_some(self) -> Self:
        if self.depth == 0 and self.clusters:
            raise ValueError(f"clusters: {self.clusters}, and with depth 0 there can be none")
        return self


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
    load_balancers: LoadBalancers = LoadBalancers()
    storage: Storage = Storage()
    addons: Addons = Addons()
    encryption: Encryption = Encryption()
    budget: Budget = Budget()
    paused: bool = Field(
        default=False,
        description="While this is true nothing is changed in host or tenant, and nothing removed. "
        f"The annotation {names.PAUSED_ANNOTATION} does the same.",
    )
    deletion_policy: Literal["Delete", "Retain"] = Field(
        default="Delete",
        description="What becomes of the data when this object is deleted. Delete: nothing is left. "
        "Retain: the datastore's volume stays in the control plane's namespace, with the keys "
        "without which it can't be read, and the tenant's volumes of its host in that of its machines; "
        "all else goes.",
    )

    @model_validator(mode="after")
    def _possible_in_machines(self) -> Self:
        found = list(self._not_in_machines()) if self.control_plane.in_machines else []
        if found:
            raise ValueError(f"controlPlane.provider kubevirt: {'; '.join(found)}")
        return self

    def _not_in_machines(self) -> Iterator[str]:
        """What is asked for that a control plane in machines can't give."""
        if self.datastore != Datastore():
            yield "datastore: is etcd on the machines' own disks, of which nothing can be chosen"
        if self.deletion_policy == "Retain":
            yield "deletionPolicy Retain: the machines' disks go with them"
        if self.networking.ipv6 is not None:
            yield "networking.ipv6: its machines have IPv4 addresses only"
        if self.storage.classes:
            yield "storage.classes: the driver's controller needs a control plane in pods"
        if self.encryption.rotation:
            yield "encryption.rotation: a key that its machines have can't be exchanged"

    @model_validator(mode="after")
    def _named_apart(self) -> Self:
        if self.addons.local_path and any(c.name == LOCAL_PATH for c in self.storage.classes):
            raise ValueError(f"storage.classes: {LOCAL_PATH} is the class of addons.localPath")
        return self

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


class Reserved(Model):
    """What is kept from pods."""

    cpu: Annotated[str, Field(pattern=CPU, max_length=10)] | None = Field(
        default=None, description="CPUs, such as 250m."
    )
    memory: Annotated[str, Field(pattern=QUANTITY, max_length=20)] | None = Field(
        default=None, description="Memory, such as 256Mi."
    )


class KubeletOptions(Model):
    """Fields of the nodes' KubeletConfiguration that may be set: none names a file, address or credential."""

    max_pods: Annotated[int, Field(ge=1, le=253)] | None = Field(
        default=None, description="How many pods a node takes."
    )
    pod_pids_limit: Annotated[int, Field(ge=64, le=4194304)] | None = Field(
        default=None, description="How many processes a pod may have."
    )
    system_reserved: Reserved | None = None
    kube_reserved: Reserved | None = None
    container_log_max_size: Annotated[str, Field(pattern=QUANTITY, max_length=20)] | None = Field(
        default=None, description="Size at which a container's log is rotated."
    )
    container_log_max_files: Annotated[int, Field(ge=2, le=100)] | None = Field(
        default=None, description="How many log files a container keeps."
    )
    cpu_manager_policy: Literal["none", "static"] | None = Field(
        default=None,
        description="static: containers of guaranteed pods that ask for whole CPUs have them alone.",
    )
    topology_manager_policy: (
        Literal["none", "best-effort", "restricted", "single-numa-node"] | None
    ) = Field(default=None, description="How devices and CPUs are aligned.")
    serialize_image_pulls: bool | None = Field(
        default=None, description="Whether images are pulled one after the other."
    )

    @model_validator(mode="after")
    def _something_is_left_to_share(self) -> Self:
        reserved = (self.system_reserved, self.kube_reserved)
        if self.cpu_manager_policy == "static" and not any(r and r.cpu for r in reserved):
            raise ValueError("cpuManagerPolicy static: needs CPU in systemReserved or kubeReserved")
        return self


class UserFile(Model):
    """A file of each machine, owned by root."""

    path: Annotated[str, Field(pattern=USER_PATH, max_length=200)] = Field(
        description="Where it is: below the folders of the pattern, which hold nothing a node is made of."
    )
    content: Annotated[str, Field(max_length=8192)] = Field(description="What is in it.")
    mode: Annotated[str, Field(pattern=r"^0[0-7]{3}$")] = Field(
        default="0644", description="Its permissions, in octal."
    )


class UserData(Model):
    """What is done on each machine besides making it a node. A change replaces the pool's machines, one by one."""

    files: tuple[UserFile, ...] = Field(
        default=(), max_length=16, description="Files, there before the machine joins."
    )
    packages: tuple[Annotated[str, Field(pattern=PACKAGE, max_length=80)], ...] = Field(
        default=(),
        max_length=64,
        description="Debian packages that are installed once it has joined.",
    )
    commands: tuple[
        Annotated[
            tuple[Annotated[str, Field(max_length=1024)], ...], Field(min_length=1, max_length=32)
        ],
        ...,
    ] = Field(
        default=(),
        max_length=16,
        description="Commands that root runs once, after that: each a program and its arguments, no shell.",
    )
    ssh_authorized_keys: tuple[SshKey, ...] = Field(
        default=(),
        max_length=16,
        description="Public keys of those whom sshd lets in as root: type, base64 and perhaps a comment, no options. "
        "For virtual machines only; without any, their sshd isn't started.",
    )

    @model_validator(mode="after")
    def _keys_once(self) -> Self:
        if self.ssh_authorized_keys and any(file.path == ROOT_KEYS for file in self.files):
            raise ValueError(f"sshAuthorizedKeys: files has {ROOT_KEYS} too")
        return self


class SecretRef(Model):
    """A Secret of the pool's namespace."""

    name: Annotated[str, Field(pattern=DNS_DOMAIN, max_length=253)] = Field(description="Its name.")


class Instancetype(Model):
    """CPUs and memory as the host's administrators offer them."""

    name: Annotated[str, Field(pattern=DNS_DOMAIN, max_length=253)] = Field(description="Its name.")
    kind: Literal["VirtualMachineClusterInstancetype", "VirtualMachineInstancetype"] = Field(
        default="VirtualMachineClusterInstancetype",
        description="The latter is one of the nodes' namespace.",
    )


class Preference(Model):
    """Devices and firmware as the host's administrators recommend them."""

    name: Annotated[str, Field(pattern=DNS_DOMAIN, max_length=253)] = Field(description="Its name.")
    kind: Literal["VirtualMachineClusterPreference", "VirtualMachinePreference"] = Field(
        default="VirtualMachineClusterPreference",
        description="The latter is one of the nodes' namespace.",
    )


class Disk(Model):
    """An empty disk beside the root disk, for as long as the machine lives."""

    name: Annotated[str, Field(pattern=DNS_LABEL, max_length=20)] = Field(
        description="Its name and, inside the machine, its serial number."
    )
    size: Annotated[str, Field(pattern=QUANTITY, max_length=20)] = Field(description="Its size.")


class RootDisk(Model):
    """The disk a machine boots from, on a volume of the host that comes and goes with it.

    CDI, which the host must have, fills it from the image.
    """

    size: Annotated[str, Field(pattern=QUANTITY, max_length=20)] = Field(
        description="Its size: at least that of the image's disk, which is 12Gi where no image is named."
    )
    storage_class_name: Annotated[str, Field(pattern=DNS_DOMAIN, max_length=253)] | None = Field(
        default=None, description="StorageClass of the host; default: the host's default one."
    )
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany"] | None = Field(
        default=None,
        description="Default: what CDI knows of the StorageClass. Live migration needs ReadWriteMany.",
    )
    volume_mode: Literal["Block", "Filesystem"] | None = Field(
        default=None, description="Default: what CDI knows of the StorageClass."
    )


class KubeVirtOptions(Model):
    """A worker as a KubeVirt virtual machine. A change replaces the pool's machines, one by one."""

    cpus: Annotated[int, Field(ge=1, le=256)] | None = Field(
        default=None, description="How many CPUs a machine has; default: 1, or its instancetype's."
    )
    memory: Annotated[str, Field(pattern=QUANTITY, max_length=20)] | None = Field(
        default=None,
        description="How much memory a machine has; default: 1536Mi, or its instancetype's.",
    )
    instancetype: Instancetype | None = None
    preference: Preference | None = None
    requests: Reserved | None = Field(
        default=None,
        description="What is kept for a machine on the host; default: its memory, and a tenth of its CPUs.",
    )
    hugepages: Literal["2Mi", "1Gi"] | None = Field(
        default=None, description="Size of the pages its memory is made of."
    )
    dedicated_cpus: bool = Field(
        default=False, alias="dedicatedCPUs", description="Whether it has CPUs of the host alone."
    )
    node_selector: dict[Annotated[str, Field(pattern=LABEL_KEY, max_length=317)], Label] = Field(
        default_factory=dict, max_length=16, description="Labels of the host nodes it may be on."
    )
    spread: Literal["Preferred", "Required"] = Field(
        default="Preferred",
        description="Whether the pool's machines only should or must be evenly on the host's nodes.",
    )
    disks: tuple[Disk, ...] = Field(
        default=(), max_length=16, description="More disks than the one it boots from."
    )
    image: Annotated[str, Field(pattern=IMAGE, max_length=255)] | None = Field(
        default=None, description="containerDisk; default: the one of the cluster's version."
    )
    root_disk: RootDisk | None = None
    network_data: NetworkData | None = Field(
        default=None,
        description="Network configuration for cloud-init, version 1 or 2. The one interface is behind masquerade: "
        "it has its address, route and MTU by DHCP, and must keep them. Default: DHCP.",
    )
    eviction: Literal["Replace", "LiveMigrate"] = Field(
        default="Replace",
        description="What becomes of a machine whose host node is emptied. Replace: its node is drained, and another "
        "one is made. LiveMigrate: it moves as it runs; one that can't is replaced.",
    )
    infra_kubeconfig_secret_ref: SecretRef | None = Field(
        default=None,
        description="The Secret whose key `kubeconfig` leads to the cluster in which the machines are made, where "
        "that isn't the host. An administrator of the host allows it for a namespace. It can't be changed; what is "
        "in the Secret can.",
    )
    infra_namespace: Annotated[str, Field(pattern=DNS_LABEL, max_length=63)] | None = Field(
        default=None,
        description="The namespace there, which must exist. Not without infraKubeconfigSecretRef; it can't be changed.",
    )

    @model_validator(mode="after")
    def _movable(self) -> Self:
        shared = self.root_disk is None or self.root_disk.access_mode != "ReadWriteOnce"
        if self.eviction == "LiveMigrate" and not shared:
            raise ValueError("eviction LiveMigrate: needs a root disk of accessMode ReadWriteMany")
        return self

    @model_validator(mode="after")
    def _whole_site(self) -> Self:
        if (self.infra_kubeconfig_secret_ref is None) is not (self.infra_namespace is None):
            raise ValueError("infraKubeconfigSecretRef, infraNamespace: the one needs the other")
        if self.infra_namespace and (self.root_disk or self.eviction != "Replace"):
            raise ValueError("rootDisk, eviction: not with infraKubeconfigSecretRef")
        return self

    @model_validator(mode="after")
    def _sized_once(self) -> Self:
        if self.instancetype and (self.cpus or self.memory):
            raise ValueError("cpus, memory: the instancetype says them")
        if len({disk.name for disk in self.disks}) < len(self.disks):
            raise ValueError("disks: two have the same name")
        return self


class PodOptions(Model):
    """A worker as a privileged pod, for labs and tests: whoever may run pods on it can rule the host's node.

    An administrator of the host allows it, namespace by namespace. A change replaces the pool's machines.
    """

    cpus: Annotated[int, Field(ge=1, le=256)] | None = Field(
        default=None, description="How many CPUs it may use; default: all of the host's node."
    )
    memory: Annotated[str, Field(pattern=QUANTITY, max_length=20)] | None = Field(
        default=None, description="How much memory it may use; default: all of the host's node."
    )
    image: Annotated[str, Field(pattern=IMAGE, max_length=255)] | None = Field(
        default=None, description="Its image; default: the one of the cluster's version."
    )


def _machine_address(text: str) -> str:
    """`text` if it is the IPv4 address of a machine."""
    try:
        found = ipaddress.IPv4Address(text)
    except ValueError:
        raise ValueError("is not an IPv4 address") from None
    if found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified:
        raise ValueError(f"{text} is no address of a machine elsewhere")
    return text


class SshMachine(Model):
    """A machine with containerd, kubelet, kubeadm and nftables, that its nodes' network reaches."""

    address: Annotated[str, Field(max_length=15), AfterValidator(_machine_address)] = Field(
        description="Its IPv4 address, also for the other nodes."
    )
    port: Annotated[int, Field(ge=1, le=65535)] = Field(default=22, description="Where sshd is.")
    host_key: Annotated[str, Field(pattern=HOST_KEY, max_length=800)] | None = Field(
        default=None,
        description="Its host key as in known_hosts: type and base64. Without one, the key that is met first is "
        "recorded, and from then on no other is accepted.",
    )


class SshOptions(Model):
    """Workers on machines that somebody owns, set up by SSH. An administrator of the host allows it for a namespace."""

    user: Annotated[str, Field(pattern=USER, max_length=32)] = Field(
        default="root", description="Who logs in; sudo without a password unless it is root."
    )
    key_secret_ref: SecretRef | None = Field(
        default=None,
        description="The Secret of type kubernetes.io/ssh-auth with the user's private key. Without one nobody is "
        "dialled: `kubeception join-command` says what to run on a machine.",
    )
    machines: tuple[SshMachine, ...] = Field(
        min_length=1,
        max_length=100,
        description="The machines there are; as many as there are replicas become nodes.",
    )

    @field_validator("machines")
    @classmethod
    def _once_each(cls, value: tuple[SshMachine, ...]) -> tuple[SshMachine, ...]:
        places = [(machine.address, machine.port) for machine in value]
        if twice := sorted({f"{a}:{p}" for a, p in places if places.count((a, p)) > 1}):
            raise ValueError(f"{', '.join(twice)}: more than once")
        return value


BLOCKS = ("kubevirt", "pod", "ssh")
"""Each the name of a provider, and of the field with its options."""


NO_KEYS = {
    "pod": "a pod runs no sshd",
    "ssh": "who may log in there is its owner's to say",
}
"""By provider, why a pool lets nobody in by SSH."""


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
    kubelet: KubeletOptions = KubeletOptions()
    user_data: UserData = UserData()
    provider: Literal["kubevirt", "pod", "ssh"] = Field(
        default="kubevirt",
        description="Where the workers come from: virtual machines of the host (kubevirt), pods of it (pod), "
        "or machines that somebody owns (ssh). It can't be changed.",
        validate_default=True,
    )
    kubevirt: KubeVirtOptions | None = Field(default=None, alias="kubevirt")
    pod: PodOptions | None = None
    ssh: SshOptions | None = None
    version: Annotated[str, Field(pattern=VERSION, max_length=10)] | None = Field(
        default=None,
        description="Kubernetes version of the kubelets: not above the control plane's, and at most three "
        "minors below it. Default: the cluster's, after its control plane.",
    )
    paused: bool = Field(
        default=False,
        description="While this is true no machine of the pool is added, drained or replaced.",
    )
    strategy: Strategy = Strategy()
    drain_timeout: Duration = Field(
        default="3m",
        description="After which a machine goes although pods are left on it, such as 90s, 10m or 1h.",
    )
    health: Health = Health()
    autoscaling: Autoscaling | None = None

    @field_validator(*BLOCKS)
    @classmethod
    def _of_its_provider(cls, value: Model | None, info: ValidationInfo) -> Model | None:
        provider = info.data.get("provider", info.field_name)
        if value is not None and provider != info.field_name:
            raise ValueError(f"the provider is {provider}: options of another one mean nothing")
        return value

    @model_validator(mode="after")
    def _logged_in_to(self) -> Self:
        if self.user_data.ssh_authorized_keys and self.provider != "kubevirt":
            raise ValueError(f"userData.sshAuthorizedKeys: {NO_KEYS[self.provider]}")
        return self

    @model_validator(mode="after")
    def _enough_machines(self) -> Self:
        if self.provider != "ssh":
            return self
        if self.ssh is None:
            raise ValueError("ssh: is missing: its machines, and the key to them")
        if self.replicas > len(self.ssh.machines):
            there = len(self.ssh.machines)
            raise ValueError(f"replicas: {self.replicas} asked for, and ssh.machines has {there}")
        return self


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
