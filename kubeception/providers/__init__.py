"""Where nodes come from: each provider turns a machine's name and its bootstrap into something that boots."""

from collections.abc import Iterable

from kubeception.api.v1alpha1 import NodePool, TenantCluster
from kubeception.errors import UsageError
from kubeception.kube.client import Cluster
from kubeception.plan.facts import Object
from kubeception.plan.site import site_of
from kubeception.providers.base import Machine, NodeProvider
from kubeception.providers.kubevirt import KubeVirt
from kubeception.providers.pod import PodProvider
from kubeception.providers.ssh import Ssh

PROVIDERS: dict[str, NodeProvider] = {
    each.name: each for each in (KubeVirt(), PodProvider(), Ssh())
}


def provider(name: str) -> NodeProvider:
    """The provider of this name.

    Raises UsageError for a name nobody provides.
    """
    if name not in PROVIDERS:
        raise UsageError(f"no node provider {name!r}", hint=f"There are: {', '.join(PROVIDERS)}.")
    return PROVIDERS[name]


def machines(objects: Iterable[Object]) -> list[Machine]:
    """The machines that these objects are, of every provider."""
    known = list(objects)
    return [machine for each in PROVIDERS.values() for machine in each.machines(known)]


def preflight(
    host: Cluster, pools: Iterable[NodePool], cluster: TenantCluster | None = None
) -> None:
    """Raise KubeceptionError, naming what to install, when the host can't run the machines of these pools.

    Of a cluster whose control plane is in machines, those too.
    """
    wanted = {p.spec.provider for p in pools if p.spec.replicas and site_of(p) is None}
    if cluster and cluster.spec.control_plane.in_machines:
        wanted.add(cluster.spec.control_plane.provider)
    for name in sorted(wanted):
        provider(name).preflight(host)
