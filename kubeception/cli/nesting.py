"""What a tenant cluster needs to be a host of others, and which of these it can be."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kubeception import names
from kubeception.cli.host import Host

if TYPE_CHECKING:
    from kubeception.api.v1alpha1 import NodePool
    from kubeception.cli.spec import SpecArgs
    from kubeception.kube.client import Cluster


def usual(host: Host, args: "SpecArgs") -> "SpecArgs":
    """The options of a new tenant whose nodes nobody said the kind of: in a host without KubeVirt they are pods."""
    if host.outer is None or args.file or args.provider or _runs_machines(host.cluster):
        return args
    return replace(args, provider="pod")


def provider_of_parent(host: Host, namespace: str) -> str | None:
    """What the nodes are of a cluster that is made only because others shall be in it: pods where that is allowed."""
    return "pod" if _allowed(host, namespace) else None


def _allowed(host: Host, namespace: str) -> bool:
    """Whether nodes of the tenants there may be pods."""
    from kubeception.plan.facts import bears

    found = host.cluster.get("Namespace", namespace)
    return found is not None and bears(found, names.ALLOW_POD_NODES)


def _runs_machines(cluster: "Cluster") -> bool:
    from kubeception.errors import KubeceptionError
    from kubeception.providers import provider

    try:
        provider("kubevirt").preflight(cluster)
    except KubeceptionError:
        return False
    return True


def operator_image(host: Host) -> str | None:
    """What a tenant's own operator is to run: as the nearest operator above it, else a lab's image, made if need be.

    None for that of this release, or where there is one.
    """
    from kubeception.cli.install import image_of_lab
    from kubeception.engine.install import installed_image, installed_version

    above = host.outer
    if above is None or installed_version(host.cluster):
        return None
    while not (image := installed_image(above.cluster)):
        if above.outer is None:
            return image_of_lab(above)
        above = above.outer
    return image


def check_order(host: Host) -> None:
    """Raise KubeceptionError where this release's operator would be newer than the nearest one above the host.

    What a cluster is told by the one above it, its operator must understand; the other way round nothing is said.
    """
    from kubeception import __version__
    from kubeception.engine.install import installed_version, newness
    from kubeception.errors import KubeceptionError

    above = host.outer
    while above and not (known := installed_version(above.cluster)):
        above = above.outer
    if above and newness(known) < newness(__version__):
        inside = f" --in {'/'.join(above.path)}" if above.path else ""
        raise KubeceptionError(
            f"{host.title}: release {__version__} would be newer than the operator of {above.title}, "
            f"which it is in: that is {known}",
            hint=f"Operators are upgraded from the outermost inwards: kubeception upgrade{inside}",
        )


def furnish(host: Host, pools: "Sequence[NodePool]", image: str | None) -> None:
    """Have what tenants need in a host. In one that is a tenant itself that is an operator too, which isn't waited for.

    Its administrators are whoever is at work here, so they are taken to allow what they ask for.
    """
    from kubeception.engine import install as installation

    cluster = host.cluster
    if host.outer is None:
        installation.prepare_host(cluster)
        return
    pods = any(pool.spec.provider == "pod" for pool in pools)
    there = installation.chosen(cluster, image, None)
    wanted = replace(
        there,
        pod_nodes=there.pod_nodes or pods,
        allowed=tuple(dict.fromkeys((*there.allowed, *_images(pools)))),
    )
    if not installation.installed_version(cluster) or wanted != there:
        check_order(host)
        image = installation.installed_image(cluster) or wanted.image
        installation.install(cluster)
        installation.install_operator(cluster, replace(wanted, image=image))
    allow(host, pools)


def _images(pools: "Sequence[NodePool]") -> Iterator[str]:
    """The images that pools name."""
    for pool in pools:
        options = pool.spec.kubevirt or pool.spec.pod
        if options and options.image:
            yield options.image


def allow(host: Host, pools: "Sequence[NodePool]") -> None:
    """Let nodes be pods where some are asked for."""
    for namespace in {pool.namespace for pool in pools if pool.spec.provider == "pod"}:
        if not _allowed(host, namespace):
            patch = {"metadata": {"labels": {names.ALLOW_POD_NODES: "true"}}}
            host.cluster.patch("Namespace", namespace, patch)
