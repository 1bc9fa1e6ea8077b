"""The command `kubeception`. A command's module is loaded when it is asked for, and imports little before it runs."""

import importlib
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import click

from kubeception import __version__
from kubeception.errors import KubeceptionError

SECTIONS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "Clusters": {
        "create": ("create", "A tenant cluster from nothing, or brought to what is asked for."),
        "apply": ("apply", "The same for files of clusters and node pools."),
        "diff": ("diff", "What apply would change."),
        "edit": ("edit", "A cluster and its pools in your editor."),
        "scale": ("scale", "More or fewer nodes."),
        "rotate-keys": ("rotate_keys", "A new key for Secrets at rest."),
        "join-command": ("join_command", "A node of a machine that nobody here can reach."),
        "pause": ("pause", "Leave a cluster alone for a while."),
        "resume": ("pause", "Work on it again."),
        "delete": ("delete", "The end of a cluster and all that belongs to it."),
    },
    "Look": {
        "list": ("list_", "The tenant clusters of the host."),
        "get": ("get", "Some of them, by name."),
        "describe": ("describe", "Everything about one, on one screen."),
        "tree": ("tree", "Clusters, their node pools, the nodes of those."),
        "nodes": ("nodes", "Nodes and their machines."),
        "events": ("events", "What the host reports of it."),
        "top": ("top", "CPU and memory it uses of the host."),
        "logs": ("logs", "What its control plane says."),
        "console": ("console", "What a machine says on its serial line."),
        "wait": ("wait", "Until something is so."),
        "doctor": ("doctor", "What is wrong, who must act, what to do."),
    },
    "Get in": {
        "connect": ("connect", "A shell or a command inside a cluster."),
        "kubeconfig": ("kubeconfig", "Its administrator's kubeconfig."),
    },
    "Host": {
        "install": ("install", "The operator, in a host cluster."),
        "upgrade": ("install", "Brought to this release."),
        "uninstall": ("install", "Removed, tenants only when told so."),
    },
    "Elsewhere": {
        "render": ("render", "Every manifest, without any cluster."),
        "lab": ("lab", "A host cluster on this machine."),
        "image": ("image", "Disks that machines become nodes from."),
        "config": ("config", "Options you needn't type."),
        "completion": ("completion", "Words for your shell's Tab key."),
        "version": ("version", "This program's version, and those it makes."),
    },
}
"""Commands in the order of the help: the module of `kubeception.cli` each is in, and what the list says of it."""

COMMANDS: Final = {
    name: module for section in SECTIONS.values() for name, (module, _) in section.items()
}

INTERRUPTED: Final = 130
FOUND: Final = 6
EXIT_CODES: Final[Mapping[int, str]] = {
    0: "done",
    1: "it failed; the message says what and what to do",
    2: "the command line, its file or the spec can't be used as given",
    3: "the time to wait is over; the same command goes on",
    4: "what is named doesn't exist",
    5: "no host cluster answers",
    FOUND: "diff: there is a difference; doctor: there is a problem",
    INTERRUPTED: "interrupted; nothing was undone",
}
"""What the exit codes say; `connect` gives that of its command."""


class LazyGroup(click.Group):
    """A group whose commands are modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"kubeception.cli.{COMMANDS[cmd_name]}")
        word = cmd_name.replace("-", "_")
        # a command whose name is a word of Python has a line below it
        command: click.Command = getattr(module, word, None) or getattr(module, f"{word}_")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, words) for name, (_, words) in commands.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), text) for code, text in EXIT_CODES.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", "show_version", prog_name="kubeception")
def kubeception() -> None:
    """Whole Kubernetes clusters inside a Kubernetes cluster, with virtual machines as their nodes."""


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; every error is told here, once."""
    from kubeception.cli.defaults import default_map

    words = list(sys.argv[1:] if args is None else args)
    try:
        sys.exit(
            kubeception.main(
                words, prog_name="kubeception", standalone_mode=False, default_map=default_map()
            )
            or 0
        )
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KubeceptionError as error:
        tell(error)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        interrupted(error, words)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the next one is nothing to trace back
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


def tell(error: KubeceptionError) -> None:
    """An error on standard error: what happened, what a failed command said, what to do."""
    from kubeception.cli.output import clean, coloured

    def line(text: str, colour: str | None = None) -> None:
        click.secho(clean(text), err=True, fg=colour if coloured(sys.stderr) else None)

    line(f"Error: {error.message}", "red")
    if error.output:
        line(error.output.rstrip())
    if error.hint:
        line(f"Hint: {error.hint}")


def interrupted(error: BaseException, words: Sequence[str]) -> None:
    """Say what was interrupted; work that was under way left its notes, and goes on when it is repeated."""
    cause = error.__cause__ or error.__context__
    notes = [*getattr(error, "__notes__", ()), *getattr(cause, "__notes__", ())]
    click.echo("Interrupted.", err=True)
    for note in notes:
        click.echo(note, err=True)
    if notes:
        again = shlex.join(["kubeception", *words])
        click.echo(f"Nothing was undone. Go on with:\n\n  {again}\n", err=True)
