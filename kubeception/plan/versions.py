"""Which Kubernetes versions a tenant may have, and the image of everything that runs for it."""

import re
from typing import Final

from kubeception import __version__
from kubeception.api.v1alpha1 import DEFAULT_VERSION, NEWEST_MINOR, OLDEST_MINOR
from kubeception.errors import SpecError

IMAGES: Final = {
    "kube-apiserver": "registry.k8s.io/kube-apiserver:{version}",
    "kube-controller-manager": "registry.k8s.io/kube-controller-manager:{version}",
    "kube-scheduler": "registry.k8s.io/kube-scheduler:{version}",
    "kube-proxy": "registry.k8s.io/kube-proxy:{version}",
    "etcd": "registry.k8s.io/etcd:3.6.16-0",
    "coredns": "registry.k8s.io/coredns/coredns:v1.14.0",
    "node-local-dns": "registry.k8s.io/dns/k8s-dns-node-cache:1.26.4",
    "pause": "registry.k8s.io/pause:3.10.1",
    "konnectivity-server": "registry.k8s.io/kas-network-proxy/proxy-server:v0.34.0",
    "konnectivity-agent": "registry.k8s.io/kas-network-proxy/proxy-agent:v0.34.0",
    "flannel": "ghcr.io/flannel-io/flannel:v0.28.4",
    "local-path-provisioner": "docker.io/rancher/local-path-provisioner:v0.0.30",
    "busybox": "docker.io/library/busybox:1.36",
    "metrics-server": "registry.k8s.io/metrics-server/metrics-server:v0.9.0",
    "csi-driver": "quay.io/kubermatic/kubevirt-csi-driver:v0.4.5",
    "csi-provisioner": "registry.k8s.io/sig-storage/csi-provisioner:v6.3.0",
    "csi-attacher": "registry.k8s.io/sig-storage/csi-attacher:v4.12.0",
    "csi-node-driver-registrar": "registry.k8s.io/sig-storage/csi-node-driver-registrar:v2.15.0",
    "kubeception": f"ghcr.io/kubeception/kubeception:{__version__}",
    "node-disk": "ghcr.io/kubeception/node-disk:{version}",
    "node": "ghcr.io/kubeception/node:{version}",
}
"""Image references by name; `{version}` is the tenant's Kubernetes version."""


OLDEST_KUBELET: Final = 3
"""How many minors a kubelet may be older than its API server (Kubernetes' version skew policy)."""


STATIC_POLICIES: Final = 36
"""The first minor whose kube-apiserver reads admission policies from its own disk."""
WITHOUT_PORTWORX: Final = 36
"""The first minor whose kube-controller-manager has no volume plugin that dials what a StorageClass names."""


def minor(version: str) -> int:
    """The minor of a version such as v1.36.3."""
    return int(version.split(".")[1])


def skew(control_plane: str, kubelet: str) -> str:
    """Why kubelets of this version can't serve this control plane; empty when they can."""
    api, node = (tuple(map(int, v[1:].split("."))) for v in (control_plane, kubelet))
    if node > api:
        return f"kubelets may not be newer than the control plane, which is {control_plane}"
    if api[1] - node[1] > OLDEST_KUBELET:
        return (
            f"kubelets may be at most {OLDEST_KUBELET} minors older than the control plane, "
            f"which is {control_plane}"
        )
    return ""


def image(name: str, version: str = DEFAULT_VERSION) -> str:
    """The image of `name` (a key of `IMAGES`) for a tenant of this Kubernetes version."""
    return IMAGES[name].format(version=version)


def check_version(version: str) -> str:
    """`version` if it is supported.

    Raises SpecError otherwise.
    """
    match = re.fullmatch(r"v1\.(\d+)\.(\d+)", version)
    if not match or not OLDEST_MINOR <= int(match[1]) <= NEWEST_MINOR:
        raise SpecError(
            [f"spec.version: {version} is not supported"],
            hint=f"Use a version from v1.{OLDEST_MINOR} to v1.{NEWEST_MINOR}, such as {DEFAULT_VERSION}.",
        )
    return version
