"""`kubeception version`."""

import click

from kubeception import __version__
from kubeception.cli.options import examples


@click.command(epilog=examples("version"))
def version() -> None:
    """Show this program's version and the Kubernetes versions it makes."""
    from kubeception.api.v1alpha1 import DEFAULT_VERSION, NEWEST_MINOR, OLDEST_MINOR

    click.echo(f"kubeception {__version__}")
    click.echo(f"Kubernetes  {DEFAULT_VERSION} (v1.{OLDEST_MINOR} to v1.{NEWEST_MINOR})")
