"""What a tenant cluster is made of, in the order it is applied."""

from typing import Final

from kubeception.components.base import Component
from kubeception.components.control_plane import ControlPlane
from kubeception.components.endpoint import EndpointServices
from kubeception.components.etcd import Etcd
from kubeception.components.namespace import Namespaces
from kubeception.components.pki import Certificates, Roots

COMPONENTS: Final[tuple[Component, ...]] = (
    Namespaces(),
    EndpointServices(),
    Roots(),
    Certificates(),
    Etcd(),
    ControlPlane(),
)
