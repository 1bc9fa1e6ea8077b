"""`kubeception nodes`: the nodes of a tenant cluster, and the machines they are."""

import click

from kubeception.cli.options import HostArgs, host_options, name_argument
from kubeception.cli.output import age, table


@click.command()
@name_argument
@host_options
def nodes(name: str, host: HostArgs) -> None:
    """Show the nodes of tenant cluster NAME and their machines."""
    from kubeception.cli.host import connect
    from kubeception.engine.reconcile import Engine

    with Engine(connect(host).cluster, host.namespace, name) as engine:
        states = engine.machines()
    if not states:
        click.echo(
            f"{name} has no nodes. `kubeception scale {name} --workers 1` gives it one.", err=True
        )
        return
    rows = [
        (
            state.machine.name,
            state.state,
            state.machine.address,
            state.machine.host_node,
            age(state.machine.created.isoformat()),
            state.machine.message,
        )
        for state in states
    ]
    table(("NAME", "STATUS", "ADDRESS", "HOST", "AGE", "MESSAGE"), rows)
