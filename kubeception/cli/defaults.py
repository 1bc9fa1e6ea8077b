"""The file of defaults: options a person needn't type, `$XDG_CONFIG_HOME/kubeception/config.toml`."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from kubeception.errors import UsageError

EVERYWHERE: Final = ("context", "kubeconfig", "namespace", "output")
"""Options that may be set for all commands at once."""


def path() -> Path:
    """Where the file is, or would be."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "kubeception" / "config.toml"


def load() -> dict[str, Any]:
    """What the file says; nothing where there is none. Raises UsageError for one that isn't TOML."""
    try:
        text = path().read_text(encoding="utf-8")
        import tomllib  # hardly anybody has the file, and everybody waits for this

        return tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path()}: can't be read: {error}", hint="Mend or remove it.") from None


def default_map() -> dict[str, Any]:
    """The defaults as click wants them: by command, then by parameter."""
    from kubeception.cli import COMMANDS

    said = load()
    everywhere = {key: value for key, value in said.items() if key in EVERYWHERE}
    own = {key: value for key, value in said.items() if isinstance(value, Mapping)}
    result = {name: {**everywhere, **own.get(name, {})} for name in COMMANDS}
    result["lab"] = dict(own.get("lab", {}))
    return result


def settable(group: click.Group) -> Iterator[tuple[str, click.Parameter]]:
    """`key, option` of everything the file may say: `namespace`, `create.workers`, `lab.up.nodes`."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((f"{name}.{key}", option) for key, option in settable(command))
        elif command is not None:
            for option in command.params:
                if isinstance(option, click.Option) and option.name and not option.is_eager:
                    yield f"{name}.{option.name}", option
                    if option.name in EVERYWHERE:
                        yield option.name, option


def write(values: Mapping[str, Any]) -> None:
    """Write the file anew, whole or not at all."""
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".new")
    temporary.write_text("".join(_toml(values)), encoding="utf-8")
    temporary.replace(file)


def _toml(values: Mapping[str, Any], *place: str) -> Iterator[str]:
    import json

    for key, value in values.items():
        if not isinstance(value, Mapping):
            yield f"{key} = {json.dumps(value)}\n"  # of these types, JSON is TOML
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            inner = "".join(_toml(value, *place, key))
            yield f"\n[{'.'.join((*place, key))}]\n{inner}" if inner else ""
