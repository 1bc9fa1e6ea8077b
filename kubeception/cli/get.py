"""`kubeception get`: some tenant clusters of a host."""

import click

from kubeception.cli.options import HostArgs, examples, host_options, named
from kubeception.cli.output import output_option, watch_option


@click.command(epilog=examples("get acme -o yaml", "get acme umbra --watch"))
@named(many=True, required=False)
@watch_option
@output_option
@host_options
def get(names: tuple[str, ...], output: str, *, watch: bool, host: HostArgs) -> None:
    """Show the tenant clusters NAME..., or all of the namespace, as `list` does."""
    from kubeception.cli.listing import clusters

    clusters(host, names, output, watch=watch, all_namespaces=False)
