"""`kubeception list`: the tenant clusters of a host."""

import click

from kubeception.cli.options import HostArgs, examples, host_options
from kubeception.cli.output import all_option, output_option, watch_option


@click.command("list", epilog=examples("list -A -o wide", "list --watch"))
@all_option
@watch_option
@output_option
@host_options
def list_(output: str, *, watch: bool, all_namespaces: bool, host: HostArgs) -> None:
    """Show the tenant clusters of the host."""
    from kubeception.cli.listing import clusters

    clusters(host, (), output, watch=watch, all_namespaces=all_namespaces)
