"""`kubeception pause` and `resume`: a tenant cluster that is left alone for a while."""

from typing import Any

import click

from kubeception.cli.options import HostArgs, examples, host_options, name_argument


@click.command(epilog=examples("pause acme"))
@name_argument
@host_options
def pause(name: str, host: HostArgs) -> None:
    """Leave tenant cluster NAME alone: nothing of it is changed or repaired until it is resumed."""
    write(name, host, paused=True)
    click.echo(f"{name} is paused. Go on with: kubeception resume {name}", err=True)


@click.command(epilog=examples("resume acme"))
@name_argument
@host_options
def resume(name: str, host: HostArgs) -> None:
    """Work on tenant cluster NAME again."""
    write(name, host, paused=False)
    click.echo(f"{name} is no longer paused.", err=True)


def write(name: str, host: HostArgs, *, paused: bool) -> None:
    """Set both places that say it: the field, and the annotation of whoever may not change the spec."""
    from kubeception import names
    from kubeception.cli.host import connect
    from kubeception.cli.tenant import find

    cluster = connect(host).cluster
    found = find(cluster, host.namespace, name)
    change: dict[str, Any] = {}
    if bool(found["spec"].get("paused")) is not paused:
        change["spec"] = {"paused": paused}
    if not paused and names.PAUSED_ANNOTATION in found["metadata"].get("annotations", {}):
        change["metadata"] = {"annotations": {names.PAUSED_ANNOTATION: None}}
    if change:
        cluster.patch("TenantCluster", name, change, host.namespace)
