"""`kubeception console`: what a node's machine says on its serial line, or as a pod."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from kubeception.cli.options import HostArgs, examples, host_options

if TYPE_CHECKING:
    from kubeception.kube.client import Cluster, Object


@click.command(epilog=examples("console acme-workers-2f5d6d8a --tail 50"))
@click.argument("node")
@click.option("-f", "--follow", is_flag=True, help="Go on until interrupted.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@host_options
def console(node: str, tail: int | None, *, follow: bool, host: HostArgs) -> None:
    """Print the serial console of NODE's virtual machine, the log of the pod it is, or of its set-up by SSH."""
    from kubeception import names
    from kubeception.cli.host import connect
    from kubeception.cli.output import clean
    from kubeception.errors import NotFoundError
    from kubeception.providers import kubevirt, pod, ssh

    cluster = connect(host).cluster
    with ExitStack() as stack:
        pods = pods_of(cluster, "", node)
        if not pods and (log := ssh.log_of(cluster, node)) is not None:
            click.echo(clean(log))
            return
        if not pods:
            cluster, pods = elsewhere(cluster, node, stack)
        if not pods:
            raise NotFoundError(
                f"{cluster.title}: no running machine of a node {node}",
                hint="`kubeception nodes NAME` shows those of a tenant cluster.",
            )
        meta = pods[-1]["metadata"]
        is_pod = names.PROVIDER_LABEL in meta["labels"]
        container = pod.CONTAINER if is_pod else kubevirt.CONSOLE_CONTAINER
        for line in cluster.logs(
            meta["name"], meta["namespace"], container, follow=follow, tail=tail
        ):
            click.echo(clean(line.rstrip("\r")))


def pods_of(cluster: "Cluster", namespace: str, node: str) -> "list[Object]":
    """The pods that the node's machine is or was, the latest last."""
    from kubeception import names

    found = cluster.list("Pod", namespace, labels=f"{names.MACHINE_LABEL}={node}")
    return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def elsewhere(host: "Cluster", node: str, stack: ExitStack) -> "tuple[Cluster, list[Object]]":
    """The same in the infra cluster of the node's pool; that cluster, open as long as `stack` is.

    Raises KubeceptionError where it can't be asked.
    """
    from kubeception import names
    from kubeception.api.v1alpha1 import parse_pool
    from kubeception.engine.reconcile import Engine
    from kubeception.errors import KubeceptionError
    from kubeception.plan.site import site_of

    for found in host.list("NodePool"):
        if found["metadata"]["name"] != names.pool_of(node):
            continue
        pool = parse_pool(found)
        if (site := site_of(pool)) is None:
            continue
        engine = stack.enter_context(Engine(host, pool.namespace, pool.spec.cluster_ref.name))
        sites = engine.ways.look(host, engine.context(), remember=False)
        if trouble := sites.troubles.get(site.name):
            raise KubeceptionError(trouble.message)
        place = sites.places[site.name]
        if pods := pods_of(place.cluster, place.namespace, node):
            return place.cluster, pods
    return host, []
