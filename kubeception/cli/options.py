"""Options that several commands share."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import click

P = ParamSpec("P")
R = TypeVar("R")

UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


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


@dataclass(frozen=True)
class HostArgs:
    """Which host cluster is meant, and which namespace of it."""

    kubeconfig: Path | None
    context: str | None
    namespace: str


def host_options(command: Callable[..., R]) -> Callable[..., R]:
    """`--kubeconfig`, `--context` and `--namespace`, given to the command as `host: HostArgs`."""

    @click.option(
        "--kubeconfig",
        type=click.Path(dir_okay=False, path_type=Path),
        help="kubeconfig of the host cluster; default: what kubectl reads.",
    )
    @click.option("--context", help="Its context; default: the current one.")
    @click.option(
        "-n", "--namespace", default="default", show_default=True, help="Where tenant clusters are."
    )
    @wraps(command)
    def wrapped(kubeconfig: Path | None, context: str | None, namespace: str, **rest: Any) -> R:
        return command(host=HostArgs(kubeconfig, context, namespace), **rest)

    return wrapped


name_argument = click.argument("name")
