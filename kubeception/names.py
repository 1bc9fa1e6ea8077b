"""Every name, label, annotation and finalizer this project writes, and what keeps them short.

A name made from something a person chose carries a hash, so that cutting it to length can't make
two of them equal.
"""

import hashlib
from typing import Final

GROUP: Final = "kubeception.io"
API_VERSION: Final = f"{GROUP}/v1alpha1"

CLUSTER_LABEL: Final = f"{GROUP}/cluster"
"""Value: the cluster id; on every host object of a tenant."""
COMPONENT_LABEL: Final = f"{GROUP}/component"
CLUSTER_FIELD: Final = "spec.clusterRef.name"
"""Of a NodePool: the TenantCluster it belongs to."""
POOL_LABEL: Final = f"{GROUP}/node-pool"
PROVIDER_LABEL: Final = f"{GROUP}/provider"
"""On a machine that is of a kind others are of too: the name of its node provider."""
MACHINE_LABEL: Final = f"{GROUP}/machine"
BY_HAND_LABEL: Final = f"{GROUP}/by-hand"
"""On the bootstrap token that somebody took for a machine (`join-command`)."""
SITE_LABEL: Final = f"{GROUP}/site"
"""On what is in another cluster than the host, and on the record of it here: the name of that record."""

OWNER_ANNOTATION: Final = f"{GROUP}/owner"
"""On a tenant's namespaces: `namespace/name` of its TenantCluster."""
OWNER_UID_ANNOTATION: Final = f"{GROUP}/owner-uid"
POD_CIDR_ANNOTATION: Final = f"{GROUP}/pod-cidr"
SERVICE_CIDR_ANNOTATION: Final = f"{GROUP}/service-cidr"
INSTANCE_ANNOTATION: Final = f"{GROUP}/instance"
"""On a machine: the uid of the instance that became its node."""
MEMBER_ANNOTATION: Final = f"{GROUP}/member"
"""On a machine of a control plane: the uid of the instance that became part of it."""
DRAINING_ANNOTATION: Final = f"{GROUP}/draining-since"
"""On a machine that is to go: when its node was first asked to empty itself."""
IDLE_ANNOTATION: Final = f"{GROUP}/idle-since"
"""On a machine of an autoscaled pool: since when nobody needs its node."""
EVICTION_ANNOTATION: Final = f"{GROUP}/eviction"
"""On a machine: what becomes of it when its host node is emptied, unless it is drained and replaced."""
TEMPLATE_ANNOTATION: Final = f"{GROUP}/template"
"""On a machine: the hash of what of its pool's spec it was made from."""
APPLIED_ANNOTATION: Final = f"{GROUP}/applied"
"""The hash of the manifest as it was last applied."""

REPLICAS_ANNOTATION: Final = f"{GROUP}/replicas"
"""On a workload that grows with the nodes: how many replicas we gave it last, whatever others have made of that."""

CONFIG_ANNOTATION: Final = f"{GROUP}/config"
"""On a pod template: the hash of what its processes read only when they start."""

ENCRYPTION_KEYS_ANNOTATION: Final = f"{GROUP}/encryption-keys"
"""On a pod template of the control plane: the keys it is started with, by commas, the one it writes with first;
without it, with the first key alone."""
REWRITTEN_ANNOTATION: Final = f"{GROUP}/rewritten"
"""On the Secret with kube-apiserver's encryption configuration: uid and generation of the control plane's Deployment
since which every Secret was stored anew."""
ROTATION_ANNOTATION: Final = f"{GROUP}/rotation"
"""On the Secret of an encryption key: what the spec said when it was made."""

TENANT_SERVICE_ANNOTATION: Final = f"{GROUP}/tenant-service"
"""On a Service of the host that is a tenant's load balancer: `namespace/name` of the tenant's own."""
LOAD_BALANCER_CLASS: Final = f"{GROUP}/host"
"""`loadBalancerClass` of a tenant's Services that its host is to serve, as it does those without one."""
LOAD_BALANCER_CONDITION: Final = f"{GROUP}/LoadBalancer"
"""Of a tenant's Service: whether its host serves it, and why not."""

PAUSED_ANNOTATION: Final = f"{GROUP}/paused"
"""On a TenantCluster, `true`: nothing is changed, as with `spec.paused`."""
PROTECTED_ANNOTATION: Final = f"{GROUP}/deletion-protection"
"""On a TenantCluster, `true`: it can't be deleted."""
PROTECTION_POLICY: Final = "kubeception-deletion-protection"
"""The ValidatingAdmissionPolicy that keeps protected TenantClusters."""
SERVICE_POLICY: Final = "kubeception-services"
"""The one that keeps Services in namespaces of tenants to what they are for."""
ACCEPTED_ANNOTATION: Final = f"{GROUP}/accepted-version"
"""On a KubeVirt: its version, where the host's administrators take it as it is, holes and all."""
RETAINED_ANNOTATION: Final = f"{GROUP}/retained-since"
"""On the control plane's namespace of a tenant that was deleted with `deletionPolicy: Retain`."""

FINALIZER: Final = f"{GROUP}/delete"
FIELD_MANAGER: Final = "kubeception"

