"""Reading: the tenant's own objects in the host, the host itself, and the tenant's API."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import yaml

from kubeception import names
from kubeception.api.v1alpha1 import NodePool, TenantCluster, parse_cluster, parse_pool
from kubeception.components.network import RECORD, CustomNetwork, recorded
from kubeception.engine.parallel import together
from kubeception.errors import ApiError
from kubeception.kube.client import Cluster
from kubeception.kube.conditions import is_true
from kubeception.kube.kinds import KINDS
from kubeception.plan import budget, lineage
from kubeception.plan.facts import Facts, HostFacts, Object, Referred, bears
from kubeception.plan.images import images
from kubeception.plan.manifest import parse
from kubeception.providers import PROVIDERS

CONTROL_PLANE_KINDS: Final = (
    "ConfigMap",
    "Deployment",
    "LimitRange",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "Pod",
    "ResourceQuota",
    "RoleBinding",
    "Secret",
    "Service",
    "ServiceAccount",
    "StatefulSet",
)
"""What components put into a tenant's control plane namespace, and what its controllers add that they look at."""

NODES_KINDS: Final = (
    "ConfigMap",
    "LimitRange",
    "NetworkPolicy",
    "ResourceQuota",
    "RoleBinding",
    "Secret",
)
"""What is in a tenant's nodes namespace, beside the machines; records of machines elsewhere among it."""

TENANT_KINDS: Final = (
    "APIService",
    "CSIDriver",
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "DaemonSet",
    "Deployment",
    "Namespace",
    "PodDisruptionBudget",
    "Role",
    "RoleBinding",
    "Secret",
    "Service",
    "ServiceAccount",
    "StorageClass",
)
"""What components put into the tenant itself."""

LOAD_BALANCERS: Final = "spec.type=LoadBalancer"
"""Field selector of the Services that a tenant wants its host to serve."""

DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
DATA_VOLUMES: Final = "/apis/cdi.kubevirt.io/v1beta1"
"""What CDI serves, which fills the disks of machines."""
CONTROL_PLANE_ROLE: Final = "node-role.kubernetes.io/control-plane"
ASSUMED_SERVICE_PREFIX: Final = 12
"""Of the service range of a host that doesn't tell: kubeadm's default."""


def find_cluster(host: Cluster, namespace: str, name: str) -> TenantCluster | None:
    """The TenantCluster, or None; SpecError for one that this version can't read."""
    found = host.get("TenantCluster", name, namespace)
    return parse_cluster(found) if found else None


def find_pools(host: Cluster, cluster: TenantCluster) -> tuple[NodePool, ...]:
    """The node pools that belong to a cluster.

    The host is asked for those only; one before Kubernetes 1.31, or with an older definition of the kind,
    refuses that, and gives all there are.
    """
    try:
        mine = f"{names.CLUSTER_FIELD}={cluster.name}"
        found = host.list("NodePool", cluster.namespace, fields=mine)
    except ApiError as error:
        if error.status != HTTPStatus.BAD_REQUEST:
            raise
        found = host.list("NodePool", cluster.namespace)
    of_it = [o for o in found if o["spec"].get("clusterRef", {}).get("name") == cluster.name]
    return tuple(parse_pool(obj) for obj in of_it if "deletionTimestamp" not in obj["metadata"])


def observe_objects(host: Cluster, cluster: TenantCluster) -> list[Object]:
    """Everything of a tenant in the host, and the namespace its TenantCluster is in."""
    uid, name = cluster.metadata.uid, cluster.name
    own = names.control_plane_namespace(uid, name)
    nodes = names.nodes_namespace(uid, name)
    named = (own, nodes, cluster.namespace)
    spaces = together(partial(host.get, "Namespace", space) for space in named)
    calls = []
    if spaces[0]:
        calls += [partial(host.list, kind, own) for kind in CONTROL_PLANE_KINDS]
        if cluster.spec.control_plane.in_machines:
            calls.append(partial(host.list, "EndpointSlice", own))
    if spaces[1]:
        calls += [partial(host.list, kind, nodes) for kind in NODES_KINDS]
        calls += [
            partial(host.list, kind, nodes, labels=provider.selector)
            for provider in PROVIDERS.values()
            for kind in provider.kinds
            if kind not in NODES_KINDS
        ]
    return [*filter(None, spaces), *_flat(together(calls))]


