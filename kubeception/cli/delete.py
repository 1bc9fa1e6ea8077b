"""`kubeception delete`: the end of a tenant cluster, with all that belongs to it."""

import click

from kubeception.cli.options import DURATION, HostArgs, host_options, name_argument


@click.command()
@name_argument
@click.option(
    "--wait",
    type=DURATION,
    default="5m",
    show_default=True,
    help="How long until nothing may be left.",
)
@host_options
def delete(name: str, wait: float, host: HostArgs) -> None:
    """Delete tenant cluster NAME: its nodes, its control plane, its data, its context in your kubeconfig."""
    from kubeception.cli.create import Ticks
    from kubeception.cli.host import connect
    from kubeception.cli.progress import Progress
    from kubeception.engine.follow import until_gone
    from kubeception.engine.reconcile import Engine
    from kubeception.errors import NotFoundError
    from kubeception.kube.kubeconfig import default_paths, remove

    found = connect(host)
    cluster = found.cluster
    if not cluster.delete("TenantCluster", name, host.namespace):
        raise NotFoundError(
            f"{cluster.title}: no tenant cluster {name} in namespace {host.namespace}",
            hint="`kubeception list` shows those there are.",
        )
    with Progress() as progress, Engine(cluster, host.namespace, name) as engine:
        ticks = Ticks(progress)
        until_gone(engine, wait, ticks.told)
    for path in default_paths():
        remove(
            path,
            f"{host.namespace}/{name}",
            lambda o: (o.kubeconfig, o.context) == (found.kubeconfig, found.context),
        )
    click.echo(f"Tenant cluster {name} is deleted.")
