"""`kubeception config`: the file of defaults."""

from contextlib import suppress
from typing import Any

import click

from kubeception.cli.options import examples


@click.group()
def config() -> None:
    """Options you needn't type: shown, set, and the file they are in."""


@config.command(epilog=examples("config view"))
def view() -> None:
    """Print what the file says."""
    from kubeception.cli import kubeception
    from kubeception.cli.defaults import load, path, settable
    from kubeception.cli.output import clean

    known = dict(settable(kubeception))
    said = list(flat(load()))
    if not said:
        click.echo(f"{path()} says nothing yet.", err=True)
    for key, value in said:
        note = "" if key in known else "   # no such option"
        click.echo(clean(f"{key} = {value}{note}"))


@config.command(epilog=examples("config set namespace team-a", "config set create.workers 2"))
@click.argument("key")
@click.argument("value")
def set(key: str, value: str) -> None:  # noqa: A001  # the word a person types
    """Let KEY have VALUE: an option of all commands, or of one, as in create.workers."""
    from kubeception.cli.defaults import load, write

    checked = accepted(key, value)
    told = checked if isinstance(checked, bool | int) else value
    values = load()
    *steps, last = key.split(".")
    place: dict[str, Any] = values
    for step in steps:
        place = place.setdefault(step, {})
    place[last] = told
    write(values)


@config.command(epilog=examples("config unset namespace"))
@click.argument("key")
def unset(key: str) -> None:
    """Let KEY have no value of its own."""
    from kubeception.cli.defaults import load, write

    values = load()
    *steps, last = key.split(".")
    place: Any = values
    for step in steps:
        place = place.get(step, {}) if isinstance(place, dict) else {}
    if isinstance(place, dict) and place.pop(last, None) is not None:
        write(values)


@config.command(epilog=examples("config path"))
def path() -> None:
    """Print where the file is."""
    from kubeception.cli.defaults import path as file

    click.echo(str(file()))


def accepted(key: str, value: str) -> Any:
    """A value as an option takes it: of all commands that have it, the first that does. Raises UsageError."""
    context, (*others, last) = click.get_current_context(), options_of(key)
    for option in others:
        with suppress(click.BadParameter):
            return option.type_cast_value(context, value)
    return last.type_cast_value(context, value)


def options_of(key: str) -> list[click.Parameter]:
    """The options that a key means: one, or those of all commands. Raises UsageError."""
    from difflib import get_close_matches

    from kubeception.cli import kubeception
    from kubeception.cli.defaults import settable
    from kubeception.errors import UsageError

    known: dict[str, list[click.Parameter]] = {}
    for name, option in settable(kubeception):
        known.setdefault(name, []).append(option)
    if key not in known:
        near = ", ".join(get_close_matches(key, known, cutoff=0.5))
        hint = f"Is it one of these: {near}?" if near else "`kubeception COMMAND --help` has them."
        raise UsageError(f"{key}: no option of that name", hint=hint)
    return known[key]


def flat(values: dict[str, Any], *place: str) -> list[tuple[str, Any]]:
    """`a.b.c` and its value, for every value."""
    found = []
    for key, value in values.items():
        if isinstance(value, dict):
            found += flat(value, *place, key)
        else:
            found.append((".".join((*place, key)), value))
    return found
