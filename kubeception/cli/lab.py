"""`kubeception lab`: a real host cluster on this machine, for whoever has none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kubeception.cli.options import examples
from kubeception.cli.output import Column, table
from kubeception.cli.report import TerminalReport

if TYPE_CHECKING:
    from kubeception.lab.state import Cni, Lab

Command = Callable[..., Any]


@click.group()
def lab() -> None:
    """A host cluster on this machine: Kubernetes, KubeVirt and an image registry, made of plain processes."""


def name_option(command: Command) -> Command:
    """`--name`."""
    text = "Which lab, where there are several."
    return click.option("--name", default="lab", show_default=True, metavar="NAME", help=text)(
        command
    )


def verbose_option(command: Command) -> Command:
    """`-v`."""
    return click.option("-v", "--verbose", is_flag=True, help="Print what goes to the log.")(
        command
    )


@lab.command(epilog=examples("lab up", "lab up --name other --nodes 3 --cni cilium"))
@name_option
@click.option("--nodes", type=click.IntRange(1, 99), metavar="N", help="How many. [default: 1]")
@click.option(
    "--parts",
    default="auto",
    show_default=True,
    metavar="auto|release|build|PATH",
    help="Where programs come from that the cache lacks: downloads or else a build, only one of these, or a folder.",
)
@click.option(
    "--cni",
    type=click.Choice(["flannel", "cilium"]),
    help="The pods' network; cilium enforces NetworkPolicies, and takes minutes to build. [default: flannel]",
)
@click.option("--kubevirt/--no-kubevirt", default=True, help="With virtual machines, or without.")
@click.option("--merge/--no-merge", default=True, help="Put its context into your kubeconfig.")
@verbose_option
def up(
    name: str,
    nodes: int | None,
    parts: str,
    *,
    cni: "Cni | None",
    kubevirt: bool,
    merge: bool,
    verbose: bool,
) -> None:
    """Make the lab, or repair what it lacks."""
    from kubeception.lab import host
    from kubeception.lab.parts import Source

    with report(name, verbose=verbose) as telling:
        made = host.up(name, nodes, Source.parse(parts), telling, kubevirt=kubevirt, cni=cni)
    if merge:
        merge_context(made)
    click.echo(f"The lab is ready: kubectl --context {made.context} get nodes", err=True)


@lab.command(epilog=examples("lab down", "lab down --purge"))
@name_option
@click.option("--purge", is_flag=True, help="Delete the cache of programs and images, too.")
@verbose_option
def down(name: str, *, purge: bool, verbose: bool) -> None:
    """End the lab and remove every trace of it."""
    from kubeception.kube import kubeconfig
    from kubeception.lab import host, state

    made = state.labs_folder() / name / "kubeconfig"
    with report(name, verbose=verbose) as telling:
        found = host.down(name, telling)
        if purge:
            with telling.phase("Cache"):
                host.purge()
    for path in kubeconfig.default_paths():
        kubeconfig.remove(path, lambda origin: origin.kubeconfig == str(made))
    if not found:
        click.echo(f"There is no lab {name}.", err=True)


@lab.command(epilog=examples("lab status"))
@name_option
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How it is printed.",
)
def status(name: str, output: str) -> None:
    """Show what the lab is made of and how each piece is."""
    from kubeception.lab import host, status as lab_status

    seen = lab_status.look(host.existing(name))
    if output == "json":
        click.echo(json.dumps(seen.document(), indent=2))
        return
    columns = (Column("PIECE", least=16), Column("STATE"), Column("DETAIL", least=16))
    table(columns, [(p.name, p.state, p.detail) for p in seen.pieces])


@lab.command(epilog=examples("lab kubeconfig --merge"))
@name_option
@click.option("--merge", is_flag=True, help="Put it into your kubeconfig instead of printing it.")
def kubeconfig(name: str, *, merge: bool) -> None:
    """Print the kubeconfig of the lab's admin."""
    from kubeception.lab import host

    made = host.existing(name)
    host.kubeconfig(made)
    if merge:
        merge_context(made)
    else:
        click.echo(made.kubeconfig.read_text(), nl=False)


@lab.command(epilog=examples("lab load my-image.tar"))
@click.argument("image")
@name_option
@verbose_option
def load(image: str, name: str, *, verbose: bool) -> None:
    """Put IMAGE into the lab's registry: a tar file, or a reference that this machine can pull."""
    from kubeception.lab import host, load as loading, state

    made = host.existing(name)
    programs = state.cache_folder() / "bin"
    with report(name, verbose=verbose) as telling, telling.phase(f"Loading {image}"):
        loaded = loading.load(image, made.registry, programs, telling)
    click.echo("\n".join(loaded))


@lab.command(epilog=examples("lab sbom > lab.cdx.json", "lab sbom --cni cilium"))
@click.option(
    "--cni",
    type=click.Choice(["flannel", "cilium"]),
    default="flannel",
    show_default=True,
    help="Of a lab with which network.",
)
@verbose_option
def sbom(*, cni: "Cni", verbose: bool) -> None:
    """Print what a lab's programs and images are made of: a bill of materials, as CycloneDX 1.6 JSON."""
    from kubeception.lab import sbom as bills, state
    from kubeception.lab.images import images_of
    from kubeception.lab.parts import CNI_PARTS, PARTS

    with TerminalReport(state.log_file("sbom"), verbose=verbose) as telling:
        parts = (*PARTS, *CNI_PARTS[cni])
        found = bills.bill(state.cache_folder(), telling, parts, images_of(cni))
    click.echo(json.dumps(found, indent=1))


@lab.command(epilog=examples("lab shell"))
@name_option
@click.option("--node", type=int, default=1, show_default=True, metavar="N", help="Which node.")
def shell(name: str, node: int) -> None:
    """Open a shell inside a node."""
    from kubeception.lab import host

    host.shell(host.existing(name), node)


def report(name: str, *, verbose: bool) -> TerminalReport:
    """The terminal and the lab's log file."""
    from kubeception.lab import state

    state.check_name(name)
    return TerminalReport(state.log_file(name), verbose=verbose)


def merge_context(made: "Lab") -> None:
    """Make the lab's context one of the user's kubeconfig, and the current one."""
    from kubeception.kube import kubeconfig
    from kubeception.lab import host

    path: Path = kubeconfig.default_paths()[0]
    kubeconfig.merge(
        path, host.kubeconfig(made), kubeconfig.Origin(kubeconfig=str(made.kubeconfig))
    )
