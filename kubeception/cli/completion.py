"""`kubeception completion`: what a shell must know to complete words of the command line."""

import click

from kubeception.cli.options import examples


@click.command(epilog=examples("completion bash > /etc/bash_completion.d/kubeception"))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL.

    Names of tenant clusters are asked of the host, and are left out where it doesn't say them at once.
    """
    from click.shell_completion import get_completion_class

    from kubeception.cli import kubeception

    found = get_completion_class(shell)
    assert found is not None  # noqa: S101  # of the choices above
    click.echo(found(kubeception, {}, "kubeception", "_KUBECEPTION_COMPLETE").source())
