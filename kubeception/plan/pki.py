"""A tenant's certificates and keys, as one table, and the rule of when each is kept, renewed or refused.

    serving          kube-apiserver's certificate; and its client certificate for kubelets, because `kubeadm join`
                     makes the CA of cluster-info the one kubelets trust clients by
    client           everybody who talks to kube-apiserver with a certificate, kubelets included
    kubelet-serving  the kubelets' own API
    etcd             etcd and its only client
    front-proxy      kube-apiserver to aggregated API servers
    tunnel           konnectivity server and agents

Material lives in Secrets of the control plane's namespace, one for each CA and one for each reader of leaf
certificates, so that mounting a Secret hands out nothing beyond what its reader needs. A CA, a signing key or
the encryption key that exists is never replaced: without it data and credentials in use are lost. One that
can't be read is an error. Leaves are issued anew after two thirds of their life or when a name is missing.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeception.errors import KubeceptionError
from kubeception.plan.endpoint import API_SERVICE, ETCD_SERVICE, cluster_ip
from kubeception.plan.kubeconfig import kubeconfig
from kubeception.plan.facts import Object

if TYPE_CHECKING:
    from kubeception.plan.context import PlanContext

CA_LIFE: Final = timedelta(days=3652)
LEAF_LIFE: Final = timedelta(days=365)
BACKDATE: Final = timedelta(minutes=5)
"""How far clocks may be behind ours when a certificate is new."""

CAS: Final = ("serving", "client", "kubelet-serving", "etcd", "front-proxy", "tunnel")
SERVICE_ACCOUNT_SECRET: Final = "service-account"
ENCRYPTION_SECRET: Final = "encryption"
TRUST: Final = "trust"
"""The ConfigMap with the certificates of all CAs, without their keys."""


@dataclass(frozen=True)
class Leaf:
    """A row of the table: files `<name>.crt` and `<name>.key` of Secret `secret`."""

    name: str
    secret: str
    ca: str
    common_name: str
    organizations: tuple[str, ...] = ()
    server: bool = False
    client: bool = False


LEAVES: Final = (
    Leaf("serving", "kube-apiserver", "serving", "kube-apiserver", server=True),
    Leaf(
        "kubelet-client", "kube-apiserver", "serving", "kube-apiserver-kubelet-client", client=True
    ),
    Leaf("etcd-client", "kube-apiserver", "etcd", "kube-apiserver", client=True),
    Leaf("front-proxy-client", "kube-apiserver", "front-proxy", "front-proxy-client", client=True),
    Leaf("tunnel-server", "konnectivity-server", "tunnel", "konnectivity-server", server=True),
    Leaf("tunnel-agent", "konnectivity-agent", "tunnel", "konnectivity-agent", client=True),
    Leaf("etcd", "etcd", "etcd", "etcd", server=True, client=True),
    Leaf(
        "client", "kube-controller-manager", "client", "system:kube-controller-manager", client=True
    ),
    Leaf("client", "kube-scheduler", "client", "system:kube-scheduler", client=True),
    Leaf("client", "engine", "client", "kubeception", ("system:masters",), client=True),
    Leaf("client", "admin", "client", "kubernetes-admin", ("kubeadm:cluster-admins",), client=True),
)
"""Every leaf certificate of a tenant. `engine` is what this program uses, `admin` what a person gets."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, PEM."""

    cert: bytes
    key: bytes = field(repr=False)


class Pki:
    """The material of one tenant: read from the host's Secrets where it exists and holds, else made."""

    def __init__(self, ctx: "PlanContext") -> None:
        self._ctx = ctx

    def ca(self, name: str) -> Pair:
        """A CA of `CAS`.

        Raises KubeceptionError when its Secret exists and can't be read.
        """
        raise NotImplementedError

    def leaf(self, secret: str, name: str = "client") -> Pair:
        """A certificate of `LEAVES`."""
        raise NotImplementedError

    def secrets(self) -> Iterable[Object]:
        """Every Secret, complete, and the ConfigMap `trust`."""
        raise NotImplementedError

    def engine_kubeconfig(self) -> dict[str, Any]:
        """What this program talks to the tenant with (group system:masters, which needs no binding)."""
        raise NotImplementedError

    def admin_kubeconfig(self) -> dict[str, Any]:
        """What a person gets: cluster administrator by a ClusterRoleBinding, at the endpoint's `url`."""
        raise NotImplementedError

    def bootstrap_kubeconfig(self, token: str) -> dict[str, Any]:
        """For `kubeadm join` with discovery by file, at the endpoint's `internal_url`."""
        raise NotImplementedError
