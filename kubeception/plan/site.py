"""Where machines are that aren't in the host: a namespace of the cluster that a Secret of their pool leads to. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from kubeception import names
from kubeception.api.v1alpha1 import NodePool, TenantClusterSpec
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object
from kubeception.plan.network import ipv4

UNREACHED: Final = "can't reach the API server"


@dataclass(frozen=True)
class Site:
    """A pool's place in another cluster, as its spec says, or as a record in the host remembers."""

    pool: str
    secret: str
    """Name of the Secret, in the namespace of pool and TenantCluster."""
    namespace: str
    """In the cluster that it leads to."""

    @property
    def name(self) -> str:
        """Of its record, and the value of the label on all that is there."""
        return names.site(self.pool, self.secret, self.namespace)

    def labels(self, ctx_id: str) -> dict[str, str]:
        """What tells this tenant's machines there from everything else."""
        return {names.CLUSTER_LABEL: ctx_id, names.SITE_LABEL: self.name}


def site_of(pool: NodePool) -> Site | None:
    """Where the pool's machines are to be; None where that is the host."""
    said = pool.spec.kubevirt
    if said is None or said.infra_kubeconfig_secret_ref is None or said.infra_namespace is None:
        return None
    return Site(pool.name, said.infra_kubeconfig_secret_ref.name, said.infra_namespace)


def record_of(pool: NodePool) -> str:
    """Name of the record of where the pool's machines are to be; empty where that is the host."""
    site = site_of(pool)
    return site.name if site else ""


def problems(spec: TenantClusterSpec, pools: Iterable[NodePool]) -> Iterator[str]:
    """Why machines elsewhere and the API server of such a cluster couldn't reach each other; a line for each pool."""
    exposure, wrong = spec.exposure, ""
    if spec.control_plane.in_machines:
        wrong = "can't be reached by the API server: controlPlane.provider kubevirt has no tunnel"
    elif exposure.type == "ClusterIP":
        wrong = f"{UNREACHED}: spec.exposure.type ClusterIP is an address inside the host only"
    elif exposure.host and ipv4(exposure.host) is None:
        wrong = f"{UNREACHED}: spec.exposure.host: {exposure.host} is not an IPv4 address"
    for pool in pools if wrong else ():
        if site_of(pool):
            field = f"NodePool {pool.name}: spec.kubevirt.infraKubeconfigSecretRef"
            yield f"{field}: machines there {wrong}"


def record(ctx: PlanContext, site: Site, server: str) -> Object:
    """What the host remembers of a place as long as anything may be there: it outlives pool and Secret."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": site.name,
            "namespace": ctx.nodes_namespace,
            "labels": {
                **ctx.labels("machines"),
                names.POOL_LABEL: site.pool,
                names.SITE_LABEL: site.name,
            },
            "finalizers": [names.FINALIZER],
        },
        "data": {"secret": site.secret, "namespace": site.namespace, "server": server},
    }


def recorded(obj: Object) -> Site | None:
    """The place that an object is the record of; None for any other object."""
    labels, data = obj["metadata"].get("labels", {}), obj.get("data", {})
    if obj["kind"] != "ConfigMap" or names.SITE_LABEL not in labels:
        return None
    return Site(labels.get(names.POOL_LABEL, ""), data.get("secret", ""), data.get("namespace", ""))


def left_behind(obj: Object) -> str:
    """What its record says where a place is given up."""
    site, server = recorded(obj), obj.get("data", {}).get("server", "")
    if site is None:
        return ""
    return (
        f"machines of NodePool {site.pool} may be left in namespace {site.namespace} of {server}, "
        f"with label {names.SITE_LABEL}={site.name}"
    )
