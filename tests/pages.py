"""Pages of docs/ that are made from the program: the reference of its commands, and what to do by reason."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from kubeception.api.advice import ADVICE
from kubeception.api.reasons import Reason
from kubeception.cli import EXIT_CODES, SECTIONS, kubeception
from tests.blocks import ROOT
from tests.commands import examples
from tests.kinds_page import kinds

BEGIN: Final = "<!-- made by `make reference`: from here -->"
END: Final = "<!-- to here -->"


def pages() -> dict[Path, str]:
    """Path and text of each page that is made, in whole or in part."""
    docs = ROOT / "docs"
    trouble = docs / "troubleshooting.md"
    return {
        docs / "reference" / "cli.md": "\n".join(commands()),
        docs / "reference" / "crd.md": "\n".join(kinds()),
        trouble: between(trouble.read_text(), "\n".join(reasons())),
    }


def between(text: str, made: str) -> str:
    """The text with what is between the marks made anew."""
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n\n{made}\n{END}{rest.split(END)[1]}"


def reasons() -> Iterator[str]:
    """A table of every reason of a condition."""
    yield "| reason | it means | who must act | do |"
    yield "|---|---|---|---|"
    for reason in Reason:
        do = ADVICE.get(reason, "").replace("NAME", "acme")
        yield f"| `{reason.value}` | {reason.meaning} | {reason.actor} | {do} |"


def commands() -> Iterator[str]:
    """The reference of the command line."""
    yield "# Command line\n"
    yield "Made from the commands themselves, by `make reference`."
    yield "\n## Exit codes\n"
    yield "| code | it says |\n|---|---|"
    yield from (f"| {code} | {text} |" for code, text in EXIT_CODES.items())
    # A command keeps the help option of the first context it is asked in.
    context = click.Context(kubeception, **kubeception.context_settings)
    for section, names in SECTIONS.items():
        yield f"\n## {section}"
        for name in names:
            command = kubeception.get_command(context, name)
            assert command is not None
            yield from of_command(command, ("kubeception", name), context)


def of_command(
    command: click.Command, path: tuple[str, ...], parent: click.Context
) -> Iterator[str]:
    """A command, or all of a group."""
    context = click.Context(command, parent, info_name=path[-1])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from of_command(inner, (*path, name), context)
        return
    yield f"\n### {' '.join(path)}\n"
    yield f"```text\n{' '.join([*path, *command.collect_usage_pieces(context)])}\n```\n"
    yield " ".join((command.help or "").split())
    rows = [row for param in command.get_params(context) if (row := param.get_help_record(context))]
    if rows:
        yield "\n| option | |\n|---|---|"
        yield from (f"| `{cell(option)}` | {cell(text)} |" for option, text in rows)
    if lines := examples(command):
        yield "\n<!-- not run: examples of a help text, which are parsed by the command itself -->"
        yield "```console"
        yield from (f"$ {line}" for line in lines)
        yield "```"


def cell(text: str) -> str:
    """A text in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
