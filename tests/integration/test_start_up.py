"""`kubeception --help` is quick because of what it does not import."""

import subprocess
import sys

import click
import pytest

from kubeception.cli import kubeception

HEAVY = {
    *("cryptography", "jinja2", "kopf", "kubernetes", "paramiko", "pydantic", "rich", "yaml"),
}
REPORT = """
import sys
from kubeception.cli import main
try:
    main(sys.argv[1:])
finally:
    print(*sys.modules, file=sys.stderr)
"""


def commands(group: click.Command, *path: str) -> list[tuple[str, ...]]:
    """The path of every command below the group, the group's own first."""
    found = [path]
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            found += commands(command, *path, name)
    return found


@pytest.mark.parametrize("path", commands(kubeception), ids=" ".join)
def test_help_of_every_command_loads_nothing_heavy(path: tuple[str, ...]) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", REPORT, *path, "--help"], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("Usage: ")
    loaded = {module.partition(".")[0] for module in shown.stderr.split()}
    assert "click" in loaded
    assert not loaded & HEAVY
