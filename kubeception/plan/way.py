"""From outside the host to a tenant's API server: what is dialled at its address inside goes to the one outside."""

from typing import Final

from kubeception.plan.endpoint import API_PORT, TUNNEL_PORT, Endpoint
from kubeception.plan.network import ipv4
from kubeception.plan.render import text

RULES: Final = "/etc/kubeception/endpoint.nft"
"""Where they are on a machine."""


def forward(endpoint: Endpoint) -> str:
    """Nftables rules that lead to the API server and its tunnel from outside the host; empty where none are needed."""
    if endpoint.host == endpoint.cluster_ip or ipv4(endpoint.host) is None:
        return ""
    values = {
        "inside": endpoint.cluster_ip,
        "outside": endpoint.host,
        "api_port": API_PORT,
        "outside_api_port": endpoint.port,
        "tunnel_port": TUNNEL_PORT,
        "outside_tunnel_port": endpoint.tunnel_port,
    }
    return text("endpoint.nft.j2", values)
