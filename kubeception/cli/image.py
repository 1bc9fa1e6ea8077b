"""`kubeception image`: what machines boot from to become nodes."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kubeception.cli.options import examples
from kubeception.cli.report import TerminalReport

if TYPE_CHECKING:
    from kubeception.lab.export import Format

LOG = "image"


@click.group()
def image() -> None:
    """Images of nodes: a Linux with containerd, kubelet and kubeadm of one Kubernetes version."""


@image.command(
    epilog=examples(
        "image build",
        "image build --push registry.example.com/nodes/node:v1.36.3",
        "image build --format raw --output node.raw",
    )
)
@click.option("--version", metavar="VERSION", help="Of Kubernetes. [default: what can be built]")
@click.option(
    "--format",
    type=click.Choice(["containerdisk", "raw", "qcow2"]),
    default="containerdisk",
    show_default=True,
    help="An image for KubeVirt, or a disk for any hypervisor.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where it is written. [default: node-VERSION.tar, .raw or .qcow2; none with --push]",
)
@click.option("--push", default="", metavar="REGISTRY/NAME:TAG", help="Push a containerdisk there.")
@click.option(
    "--parts",
    default="auto",
    show_default=True,
    metavar="auto|release|build|PATH",
    help="Where programs come from that the cache lacks, as with `lab up`.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print what goes to the log.")
def build(
    version: str | None,
    format: "Format",  # noqa: A002 - the option's name
    output: Path | None,
    push: str,
    parts: str,
    *,
    verbose: bool,
) -> None:
    """Build the image of a node for a Kubernetes version. Nobody has a password or key in it."""
    from kubeception.lab import export, state
    from kubeception.lab.parts import KUBERNETES, Source

    order = export.Order(version or KUBERNETES, format, output, push, Source.parse(parts))
    order.check()
    with TerminalReport(state.log_file(LOG), verbose=verbose) as telling:
        export.build(order, telling)
    for made in filter(None, (order.file and str(order.file), push)):
        click.echo(made)
