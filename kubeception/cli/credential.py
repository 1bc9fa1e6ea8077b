"""What a tenant's context in the user's kubeconfig has for a credential: this program, as kubectl's plug-in.

A certificate that is good for hours is of no use in a file that is kept for months. So kubectl asks for one, and
gets the one that was issued last while it is good; after that the host is asked, whose rights decide.
"""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kubeception.api.v1alpha1 import TenantCluster
    from kubeception.cli.host import Host

API_VERSION: Final = "client.authentication.k8s.io/v1"
SPARE: Final = timedelta(minutes=10)
"""A certificate with less than this left is not given out any more."""


def hand_out(host: "Host", cluster: "TenantCluster", document: dict[str, Any]) -> Path:
    """Put a tenant's context into the user's kubeconfig and make it current; the file.

    The certificate in `document` is kept apart, as the first that the plug-in has to give.
    """
    from kubeception.kube.kubeconfig import Origin, default_paths, merge

    searched = host.kubeconfig or os.pathsep.join(str(p.absolute()) for p in default_paths())
    called = host.path_of(cluster.name)
    namespace = host.outer_namespace or cluster.namespace
    words = (called, "--namespace", namespace, "--context", host.context)
    plug_in = {
        "apiVersion": API_VERSION,
        "command": sys.executable,
        # -P: no module of the folder that kubectl happens to be in
        "args": ["-P", "-m", "kubeception", "kubeconfig", *words, "--credential"],
        "env": [{"name": "KUBECONFIG", "value": searched}],
        "interactiveMode": "Never",
        "provideClusterInfo": False,
        "installHint": "kubeception was here when it wrote this context; install it again, or get "
        f"another with `kubeception kubeconfig {called}`.",
    }
    user = document["users"][0]
    keep(place(searched, host.context, namespace, called), credential(user["user"]))
    path = default_paths()[0]
    shared = {**document, "users": [{**user, "user": {"exec": plug_in}}]}
    origin = Origin(
        host.place(cluster.namespace, cluster.name),
        cluster.metadata.uid,
        host.kubeconfig,
        host.context,
        lineage=",".join(host.lineage),
    )
    merge(path, shared, origin)
    return path


def credential(user: dict[str, str]) -> str:
    """A kubeconfig's certificate and key as kubectl takes them from a plug-in."""
    import base64

    from cryptography import x509

    cert, key = (base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key"))
    ends = x509.load_pem_x509_certificate(cert).not_valid_after_utc
    status = {
        "expirationTimestamp": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "clientCertificateData": cert.decode(),
        "clientKeyData": key.decode(),
    }
    return json.dumps({"apiVersion": API_VERSION, "kind": "ExecCredential", "status": status})


def place(*parts: str) -> Path:
    """The file that keeps what was issued for a context: by the host's kubeconfig and context, namespace and name."""
    from kubeception import names

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "kubeception" / "credentials" / f"{names.digest(*parts, length=16)}.json"


def kept(file: Path, now: datetime) -> str:
    """What is kept there, if it is good for some time yet; else empty."""
    try:
        text = file.read_text()
        ends = datetime.fromisoformat(json.loads(text)["status"]["expirationTimestamp"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""
    return text if now + SPARE < ends else ""


def keep(file: Path, text: str) -> None:
    """Keep it, for its owner alone; those that are no good any more go."""
    from kubeception.kube.kubeconfig import write_text

    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = datetime.now(UTC)
    for other in file.parent.glob("*.json"):
        if not kept(other, now):
            other.unlink(missing_ok=True)
    write_text(file, text)
