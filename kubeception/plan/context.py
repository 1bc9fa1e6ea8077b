"""What a component may see: the spec, the facts, and what follows from both."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kubeception import names
from kubeception.api.v1alpha1 import NodePool, RootDisk, TenantCluster, TenantClusterSpec
from kubeception.plan.endpoint import Endpoint, endpoint_of
from kubeception.plan.facts import Facts, Object, bears
from kubeception.plan.keys import KeySource
from kubeception.plan.network import NetworkPlan, plan_network
from kubeception.plan.pki import Pki
from kubeception.plan.render import manifest
from kubeception.plan.versions import image


@dataclass(frozen=True)
class PlanContext:
    """One tenant at one moment.

    A new one is made after each component, with what the host returned.
    """

    cluster: TenantCluster
    pools: tuple[NodePool, ...]
    facts: Facts
    keys: KeySource
    judged: set[Hashable] = field(default_factory=set, repr=False, compare=False)
    """Key material that was found good in this pass, by all that was looked at: once is enough."""

    @property
    def spec(self) -> TenantClusterSpec:
        return self.cluster.spec

    def version_of(self, pool: NodePool) -> str:
        """Kubernetes version of a pool's kubelets."""
        return pool.spec.version or self.spec.version

    @cached_property
    def id(self) -> str:
        """Value of the cluster label."""
        return names.cluster_id(self.cluster.metadata.uid, self.cluster.name)

    @cached_property
    def namespace(self) -> str:
        """Host namespace of the control plane."""
        return names.control_plane_namespace(self.cluster.metadata.uid, self.cluster.name)

    @cached_property
    def nodes_namespace(self) -> str:
        """Host namespace of the worker machines."""
        return names.nodes_namespace(self.cluster.metadata.uid, self.cluster.name)

    @cached_property
    def network(self) -> NetworkPlan:
        """The tenant's ranges: those it already has, those its spec asks for, or free ones.

        Raises SpecError where the spec's own ranges overlap something.
        """
        return plan_network(self.cluster, self.facts, self.namespace)

    @cached_property
    def endpoint(self) -> Endpoint | None:
        """Where the API server is reached; None until the host has given its Service an address."""
        return endpoint_of(self.spec.exposure, self.facts, self.namespace)

    @cached_property
    def pki(self) -> Pki:
        """Certificates and keys: what exists and is valid is kept, what is missing is issued."""
        return Pki(self)

    def permits(self, guard: str) -> bool:
        """Whether the TenantCluster's namespace bears a label, `true`, that its host's administrators alone can set."""
        space = self.facts.seen("Namespace", "", self.cluster.namespace) or {"metadata": {}}
        return bears(space, guard)

    @property
    def host_classes(self) -> list[str]:
        """StorageClasses of the host that are asked for, and that it offers."""
        asked = {c.host_storage_class for c in self.spec.storage.classes}
        return sorted(asked & {*self.facts.host.offered_classes})

    @property
    def root_classes(self) -> list[str]:
        """StorageClasses of the host that machines have their root disks on; an empty one where none is named."""
        options = (pool.spec.kubevirt for pool in self.pools)
        return sorted({self.root_class(o.root_disk) for o in options if o and o.root_disk})

    def root_class(self, disk: RootDisk) -> str:
        """StorageClass of the host that a root disk is on: the one it names, or else the host's default one."""
        return disk.storage_class_name or self.facts.host.default_storage_class

    @property
    def pod_nodes(self) -> bool:
        """Whether nodes are to be privileged pods, and may."""
        asked = any(pool.spec.provider == "pod" for pool in self.pools)
        return asked and self.permits(names.ALLOW_POD_NODES)

    def seen(self, kind: str, name: str) -> Object | None:
        """A host object of the control plane's namespace, as last returned, or None."""
        return self.facts.seen(kind, self.namespace, name)

    def manifest(self, template: str, **values: Any) -> Object:
        """The object that manifests/components/`template` renders with these values.

        `ctx` is always among them.
        """
        return manifest(f"components/{template}", {"ctx": self, **values})

    def image(self, name: str, version: str = "") -> str:
        """The image of `name`, a key of plan.versions.IMAGES, for the tenant's version or another one.

        It bears a digest where the host takes none without. Raises SpecError where that isn't known.
        """
        return self.facts.host.images.pinned(image(name, version or self.spec.version))

    def labels(self, component: str) -> Mapping[str, str]:
        """The labels every host object of a component carries."""
        return {names.CLUSTER_LABEL: self.id, names.COMPONENT_LABEL: component}
