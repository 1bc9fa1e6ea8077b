"""How an operator is started: flags, and environment variables for what its Deployment knows best."""

import argparse
import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kubeception import __version__, names


@dataclass(frozen=True)
class Options:
    """What a process is told when it starts."""

    namespace: str = names.SYSTEM_NAMESPACE
    """Its own: where the leader's Lease is."""
    identity: str = ""
    """What it is called in the Lease."""
    watch: tuple[str, ...] = ()
    """Namespaces whose TenantClusters it looks after; all where there are none."""
    workers: int = 8
    """How many passes may run at once."""
    resync: float = 1800.0
    """Seconds after which a tenant is looked at although nothing was heard of it; give or take a fifth."""
    address: str = ""
    port: int = 8080
    """Of /healthz, /readyz and /metrics."""
    leader_election: bool = True
    log_format: str = "json"
    log_level: str = "INFO"
    kubeconfig: Path | None = None
    """None: the service account of the pod."""
    context: str = ""


def options(args: Sequence[str] | None = None) -> Options:
    """The options of a command line; bad ones end the process, as argparse does."""
    pod = os.environ.get("POD_NAME") or socket.gethostname()
    default = Options()
    parser = argparse.ArgumentParser(
        prog="kubeception-operator",
        description="Keep the tenant clusters of a host cluster as their TenantCluster and NodePool objects say.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--namespace",
        default=os.environ.get("POD_NAMESPACE") or default.namespace,
        help="its own, where the leader's Lease is",
    )
    parser.add_argument("--identity", default=pod, help="what this process is called in the Lease")
    parser.add_argument(
        "--watch-namespace",
        dest="watch",
        action="append",
        default=[],
        metavar="NAMESPACE",
        help="look after the TenantClusters of this namespace only; may be repeated",
    )
    parser.add_argument(
        "--workers", type=_positive, default=default.workers, help="passes that may run at once"
    )
    parser.add_argument(
        "--resync",
        type=float,
        default=default.resync,
        metavar="SECONDS",
        help="after which a tenant is looked at although nothing was heard of it",
    )
    parser.add_argument("--address", default=default.address, help="to listen at; empty: all")
    parser.add_argument(
        "--port", type=int, default=default.port, help="of /healthz, /readyz and /metrics"
    )
    parser.add_argument(
        "--leader-election",
        action=argparse.BooleanOptionalAction,
        default=default.leader_election,
        help="of several replicas one works; without it there may be only one",
    )
    parser.add_argument("--log-format", choices=("json", "text"), default=default.log_format)
    parser.add_argument(
        "--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"), default=default.log_level
    )
    parser.add_argument(
        "--kubeconfig", type=Path, help="of the host; without it the pod's service account is used"
    )
    parser.add_argument("--context", default="", help="in that kubeconfig; empty: the current one")
    given = vars(parser.parse_args(args))
    # A container that is started again in its pod is another process: its predecessor's Lease is not its own.
    given["identity"] = f"{given['identity']}_{secrets.token_hex(4)}"
    return Options(**{**given, "watch": tuple(given["watch"])})


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number
