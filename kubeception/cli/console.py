"""`kubeception console`: what a node's machine says on its serial line, or as a pod."""

import click

from kubeception.cli.options import HostArgs, examples, host_options


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
    pods = cluster.list("Pod", labels=f"{names.MACHINE_LABEL}={node}")
    pods.sort(key=lambda pod: pod["metadata"]["creationTimestamp"])
    if not pods and (log := ssh.log_of(cluster, node)) is not None:
        click.echo(clean(log))
        return
    if not pods:
        raise NotFoundError(
            f"{cluster.title}: no running machine of a node {node}",
            hint="`kubeception nodes NAME` shows those of a tenant cluster.",
        )
    meta = pods[-1]["metadata"]
    is_pod = names.PROVIDER_LABEL in meta["labels"]
    container = pod.CONTAINER if is_pod else kubevirt.CONSOLE_CONTAINER
    for line in cluster.logs(meta["name"], meta["namespace"], container, follow=follow, tail=tail):
        click.echo(clean(line.rstrip("\r")))
