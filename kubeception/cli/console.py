"""`kubeception console`: what a node's machine says on its serial line."""

import click

from kubeception.cli.options import HostArgs, examples, host_options


@click.command(epilog=examples("console acme-workers-2f5d6d8a --tail 50"))
@click.argument("node")
@click.option("-f", "--follow", is_flag=True, help="Go on until interrupted.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@host_options
def console(node: str, tail: int | None, *, follow: bool, host: HostArgs) -> None:
    """Print the serial console of NODE's virtual machine."""
    from kubeception import names
    from kubeception.cli.host import connect
    from kubeception.cli.output import clean
    from kubeception.errors import NotFoundError
    from kubeception.providers.kubevirt import CONSOLE_CONTAINER

    cluster = connect(host).cluster
    pods = cluster.list("Pod", labels=f"{names.MACHINE_LABEL}={node}")
    pods.sort(key=lambda pod: pod["metadata"]["creationTimestamp"])
    if not pods:
        raise NotFoundError(
            f"{cluster.title}: no running machine of a node {node}",
            hint="`kubeception nodes NAME` shows those of a tenant cluster.",
        )
    meta = pods[-1]["metadata"]
    for line in cluster.logs(
        meta["name"], meta["namespace"], CONSOLE_CONTAINER, follow=follow, tail=tail
    ):
        click.echo(clean(line.rstrip("\r")))