TENANT_LABEL: Final = f"{GROUP}/tenant-cluster"
"""On the Lease of who works on a TenantCluster: its name."""
SYSTEM_NAMESPACE: Final = "kubeception-system"
"""Where the operator runs."""
OPERATOR: Final = "kubeception-operator"
"""Name of the operator's Deployment, accounts and Lease."""

ALLOW_POD_NODES: Final = f"{GROUP}/allow-pod-nodes"
"""On the namespace of TenantClusters, `true`: their nodes may be privileged pods of the host."""
ALLOW_SSH_NODES: Final = f"{GROUP}/allow-ssh-nodes"
"""The same, `true`: addresses that their authors name may be dialled from the host, by SSH."""
ALLOW_INFRA_CLUSTERS: Final = f"{GROUP}/allow-infra-clusters"
"""The same, `true`: their machines may be in other clusters, whose API servers are dialled from the host."""

OFFERED_LABEL: Final = f"{GROUP}/offered"
"""On a StorageClass of the host, `true`: tenants may have volumes of it."""
STORAGE_CLASSES_ANNOTATION: Final = f"{GROUP}/storage-classes"
"""On the namespace of a tenant's machines: the StorageClasses of which there may be volumes in it, by commas."""
GUARDED_LABEL: Final = f"{GROUP}/guarded"
"""On the same, `true`: there are no volumes in it but of those classes."""
STORAGE: Final = "kubeception-storage"
"""What the storage driver may do, on either side, and the ValidatingAdmissionPolicy that keeps it from more."""
STORAGE_ACCOUNT: Final = "storage-controller"
"""The storage driver's ServiceAccount, in the namespace of its tenant's control plane."""

IMAGES: Final = "kubeception-images"
"""The ConfigMap beside the operator that says which images tenants' namespaces may have, and the policy for that."""

PRIORITY_CLASS: Final = "kubeception-control-plane"
"""Of every tenant's control plane; cluster-scoped, shared, never removed with a tenant."""

OPERATOR_USER: Final = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{OPERATOR}"
"""Who the operator is to the host's API server."""
TENANT_ROLE: Final = "kubeception-tenant"
"""The ClusterRole of what the operator may do in a tenant's namespaces; a RoleBinding in each of them gives it."""

LABEL_LIMIT: Final = 63
"""Octets of a DNS label (RFC 1123), which is also the limit of a label's value."""
CLUSTER_NAME_LIMIT: Final = 40


def digest(*parts: str, length: int = 8) -> str:
    """`length` hex digits that tell these parts from any others, however they are split."""
    whole = "\0".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(whole.encode()).hexdigest()[:length]


def fit(prefix: str, name: str, *unique: str, limit: int = LABEL_LIMIT) -> str:
    """`prefix-name-hash`, with the name cut so that all of it fits.

    The hash is of `unique`, or else of the name.
    """
    tail = digest(*(unique or (name,)))
    room = limit - len(prefix) - len(tail) - 2
    return f"{prefix}-{name[:room].rstrip('-.')}-{tail}"


def cluster_id(uid: str, name: str) -> str:
    """The value of `CLUSTER_LABEL`: tells a tenant from all others, also later ones of its name."""
    return digest(uid, name, length=16)


TENANT_PREFIX: Final = "kc-"
"""How the name of every host namespace of a tenant begins."""
NODES_PREFIX: Final = "kc-nodes-"
"""The same of those of worker machines."""


def control_plane_namespace(uid: str, name: str) -> str:
    """The host namespace of a tenant's control plane."""
    return fit("kc", name, uid, name)


def nodes_namespace(uid: str, name: str) -> str:
    """The host namespace of a tenant's worker machines."""
    return fit(NODES_PREFIX.rstrip("-"), name, uid, name)


def lease(tenant: str) -> str:
    """The Lease of who works on a TenantCluster, in its namespace."""
    return fit("kubeception", tenant)


def worker_pool(cluster: str) -> str:
    """The NodePool that `--workers` of a command means."""
    name = f"{cluster}-workers"
    if len(name) <= CLUSTER_NAME_LIMIT:
        return name
    return f"{cluster[: CLUSTER_NAME_LIMIT - 17].rstrip('-')}-{digest(cluster)}-workers"


def control_plane_pool(cluster: str) -> str:
    """What the machines of a control plane are called, were they a NodePool."""
    name = f"{cluster}-control-plane"
    if len(name) <= CLUSTER_NAME_LIMIT:
        return name
    return f"{cluster[: CLUSTER_NAME_LIMIT - 23].rstrip('-')}-{digest(cluster)}-control-plane"


def machine(pool: str, unique: bytes) -> str:
    """The name of a machine and of its node; `unique` is random."""
    return f"{pool}-{unique.hex()}"


def pool_of(machine: str) -> str:
    """The pool that a machine of this name would be of."""
    return machine.rpartition("-")[0]


def site(pool: str, secret: str, namespace: str) -> str:
    """The record of where the machines of a pool are: a namespace in the cluster that a Secret leads to."""
    return fit("infra", pool, pool, secret, namespace)
