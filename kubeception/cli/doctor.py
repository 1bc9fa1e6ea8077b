"""`kubeception doctor`: what is wrong, who must act, what to do."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from kubeception.cli.options import Formats, HostArgs, examples, host_options, named
from kubeception.cli.output import document as print_document

if TYPE_CHECKING:
    from kubeception.cli.host import Host
    from kubeception.engine.diagnose import Finding
    from kubeception.engine.reconcile import Engine

MARKS = {"fine": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


@click.command(epilog=examples("doctor", "doctor acme", "doctor acme -o json"))
@named(required=False)
@click.option(
    "-o",
    "--output",
    type=Formats(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="How it is printed.",
)
@host_options
def doctor(name: str | None, output: str, host: HostArgs) -> None:
    """Look for what is wrong with the host and, if NAME is given, with that tenant cluster.

    Nothing is changed. Exit code 0: nothing is wrong; 6: there is a problem.
    """
    from kubeception.cli import FOUND
    from kubeception.cli.host import connect
    from kubeception.engine.diagnose import Level, document

    found = connect(host)
    findings = []
    for finding in look(found, host.namespace, name):
        findings.append(finding)
        if output == "table":
            tell(finding)
    if output != "table":
        items = [document(finding) for finding in findings]
        print_document({"items": items}, output)
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    counted = f"{problems or 'no'} problem{'' if problems == 1 else 's'}"
    counted += f", {warnings} warning{'' if warnings == 1 else 's'}" if warnings else ""
    click.echo(f"\n{counted[0].upper()}{counted[1:]}.", err=True)
    sys.exit(FOUND if problems else 0)


def look(found: "Host", namespace: str, name: str | None) -> "Iterator[Finding]":
    """All there is to find."""
    from kubeception.cli.tenant import find
    from kubeception.engine import diagnose
    from kubeception.engine.reconcile import Engine

    if name is not None:
        find(found.cluster, namespace, name)
    yield from lab(found)
    yield from diagnose.host(found.cluster)
    if name is not None:
        with Engine(found.cluster, namespace, name) as engine:
            yield from diagnose.tenant(engine)
            yield from contexts(engine)


def lab(found: "Host") -> "Iterable[Finding]":
    """The lab's own pieces, where the host is one."""
    from kubeception.api.reasons import Actor
    from kubeception.engine.diagnose import fine, problem
    from kubeception.errors import KubeceptionError
    from kubeception.lab import host as lab_host, status

    name = found.context.removeprefix("kubeception-")
    if name == found.context:
        return []
    with suppress(KubeceptionError):
        pieces = status.look(lab_host.existing(name)).pieces
        bad = [piece for piece in pieces if piece.state != status.UP]
        fix = f"kubeception lab up --name {name}"
        return [
            problem("Lab", f"{p.name}: {p.state} {p.detail}".rstrip(), Actor.HOST, fix) for p in bad
        ] or [fine("Lab", f"{len(pieces)} pieces are up")]
    return []


def contexts(engine: "Engine") -> "Iterator[Finding]":
    """Contexts of the tenant in the user's kubeconfig that no longer lead to it."""
    from kubeception.api.reasons import Actor
    from kubeception.engine.diagnose import warning
    from kubeception.kube.kubeconfig import default_paths, load, origin

    ctx = engine.context()
    if ctx.endpoint is None:
        return
    config = load(default_paths())
    for entry in config.document["contexts"]:
        known = origin(entry.get("context"))
        if known is None or known.cluster != f"{engine.namespace}/{engine.name}":
            continue
        servers = [
            c["cluster"].get("server")
            for c in config.document["clusters"]
            if c["name"] == entry["context"].get("cluster")
        ]
        if known.uid != ctx.cluster.metadata.uid or servers != [ctx.endpoint.url]:
            found = (
                f"context {entry['name']} of your kubeconfig leads to another or an earlier cluster"
            )
            fix = f"kubeception kubeconfig {engine.name} --merge"
            yield warning("Kubeconfig", found, Actor.OWNER, fix)


def tell(finding: "Finding") -> None:
    """A finding in a line; who must act and what to do in two more."""
    from kubeception.cli.output import clean, coloured, flat

    mark, colour = MARKS[finding.level]
    shown = click.style(mark, fg=colour) if coloured(sys.stdout) else mark
    click.echo(f"{shown} {finding.subject + ':':<15} {flat(finding.found)}")
    if finding.fix and finding.level != "fine":
        click.echo(clean(f"    who: {finding.actor}\n    do:  {flat(finding.fix)}"))
