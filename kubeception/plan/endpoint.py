"""Where a tenant's API server and its tunnel are reached."""

from dataclasses import dataclass
from typing import Final

from kubeception.api.v1alpha1 import Exposure
from kubeception.plan.facts import Facts, Object

API_SERVICE: Final = "kube-apiserver"
ETCD_SERVICE: Final = "etcd"
API_PORT: Final = 6443
ETCD_PORT: Final = 2379
TUNNEL_PORT: Final = 8132


@dataclass(frozen=True)
class Endpoint:
    """Addresses of one tenant's API server."""

    cluster_ip: str
    """The Service's address inside the host cluster: what the host's own machines, VMs too, connect to."""
    host: str
    """Address or name for everybody else; the ClusterIP while there is no other."""
    port: int
    pending: bool = False
    """True while a load balancer still owes its address."""
    extra_sans: tuple[str, ...] = ()
    tunnel_port: int = TUNNEL_PORT
    """The tunnel's port at `host`."""

    @property
    def authority(self) -> str:
        """Host and port, as in a URL."""
        return f"{_bracketed(self.host)}:{self.port}"

    @property
    def url(self) -> str:
        """What kubeconfigs for people name."""
        return f"https://{self.authority}"

    @property
    def internal_url(self) -> str:
        """What machines inside the host cluster use."""
        return f"https://{_bracketed(self.cluster_ip)}:{API_PORT}"

    @property
    def sans(self) -> tuple[str, ...]:
        """Every address or name the serving certificate must cover because somebody dials it."""
        return tuple(dict.fromkeys((self.cluster_ip, self.host, *self.extra_sans)))


def cluster_ip(facts: Facts, namespace: str, service: str) -> str:
    """The address the host gave a Service, or nothing as long as it has none."""
    seen = facts.seen("Service", namespace, service)
    return str(seen["spec"].get("clusterIP", "")) if seen else ""


def endpoint_of(exposure: Exposure, facts: Facts, namespace: str) -> Endpoint | None:
    """The endpoint, from the Service the host returned; None as long as that has no ClusterIP."""
    service = facts.seen("Service", namespace, API_SERVICE)
    address = cluster_ip(facts, namespace, API_SERVICE)
    if not service or not address:
        return None
    host, port, pending = _outside(exposure, facts, service, address)
    tunnel = _node_port(service, TUNNEL_PORT) if exposure.type == "NodePort" else 0
    return Endpoint(
        address,
        exposure.host or host,
        port,
        pending,
        exposure.extra_sans,
        tunnel or TUNNEL_PORT,
    )


def _node_port(service: Object, port: int) -> int:
    """The port by which a Service's port is reached on nodes; 0 where there is none."""
    return next((p.get("nodePort", 0) for p in service["spec"]["ports"] if p["port"] == port), 0)


def _outside(
    exposure: Exposure, facts: Facts, service: Object, address: str
) -> tuple[str, int, bool]:
    """Host and port as seen from outside the host cluster, and whether the host is still to come."""
    if exposure.type == "NodePort":
        node_port = _node_port(service, API_PORT)
        if node_port and facts.host.node_addresses:
            return facts.host.node_addresses[0], node_port, False
    if exposure.type == "LoadBalancer":
        for ingress in service.get("status", {}).get("loadBalancer", {}).get("ingress", ()):
            return ingress.get("ip") or ingress["hostname"], API_PORT, False
        return address, API_PORT, exposure.host is None
    return address, API_PORT, False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