def observe_tenant(tenant: Cluster) -> list[Object]:
    """What was put into a tenant, its nodes, certificate requests, bootstrap tokens and load balancers."""
    component, machine = names.COMPONENT_LABEL, names.MACHINE_LABEL
    calls = [partial(tenant.list, kind, labels=component) for kind in TENANT_KINDS]
    calls += [
        partial(tenant.list, "Node"),
        partial(tenant.list, "CertificateSigningRequest"),
        partial(tenant.list, "Secret", "kube-system", labels=machine),
        partial(tenant.list, "Service", fields=LOAD_BALANCERS),
    ]
    return _flat(together(calls))


def observe_manifest(host: Cluster, cluster: TenantCluster) -> Referred | None:
    """The ConfigMap with the tenant's own network, where its spec names one."""
    ref = cluster.spec.networking.manifest_ref
    if ref is None:
        return None
    what = f"ConfigMap {cluster.namespace}/{ref.name}"
    try:
        found = host.get("ConfigMap", ref.name, cluster.namespace)
    except ApiError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        return Referred(problem=f"{what} can't be read: {error.message}")
    return Referred(found) if found else Referred(problem=f"{what} does not exist")


def observe_network(tenant: Cluster, facts: Facts) -> Facts:
    """These facts with the kinds that the tenant's own network is made of, and what is there of them.

    Kinds that it was made of before stand in a record, so that what is left of them is found.
    """
    manifest = parse(facts.manifest.found) if facts.manifest and facts.manifest.found else None
    record = facts.tenant_objects.get(RECORD, {})
    if manifest is None and not record:
        return facts
    kinds = [*(manifest.kinds if manifest else ()), *recorded(record)]
    unknown = [api for api, kind in dict.fromkeys(kinds) if not tenant.served(api, kind)]
    unknown += [api for api, kind in kinds if kind not in KINDS]  # which come and go
    together([partial(tenant.learn, api) for api in dict.fromkeys(unknown)])
    found = {key: known for key in kinds if (known := tenant.served(*key))}
    listed = [known for (_, kind), known in found.items() if kind not in TENANT_KINDS]
    label = f"{names.COMPONENT_LABEL}={CustomNetwork.name}"
    objects = _flat(together([partial(tenant.list, kind, labels=label) for kind in listed]))
    served = {key: known.namespaced for key, known in found.items()}
    return replace(facts.with_tenant_objects(objects), served=served)


def observe_host(host: Cluster) -> HostFacts:
    """The host cluster itself, as far as its API tells and this user may read it."""
    namespaces, nodes, ranges, classes = together(
        [
            partial(host.list, "Namespace", labels=names.CLUSTER_LABEL),
            partial(host.list, "Node"),
            partial(host.list, "ServiceCIDR"),
            partial(host.list, "StorageClass"),
        ]
    )
    single: list[Callable[[], Any]] = [
        partial(host.get, "ConfigMap", "local-registry-hosting", "kube-public"),
        partial(host.get, "ConfigMap", "kubeadm-config", "kube-system"),
        partial(host.get, "Service", "kubernetes", "default"),
        partial(host.get, "ServiceAccount", names.OPERATOR, names.SYSTEM_NAMESPACE),
        partial(host.get, "ConfigMap", lineage.NAME, lineage.NAMESPACE),
        partial(host.get, "ConfigMap", names.IMAGES, names.SYSTEM_NAMESPACE),
        partial(host.raw, DATA_VOLUMES),
    ]
    registry, kubeadm, api, operator, above, listed, data_volumes = together(single)
    bounds = budget.parse(above)
    counted = any(bound.clusters is not None for bound in bounds)
    networking = _yaml(kubeadm, "ClusterConfiguration").get("networking") or {}
    return HostFacts(
        version=host.version(),
        pod_cidrs=_unique([*_split(networking.get("podSubnet")), *_pod_cidrs(nodes)]),
        service_cidrs=_service_cidrs(ranges, networking.get("serviceSubnet"), api),
        node_addresses=_addresses(nodes),
        tenant_cidrs=_unique(_tenant_cidrs(namespaces)),
        default_storage_class=_default_class(classes),
        offered_classes=_offered_classes(classes),
        data_volumes=data_volumes is not None,
        registry_mirror=_mirror(registry),
        images=images(None if listed is None else listed.get("data") or {}),
        operator=operator is not None,
        above=lineage.parse(above),
        bounds=bounds,
        tenants=_tenants(namespaces, host.list("TenantCluster")) if counted else {},
    )


