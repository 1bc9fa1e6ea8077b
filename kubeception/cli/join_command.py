"""`kubeception join-command`: what somebody runs on a machine that nobody here can reach."""

import click

from kubeception.cli.options import HostArgs, examples, host_options


@click.command(
    name="join-command",
    epilog=examples("join-command acme-metal", "join-command acme-metal --address 198.51.100.7"),
)
@click.argument("pool")
@click.option("--address", metavar="ADDRESS", default="", help="The machine that is meant.")
@host_options
def join_command(pool: str, address: str, host: HostArgs) -> None:
    """Print the line that makes a machine a node of POOL, when root runs it there within 15 minutes.

    POOL has provider ssh and no key. The line holds a bootstrap token: whoever reads it can join in its place.
    """
    from kubeception.cli.host import connect
    from kubeception.engine.join import join_command as line_for
    from kubeception.engine.reconcile import Engine
    from kubeception.errors import NotFoundError

    cluster = connect(host).cluster
    found = cluster.get("NodePool", pool, host.namespace)
    if found is None:
        raise NotFoundError(f"{cluster.title}: no NodePool {host.namespace}/{pool}")
    with Engine(cluster, host.namespace, found["spec"]["clusterRef"]["name"]) as engine:
        made = line_for(engine, pool, address)
    click.echo(f"For root on {made.address}, which becomes {made.machine}:", err=True)
    click.echo(made.line)
