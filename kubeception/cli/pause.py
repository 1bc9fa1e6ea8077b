"""`kubeception pause` and `resume`: a tenant cluster that is left alone for a while."""

from typing import TYPE_CHECKING, Any

import click

from kubeception.cli.options import HostArgs, examples, host_options, name_argument

if TYPE_CHECKING:
    from kubeception.cli.subtree import Member


@click.command(epilog=examples("pause acme", "pause acme --cascade"))
@name_argument
@click.option(
    "--cascade", is_flag=True, help="Pause the tenant clusters in it too, the innermost first."
)
@host_options
def pause(name: str, *, cascade: bool, host: HostArgs) -> None:
    """Leave tenant cluster NAME alone: nothing of it is changed or repaired until it is resumed."""
    whole = chosen(name, host, cascade=cascade)
    for each in whole:
        write(each, paused=True)
        said = f"{each.title} is paused."
        if each is whole[-1]:
            said += f" Go on with: kubeception resume {each.title}{' --cascade' if cascade else ''}"
        click.echo(said, err=True)


@click.command(epilog=examples("resume acme", "resume acme --cascade"))
@name_argument
@click.option(
    "--cascade", is_flag=True, help="Resume the tenant clusters in it too, the outermost first."
)
@host_options
def resume(name: str, *, cascade: bool, host: HostArgs) -> None:
    """Work on tenant cluster NAME again."""
    for each in reversed(chosen(name, host, cascade=cascade)):
        write(each, paused=False)
        click.echo(f"{each.title} is no longer paused.", err=True)


def chosen(name: str, host: HostArgs, *, cascade: bool) -> "list[Member]":
    """Those that are meant, the innermost first."""
    from kubeception.cli.host import connect
    from kubeception.cli.subtree import Member, subtree
    from kubeception.cli.tenant import find

    found = connect(host)
    if cascade:
        return subtree(found, host.namespace, name, "what is in it stays as it is")
    return [Member(found, find(found.cluster, host.namespace, name))]


def write(each: "Member", *, paused: bool) -> None:
    """Set both places that say it: the field, and the annotation of whoever may not change the spec."""
    from kubeception import names

    known, meta = each.cluster, each.cluster["metadata"]
    change: dict[str, Any] = {}
    if bool(known["spec"].get("paused")) is not paused:
        change["spec"] = {"paused": paused}
    if not paused and names.PAUSED_ANNOTATION in meta.get("annotations", {}):
        change["metadata"] = {"annotations": {names.PAUSED_ANNOTATION: None}}
    if change:
        each.host.cluster.patch("TenantCluster", meta["name"], change, meta["namespace"])
