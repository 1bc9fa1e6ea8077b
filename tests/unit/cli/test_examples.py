"""What help texts and documents tell a person to type is what the commands take."""

import re

import click
import pytest

from tests.blocks import DOCUMENTS, ROOT, blocks
from tests.commands import all_commands, examples, parse, words

COMMANDS = dict(all_commands())
LINES = list(
    dict.fromkeys(
        (path, line.command) for path in DOCUMENTS for block in blocks(path) for line in block.lines
    )
)
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
OTHERS = {
    "apt-get",
    "cat",
    "curl",
    "echo",
    "git",
    "helm",
    "kubectl",
    "pip",
    "python3",
    "export",
    "sed",
    "source",
    "ssh-keygen",
}
"""Programs that documents use and this test knows nothing of."""


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_an_example_that_it_takes(path: tuple[str, ...]) -> None:
    lines = examples(COMMANDS[path])
    assert lines
    for line in lines:
        program, *rest = words(line)
        assert program == "kubeception"
        assert tuple(rest[: len(path)]) == path
        parse(rest)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_is(path: tuple[str, ...]) -> None:
    silent = [
        option.name
        for option in COMMANDS[path].params
        if isinstance(option, click.Option) and not option.help
    ]
    assert silent == []


def test_documents_have_commands() -> None:
    assert len(LINES) > 20


@pytest.mark.parametrize(
    "line",
    [line for _, line in LINES],
    ids=[f"{path.relative_to(ROOT)}: {line}" for path, line in LINES],
)
def test_a_documented_command_can_be_typed(line: str) -> None:
    program, *rest = words(line)
    if program == "kubeception":
        parse(rest)
    elif program == "make":
        assert {word for word in rest if "=" not in word} <= TARGETS
    else:
        assert program in OTHERS


@pytest.mark.parametrize(
    "line", ["kubeception create", "kubeception fly acme", "kubeception list -x"]
)
def test_a_command_that_is_none_is_seen(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(words(line)[1:])
