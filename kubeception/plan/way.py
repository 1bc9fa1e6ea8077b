"""From outside the host to a tenant's API server: what is dialled at its address inside goes to the one outside.

So does what pods dial at the Service `kubernetes`: a packet's destination is changed once, and kube-proxy would make it
the address inside.
"""

from typing import Final

from kubeception.plan.endpoint import API_PORT, TUNNEL_PORT, Endpoint
from kubeception.plan.network import ipv4
from kubeception.plan.render import text

RULES: Final = "/etc/kubeception/endpoint.nft"
"""Where they are on a machine."""
SERVICE_PORT: Final = 443


def forward(endpoint: Endpoint, service: str) -> str:
    """Nftables rules that lead to the API server and its tunnel from outside the host; empty where none are needed.

    `service` is the address of the tenant's Service `kubernetes`.
    """
    if endpoint.host == endpoint.cluster_ip or ipv4(endpoint.host) is None:
        return ""
    values = {
        "inside": endpoint.cluster_ip,
        "service": service,
        "service_port": SERVICE_PORT,
        "outside": endpoint.host,
        "api_port": API_PORT,
        "outside_api_port": endpoint.port,
        "tunnel_port": TUNNEL_PORT,
        "outside_tunnel_port": endpoint.tunnel_port,
    }
    return text("endpoint.nft.j2", values)
