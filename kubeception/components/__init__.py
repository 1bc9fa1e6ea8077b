"""What a tenant cluster is made of, in the order it is applied."""

from typing import Final

from kubeception.components.base import Component
from kubeception.components.control_plane import ControlPlane
from kubeception.components.controller_accounts import ControllerAccounts
from kubeception.components.coredns import CoreDns
from kubeception.components.encryption import Encryption
from kubeception.components.endpoint import Exposure, Services
from kubeception.components.etcd import Etcd
from kubeception.components.flannel import Flannel
from kubeception.components.konnectivity_agent import KonnectivityAgent
from kubeception.components.kube_proxy import KubeProxy
from kubeception.components.kubeadm import Kubeadm
from kubeception.components.limit_range import LimitRanges
from kubeception.components.lineage import Lineage
from kubeception.components.local_path import LocalPath
from kubeception.components.metrics_server import MetricsServer
from kubeception.components.namespace import Namespaces
from kubeception.components.network import CustomNetwork
from kubeception.components.network_policy import NetworkPolicies
from kubeception.components.node_local_dns import NodeLocalDns
from kubeception.components.pki import Credentials, Roots
from kubeception.components.quota import Quotas
from kubeception.components.storage import Storage, StorageController

COMPONENTS: Final[tuple[Component, ...]] = (
    # in the host
    Namespaces(),
    Quotas(),  # once there are rights in them, and before anything else is
    LimitRanges(),
    Services(),
    Exposure(),
    Roots(),
    Etcd(),  # before the rest: kube-apiserver tries its address once, and then only a second later
    NetworkPolicies(),
    ControlPlane(),
    Encryption(),
    Credentials(),
    StorageController(),
    # in the tenant
    ControllerAccounts(),
    Kubeadm(),
    Lineage(),
    KubeProxy(),
    Flannel(),
    KonnectivityAgent(),
    CoreDns(),
    NodeLocalDns(),
    LocalPath(),
    Storage(),
    MetricsServer(),
    CustomNetwork(),  # after all others: it may not take what is theirs
)