def facts(now: datetime, host: HostFacts, objects: Iterable[Object]) -> Facts:
    """What the plan is computed from."""
    return Facts(now, host).with_objects(objects)


def _flat(lists: Iterable[list[Object]]) -> list[Object]:
    return [obj for objects in lists for obj in objects]


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _yaml(config_map: Object | None, key: str) -> Object:
    try:
        found = yaml.safe_load((config_map or {}).get("data", {}).get(key, "")) or {}
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def _pod_cidrs(nodes: Iterable[Object]) -> Iterator[str]:
    for node in nodes:
        yield from node["spec"].get("podCIDRs") or ()


def _tenant_cidrs(namespaces: Iterable[Object]) -> Iterator[str]:
    for namespace in namespaces:
        annotations = namespace["metadata"].get("annotations", {})
        for key in (names.POD_CIDR_ANNOTATION, names.SERVICE_CIDR_ANNOTATION):
            if key in annotations:
                yield from _split(annotations[key])


def _tenants(namespaces: Iterable[Object], clusters: Iterable[Object]) -> dict[str, int]:
    """The tenants that have a control plane's namespace, each with how many clusters are in it."""
    inside = {obj["metadata"]["uid"]: budget.inside(obj) for obj in clusters}
    marks = [namespace["metadata"].get("annotations", {}) for namespace in namespaces]
    found = [
        mark.get(names.OWNER_UID_ANNOTATION, "")
        for mark in marks
        if names.POD_CIDR_ANNOTATION in mark and names.RETAINED_ANNOTATION not in mark
    ]
    return {uid: inside.get(uid, 0) for uid in found}


def _service_cidrs(
    ranges: Iterable[Object], subnet: str | None, api: Object | None
) -> tuple[str, ...]:
    said = [cidr for item in ranges for cidr in item["spec"].get("cidrs", ())]
    if found := _unique([*said, *_split(subnet)]):
        return found
    address = (api or {}).get("spec", {}).get("clusterIP", "")
    try:
        return (str(ipaddress.IPv4Network(f"{address}/{ASSUMED_SERVICE_PREFIX}", strict=False)),)
    except ValueError:
        return ()


def _addresses(nodes: Iterable[Object]) -> tuple[str, ...]:
    """One address of each node that can carry traffic, those of control planes first."""

    def usable(node: Object) -> bool:
        return is_ready(node) and not node["spec"].get("unschedulable")

    def rank(node: Object) -> tuple[bool, str]:
        labels = node["metadata"].get("labels", {})
        return (CONTROL_PLANE_ROLE not in labels, node["metadata"]["name"])

    ordered = sorted(filter(usable, nodes), key=rank)
    return tuple(filter(None, (_address(node) for node in ordered)))


def _address(node: Object) -> str:
    found = {a["type"]: a["address"] for a in node.get("status", {}).get("addresses", ())}
    return str(found.get("ExternalIP") or found.get("InternalIP") or "")


def is_ready(node: Object) -> bool:
    """Whether a Node says it is ready."""
    return is_true(node, "Ready")


def _default_class(classes: Iterable[Object]) -> str:
    """The default StorageClass; of several the newest, as the API server chooses."""
    found = [
        c for c in classes if c["metadata"].get("annotations", {}).get(DEFAULT_CLASS) == "true"
    ]
    found.sort(key=lambda c: (c["metadata"]["creationTimestamp"], c["metadata"]["name"]))
    return str(found[-1]["metadata"]["name"]) if found else ""


def _offered_classes(classes: Iterable[Object]) -> tuple[str, ...]:
    """The StorageClasses that bear the label of an offer."""
    return tuple(sorted(c["metadata"]["name"] for c in classes if bears(c, names.OFFERED_LABEL)))


def _mirror(config_map: Object | None) -> str:
    """`host:port` of the registry that KEP-1755's ConfigMap names for use from inside the cluster."""
    hosting = _yaml(config_map, "localRegistryHosting.v1")
    mirror = str(hosting.get("hostFromClusterNetwork") or "")
    return mirror if re.fullmatch(r"[A-Za-z0-9.:-]+", mirror) else ""
