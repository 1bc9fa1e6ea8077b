"""Command lines of help texts, parsed by the program's own commands; nothing is run."""

import shlex
from collections.abc import Iterator, Sequence

import click

from kubeception.cli import kubeception


def all_commands(
    group: click.Group = kubeception, *path: str
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that isn't a group, with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from all_commands(command, *path, name)
        else:
            yield (*path, name), command


def examples(command: click.Command) -> list[str]:
    """The command lines in a command's help."""
    lines = (command.epilog or "").splitlines()
    return [line.strip() for line in lines if line.startswith("  ")]


def words(line: str) -> list[str]:
    """The first command of a shell line, without its redirections; a comment is no part of it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    found: list[str] = []
    for word in lexer:
        if set(word) <= set("|&;<>"):
            break
        found.append(word)
    return found


def parse(argv: Sequence[str]) -> None:
    """Let the commands read a command line. Raises click.UsageError where they refuse it."""
    context = click.Context(kubeception, info_name="kubeception", **kubeception.context_settings)
    command: click.Command = kubeception
    rest = list(argv)
    while isinstance(command, click.Group):
        assert rest, "a group is no command"
        name = rest.pop(0)
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no command {name}")
        command = found
        context = click.Context(command, context, info_name=name)
    command.parse_args(context, rest)
