"""Options that several commands share."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from kubeception.cli.paths import descend

P = ParamSpec("P")
R = TypeVar("R")

INNER_NAMESPACE: Final = "default"
"""Where the tenants of a tenant cluster are, unless told otherwise."""

UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class Formats(click.Choice[str]):
    """Of an output. One that the file of defaults has for all commands, and this one hasn't, is none for it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        by = ctx.get_parameter_source(param.name) if ctx and param and param.name else None
        if param and by is ParameterSource.DEFAULT_MAP and value not in self.choices:
            return str(param.default)
        return super().convert(value, param, ctx)


class Duration(click.ParamType[float]):
    """Seconds, or a number with s, m or h: `90`, `90s`, `10m`."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float | int):
            return float(value)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", value)
        if not match:
            self.fail(f"{value!r} is not a duration such as 90s or 10m", param, ctx)
        return float(match[1]) * UNITS[match[2]]


DURATION: Final = Duration()


def examples(*words: str) -> str:
    """The epilog of a command's help: command lines without the program's name."""
    return "\n".join(["\b", "Examples:", *(f"  kubeception {line}" for line in words)])


@dataclass(frozen=True)
class HostArgs:
    """Which host cluster is meant, and which namespace of it."""

    kubeconfig: Path | None
    context: str | None
    namespace: str
    path: tuple[str, ...] = ()
    """Tenant clusters to go through, the outermost first: the last of them is the host that is meant."""
    outer_namespace: str = ""
    """Where the first of them is, in the cluster that kubeconfig and context lead to."""


inside_option: Final = click.option(
    "--in",
    "inside",
    metavar="PATH",
    default="",
    help="A tenant cluster as the host, such as a, or a/b for b of a.",
)


def host_options(command: Callable[..., R]) -> Callable[..., R]:
    """`--kubeconfig`, `--context`, `--namespace` and `--in`, given to the command as `host: HostArgs`.

    A path before a name the command is given (`a/b/NAME`) is the same as `--in a/b`.
    """

    @click.option(
        "--kubeconfig",
        type=click.Path(dir_okay=False, path_type=Path),
        help="kubeconfig of the host cluster; default: what kubectl reads.",
    )
    @click.option("--context", help="Its context; default: the current one.")
    @click.option(
        "-n", "--namespace", default="default", show_default=True, help="Where tenant clusters are."
    )
    @inside_option
    @wraps(command)
    def wrapped(
        kubeconfig: Path | None, context: str | None, namespace: str, inside: str, **rest: Any
    ) -> R:
        path = descend(inside, rest)
        there = INNER_NAMESPACE if path else namespace
        return command(host=HostArgs(kubeconfig, context, there, path, namespace), **rest)

    return wrapped


def cluster_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The tenant clusters that a shell may complete a name to; none where the host doesn't say at once."""
    try:
        from kubeception.cli.complete import tenant_names

        options = ctx.params
        found = tenant_names(
            options.get("kubeconfig"), options.get("context"), options.get("namespace") or "default"
        )
    except Exception:  # noqa: BLE001  # a shell's line is no place for errors
        return []
    return [CompletionItem(name) for name in found if name.startswith(incomplete)]


def named(*, required: bool = True, many: bool = False) -> Callable[[Callable[..., R]], Any]:
    """The argument NAME, which shells complete."""
    return click.argument(
        "names" if many else "name",
        metavar="NAME..." if many else "NAME",
        nargs=-1 if many else 1,
        required=required,
        shell_complete=cluster_names,
    )


name_argument = named()
