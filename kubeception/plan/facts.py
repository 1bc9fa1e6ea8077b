"""What was observed of the host and of what stands there: frozen values a plan is computed from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from kubeception.plan.images import Images

Object = dict[str, Any]
"""A Kubernetes object as its API server returns it."""

Key = tuple[str, str, str]
"""(kind, namespace, name); the namespace of a cluster-scoped object is empty."""


def key_of(obj: Mapping[str, Any]) -> Key:
    """The key of an object."""
    meta = obj["metadata"]
    return (obj["kind"], meta.get("namespace", ""), meta["name"])


@dataclass(frozen=True)
class Level:
    """The addresses that one of the clusters uses that a host is in."""

    pods: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bound:
    """How many clusters may be in one of those that a host is in, or in the host itself, and how deep."""

    name: str = ""
    clusters: int | None = None
    depth: int | None = None
    elsewhere: int = 0
    """Clusters in it that are not in the host."""

    @property
    def limited(self) -> bool:
        """Whether it bounds anything."""
        return self.clusters is not None or self.depth is not None


@dataclass(frozen=True)
class HostFacts:
    """The host cluster, filled by engine/observe.py."""

    version: str = ""
    """gitVersion of its API server."""
    pod_cidrs: tuple[str, ...] = ()
    """Ranges its pods and nodes' pods use, as far as the API tells."""
    service_cidrs: tuple[str, ...] = ()
    node_addresses: tuple[str, ...] = ()
    """One address (ExternalIP, else InternalIP) of each Ready, schedulable node, in stable order."""
    tenant_cidrs: tuple[str, ...] = ()
    """Pod and service ranges that other tenants hold (annotations of their namespaces)."""
    default_storage_class: str = ""
    offered_classes: tuple[str, ...] = ()
    """StorageClasses its administrators let tenants have volumes of."""
    data_volumes: bool = False
    """Whether it serves DataVolumes (CDI)."""
    registry_mirror: str = ""
    """`host:port` of the registry nodes use as mirror (KEP-1755, hostFromClusterNetwork)."""
    images: Images = field(default_factory=Images)
    """Which images it may be made to pull, and their digests, where an operator is installed."""
    operator: bool = False
    """Whether an operator is installed, which needs rights of its own in tenants' namespaces."""
    above: tuple[Level, ...] = ()
    """The clusters it is in, the outermost first; none where it is nobody's tenant."""
    bounds: tuple[Bound, ...] = ()
    """The budgets of the tenants it is in, the outermost first, and its own."""
    tenants: Mapping[str, int] = field(default_factory=dict)
    """By the uid of each tenant it has, how many clusters are in that; looked at where a budget above counts them."""


def bears(obj: Object, label: str) -> bool:
    """Whether an object bears a label with the value `true`."""
    return bool(obj["metadata"].get("labels", {}).get(label) == "true")


@dataclass(frozen=True)
class Referred:
    """What a spec names and somebody else writes: an object in the namespace of the TenantCluster."""

    found: Object | None = field(default=None, repr=False)
    problem: str = ""
    """Why there is none; empty where there is."""


@dataclass(frozen=True)
class Facts:
    """Everything the plan may know beyond the spec."""

    now: datetime
    host: HostFacts = HostFacts()
    objects: Mapping[Key, Object] = field(default_factory=dict, repr=False)
    """The tenant's host objects, as its API server last returned them: Secrets, Services …"""
    tenant_objects: Mapping[Key, Object] = field(default_factory=dict, repr=False)
    """Objects of the tenant's own API, as far as they were applied or read in this pass."""
    manifest: Referred | None = None
    """The ConfigMap that `networking.manifestRef` names; None where nobody has looked. It is the author's own,
    so it isn't among `objects`: no label of it means anything."""
    served: Mapping[tuple[str, str], bool] = field(default_factory=dict, repr=False)
    """By apiVersion and kind, whether objects are in namespaces: those of the manifest that the tenant's API has."""

    def seen(self, kind: str, namespace: str, name: str) -> Object | None:
        """A host object, or None when it doesn't exist (yet)."""
        return self.objects.get((kind, namespace, name))

    def with_objects(self, objects: Iterable[Object]) -> "Facts":
        """These facts after the host returned `objects`."""
        return replace(self, objects={**self.objects, **{key_of(o): o for o in objects}})

    def with_tenant_objects(self, objects: Iterable[Object]) -> "Facts":
        """These facts after the tenant returned `objects`."""
        merged = {**self.tenant_objects, **{key_of(o): o for o in objects}}
        return replace(self, tenant_objects=merged)
