"""`kubeception delete`: the end of a tenant cluster, with all that belongs to it."""

from typing import TYPE_CHECKING

import click

from kubeception.cli.options import DURATION, HostArgs, examples, host_options, name_argument

if TYPE_CHECKING:
    from kubeception.cli.progress import Progress
    from kubeception.cli.subtree import Member


@click.command(epilog=examples("delete acme", "delete acme/team", "delete acme --cascade"))
@name_argument
@click.option(
    "--cascade", is_flag=True, help="Delete the tenant clusters in it too, the innermost first."
)
@click.option(
    "--wait",
    type=DURATION,
    default="5m",
    show_default=True,
    help="How long until nothing may be left.",
)
@host_options
def delete(name: str, wait: float, *, cascade: bool, host: HostArgs) -> None:
    """Delete tenant cluster NAME: its nodes, its control plane, its data, its context in your kubeconfig.

    One that has tenants itself is deleted with --cascade only.
    """
    from kubeception import names
    from kubeception.cli.host import connect
    from kubeception.cli.progress import Progress
    from kubeception.cli.subtree import subtree
    from kubeception.engine.delete import refuse_protected
    from kubeception.errors import ConflictError, KubeceptionError
    from kubeception.kube.kubeconfig import default_paths, remove

    fate = "what it has ends with it"
    *inner, whole = subtree(connect(host), host.namespace, name, fate)
    if inner and not cascade:
        raise ConflictError(
            f"tenant cluster {whole.title} is the host of {', '.join(d.title for d in inner)}",
            hint="Delete those first, or all at once with --cascade.",
        )
    for each in (*inner, whole):
        refuse_protected(each.cluster)
    with Progress() as progress:
        for each in inner:
            click.echo(f"{each.title}:", err=True)
            try:
                end(each, wait, progress)
            except KubeceptionError as error:
                click.echo(f"{error.message}\nIt ends with {whole.title}.", err=True)
        end(whole, wait, progress)
    for path in default_paths():
        remove(path, lambda entry: entry.ends_with(whole.uid))
    click.echo(f"Tenant cluster {whole.title} is deleted.")
    if whole.cluster["spec"].get("deletionPolicy") == "Retain":
        space = names.control_plane_namespace(whole.uid, name)
        click.echo(f"Namespace {space} keeps its volume and keys, as its deletionPolicy says.")


def end(each: "Member", seconds: float, progress: "Progress") -> None:
    """Delete it, and work on that until nothing of it is left."""
    from kubeception.cli.create import Ticks
    from kubeception.engine.follow import until_gone
    from kubeception.engine.reconcile import Engine

    meta, host = each.cluster["metadata"], each.host.cluster
    host.delete("TenantCluster", meta["name"], meta["namespace"], uid=meta["uid"])
    with Engine(host, meta["namespace"], meta["name"]) as engine:
        until_gone(engine, seconds, Ticks(progress).told)
