"""The host's API as a pod reaches it: by its service account, whose token is replaced now and then."""

import os
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def service_account(folder: Path = FOLDER) -> dict[str, Any] | None:
    """A kubeconfig of one context; None outside a pod."""
    host, port = (
        os.environ.get("KUBERNETES_SERVICE_HOST"),
        os.environ.get("KUBERNETES_SERVICE_PORT"),
    )
    if not host or not port or not (folder / "token").exists():
        return None
    address = f"[{host}]" if ":" in host else host
    cluster = {
        "server": f"https://{address}:{port}",
        "certificate-authority": str(folder / "ca.crt"),
    }
    name = "in-cluster"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"tokenFile": str(folder / "token")}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
