"""`kubeception kubeconfig`: how a person gets into a tenant cluster, for some hours."""

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from kubeception.cli.options import DURATION, HostArgs, examples, host_options, name_argument
from kubeception.cli.output import document

if TYPE_CHECKING:
    from kubeception.engine.reconcile import Engine
    from kubeception.plan.context import PlanContext

LONGEST: Final = timedelta(hours=24)
BREAK_GLASS: Final = "BreakGlassKubeconfig"
"""Why, in the Event of one that is good for longer."""


@click.command(
    epilog=examples(
        "kubeconfig acme > acme.yaml",
        "kubeconfig acme --ttl 1h > acme.yaml",
        "kubeconfig acme --merge",
    )
)
@name_argument
@click.option("--merge", is_flag=True, help="Put it into your kubeconfig instead of printing it.")
@click.option("--ttl", type=DURATION, help="How long it is good for. [default: 12h; at most 24h]")
@click.option(
    "--break-glass",
    is_flag=True,
    help="Good for a year, or --ttl; an Event of the TenantCluster tells of it.",
)
@click.option("--credential", is_flag=True, hidden=True, help="Be kubectl's plug-in.")
@host_options
def kubeconfig(
    name: str,
    *,
    merge: bool,
    ttl: float | None,
    break_glass: bool,
    credential: bool,
    host: HostArgs,
) -> None:
    """Print a kubeconfig of tenant cluster NAME's administrator, good for 12 hours.

    With --merge its context is put into your own kubeconfig, and its certificate renewed by itself.
    """
    from kubeception.cli import credential as plug_in

    now = datetime.now(UTC)
    called = "/".join((*host.path, name))
    searched = os.environ.get("KUBECONFIG", "")
    file = plug_in.place(searched, host.context or "", host.outer_namespace, called)
    if credential and (known := plug_in.kept(file, now)):
        click.echo(known)
        return
    life = _life(ttl, break_glass=break_glass, merge=merge)

    from kubeception.cli.create import shown
    from kubeception.cli.host import connect
    from kubeception.engine.reconcile import Engine

    found = connect(host)
    with Engine(found.cluster, host.namespace, name) as engine:
        ctx = engine.context()
        if break_glass:
            _tell(engine, ctx, life)
    made = ctx.pki.admin_kubeconfig(called, life=life)
    if credential:
        text = plug_in.credential(made["users"][0]["user"])
        plug_in.keep(file, text)
        click.echo(text)
        return
    if not merge:
        document(made, "yaml")
        until = (now + life).astimezone().strftime("%Y-%m-%d %H:%M %Z")
        click.echo(f"It is good until {until}.", err=True)
        return
    path = plug_in.hand_out(found, ctx.cluster, made)
    click.echo(f"Context {made['current-context']} is in {shown(path)} and current.", err=True)


def _life(ttl: float | None, *, break_glass: bool, merge: bool) -> timedelta:
    """How long a certificate is good for.

    Raises UsageError for one that isn't given out.
    """
    from kubeception.errors import UsageError
    from kubeception.plan.pki import PERSON_LIFE
    from kubeception.plan.x509 import LEAF_LIFE

    if merge and (ttl is not None or break_glass):
        raise UsageError(
            "--merge: that context's certificate is renewed by itself",
            hint="--ttl and --break-glass are for a kubeconfig that is printed.",
        )
    limit = LEAF_LIFE if break_glass else LONGEST
    if ttl is None:
        return limit if break_glass else PERSON_LIFE
    life = timedelta(seconds=ttl)
    if not timedelta(minutes=1) <= life <= limit:
        hours = int(limit.total_seconds() // 3600)
        more = "" if break_glass else "--break-glass gives one for longer, and tells of it."
        raise UsageError(f"--ttl: must be between 1m and {hours}h", hint=more)
    return life


def _tell(engine: "Engine", ctx: "PlanContext", life: timedelta) -> None:
    """Leave an Event of who took one that outlives the day, or fail."""
    from kubeception.engine.events import leave
    from kubeception.engine.news import WARNING, News

    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {}}
    who = engine.host.create(review)["status"]["userInfo"]["username"]
    until = (ctx.facts.now + life).strftime("%Y-%m-%dT%H:%MZ")
    said = f"{who} took a kubeconfig of the administrator that is good until {until}"
    leave(engine.host, ctx.cluster, News(WARNING, BREAK_GLASS, said), ctx.facts.now)
