"""`kubeception delete`: the end of a tenant cluster, with all that belongs to it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from kubeception.cli.options import DURATION, HostArgs, examples, host_options, name_argument

if TYPE_CHECKING:
    from kubeception.cli.host import Host
    from kubeception.cli.progress import Progress
    from kubeception.kube.client import Object

LOOK_SECONDS: Final = 3.0
"""How long the API server of one that is to go may take to say which tenants it has."""


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
    from kubeception.engine.delete import refuse_protected
    from kubeception.errors import ConflictError, KubeceptionError
    from kubeception.kube.kubeconfig import default_paths, remove

    *inner, whole = doomed(connect(host), host.namespace, name)
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


@dataclass(frozen=True)
class Doomed:
    """A tenant cluster that is to go."""

    host: "Host"
    cluster: "Object"

    @property
    def title(self) -> str:
        """Its path."""
        return self.host.path_of(self.cluster["metadata"]["name"])

    @property
    def uid(self) -> str:
        return str(self.cluster["metadata"]["uid"])


def doomed(host: "Host", namespace: str, name: str) -> list[Doomed]:
    """A tenant cluster and all that are in it, the innermost first, itself last.

    What can't be reached is not in the list: it ends with what it is in.
    """
    from kubeception.cli.host import enter
    from kubeception.cli.tenant import find
    from kubeception.errors import KubeceptionError

    known = find(host.cluster, namespace, name)
    this = Doomed(host, known)
    if not (known.get("status") or {}).get("nodes"):
        return [this]
    try:
        there = enter(host, namespace, name, LOOK_SECONDS)
        found = there.cluster.list("TenantCluster")
    except KubeceptionError:
        click.echo(
            f"{this.title}: its API server does not answer: what it has ends with it.", err=True
        )
        return [this]
    inner = [doomed(there, o["metadata"]["namespace"], o["metadata"]["name"]) for o in found]
    return [*(each for branch in inner for each in branch), this]


def end(each: Doomed, seconds: float, progress: "Progress") -> None:
    """Delete it, and work on that until nothing of it is left."""
    from kubeception.cli.create import Ticks
    from kubeception.engine.follow import until_gone
    from kubeception.engine.reconcile import Engine

    meta, host = each.cluster["metadata"], each.host.cluster
    host.delete("TenantCluster", meta["name"], meta["namespace"], uid=meta["uid"])
    with Engine(host, meta["namespace"], meta["name"]) as engine:
        until_gone(engine, seconds, Ticks(progress).told)
