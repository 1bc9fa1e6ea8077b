"""kubeconfig documents: one cluster, one user, one context."""

import base64
from typing import Any


def kubeconfig(
    *,
    name: str,
    server: str,
    ca: bytes,
    user: str = "",
    cert: bytes = b"",
    key: bytes = b"",
    token: str = "",
    tls_server_name: str = "",
) -> dict[str, Any]:
    """A kubeconfig for `server` as `user`, by client certificate (PEM) or token; context and cluster are `name`."""
    cluster = {"server": server, "certificate-authority-data": _base64(ca)}
    if tls_server_name:
        cluster["tls-server-name"] = tls_server_name
    credentials = (
        {"token": token}
        if token
        else {"client-certificate-data": _base64(cert), "client-key-data": _base64(key)}
    )
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
