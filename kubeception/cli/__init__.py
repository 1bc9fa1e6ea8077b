"""The command `kubeception`. A command's module is loaded when it is asked for, and imports little before it runs."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from kubeception import __version__
from kubeception.errors import KubeceptionError

COMMANDS: Final[Mapping[str, str]] = {
    "create": "create",
    "list": "list_",
    "get": "get",
    "kubeconfig": "kubeconfig",
    "scale": "scale",
    "nodes": "nodes",
    "console": "console",
    "events": "events",
    "delete": "delete",
    "render": "render",
    "lab": "lab",
    "version": "version",
}
"""Commands in the order of the help, and the module of `kubeception.cli` each is in, under the module's own name."""

INTERRUPTED: Final = 130


class LazyGroup(click.Group):
    """A group whose commands are modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"kubeception.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, COMMANDS[cmd_name])
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kubeception")
def kubeception() -> None:
    """Whole Kubernetes clusters inside a Kubernetes cluster, with virtual machines as their nodes."""


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; every error is told here, once."""
    try:
        sys.exit(kubeception.main(args, prog_name="kubeception", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KubeceptionError as error:
        tell(error)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo(
            "\nInterrupted. Nothing was undone: the same command goes on from here.", err=True
        )
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


def tell(error: KubeceptionError) -> None:
    """An error on standard error: what happened, what a failed command said, what to do."""
    from kubeception.cli.output import clean

    def line(text: str, **style: Any) -> None:
        click.secho(clean(text), err=True, **style)

    line(f"Error: {error.message}", fg="red")
    if error.output:
        line(error.output.rstrip())
    if error.hint:
        line(f"Hint: {error.hint}")
