import re
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest
from click.testing import CliRunner

from kubeception.cli import COMMANDS, EXIT_CODES, SECTIONS, kubeception, main
from kubeception.cli.options import DURATION
from kubeception.cli.output import (
    Column,
    Listing,
    Row,
    age,
    clean,
    fit,
    flat,
    shorten,
    table,
    trimmed,
    width,
)
from kubeception.errors import KubeceptionError, NotFoundError, SpecError

COLUMNS = (Column("NAME", least=6), Column("STATUS"), Column("SECRET", wide=True))


def listing(output: str, *rows: Row, empty: str = "") -> Listing:
    return Listing(COLUMNS, lambda: list(rows), output, empty)


def row(name: str = "acme", status: str = "Ready") -> Row:
    obj = {"metadata": {"name": name, "managedFields": [1]}, "status": {"phase": status}}
    return Row(name, (name, status, "x"), obj)


@pytest.mark.attack("A25")
def test_control_characters_of_others_never_reach_the_terminal() -> None:
    assert clean("a\x1b[31mred\x07\u202e\tb\nc") == "a�[31mred��\tb\nc"
    assert flat("a\x1b[2J\n  b") == "a�[2J b"


@pytest.mark.attack("A25")
@pytest.mark.parametrize("output", ["table", "wide", "json", "yaml", "name"])
def test_no_form_of_a_listing_prints_a_control_character(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "a\x1b]0;owned\x07\u202e\u009b31m"
    Listing(
        (Column("N"),), lambda: [Row(evil, (evil,), {"metadata": {"name": evil}})], output
    ).show()
    printed = capsys.readouterr().out
    assert "owned" in printed
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", printed)


@pytest.mark.attack("A25", control=True)
@pytest.mark.parametrize("output", ["table", "wide", "name"])
def test_without_cleaning_they_would_reach_it(
    output: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubeception.cli.output.clean", str)
    evil = "a\x1b]0;owned\x07"
    Listing((Column("N"),), lambda: [Row(evil, (evil,), {})], output).show()
    assert evil in capsys.readouterr().out


def test_columns_line_up(capsys: pytest.CaptureFixture[str]) -> None:
    table((Column("NAME"), Column("AGE")), [("a-long-name", "1s"), ("b", "")])
    assert capsys.readouterr().out == "NAME          AGE\na-long-name   1s\nb             -\n"


@pytest.mark.parametrize("room", [20, 40, 80])
def test_no_line_is_longer_than_the_terminal(room: int, capsys: pytest.CaptureFixture[str]) -> None:
    columns = (Column("NAME", 8), Column("STATUS"), Column("MESSAGE", 10))
    table(columns, [("n" * 40, "Ready", "m" * 200), ("名前" * 20, "Failed", "")], room=room)
    lines = capsys.readouterr().out.splitlines()
    assert all(width(line) <= room for line in lines)
    assert "Ready" in lines[1]
    assert "…" in lines[1]


def test_the_widest_column_gives_first() -> None:
    assert fit([40, 10, 20], [8, 0, 8], 56) == [20, 10, 20]
    assert fit([40, 10, 20], [8, 0, 8], 10) == [8, 10, 8]
    assert fit([3, 3], [0, 0], 1) == [3, 3]


def test_a_text_is_shortened_by_the_cells_it_takes() -> None:
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("名前", 3) == "名…"
    assert shorten("abc", 3) == "abc"
    assert shorten("abc", 0) == ""


def test_names_are_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    listing("name", row("a"), row("b")).show()
    assert capsys.readouterr().out == "a\nb\n"


def test_documents_are_a_list_of_whole_objects(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    listing("json", row()).show()
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["items"][0]["status"]) == ("List", {"phase": "Ready"})
    assert trimmed(row().obj)["metadata"] == {"name": "acme"}


def test_wide_shows_more(capsys: pytest.CaptureFixture[str]) -> None:
    listing("table", row()).show()
    assert "SECRET" not in capsys.readouterr().out
    listing("wide", row()).show()
    assert "SECRET" in capsys.readouterr().out


def test_nothing_is_said_where_data_goes(capsys: pytest.CaptureFixture[str]) -> None:
    listing("table", empty="There is none.").show()
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "There is none.\n")
    listing("name", empty="There is none.").show()
    assert capsys.readouterr() == ("", "")


class EndedError(Exception):
    """The end of a watch, which has none of its own."""


class Ticks:
    """Changes that happen until there are no more."""

    def __init__(self, *steps: Callable[[], None]) -> None:
        self.steps = list(steps)

    def wait(self, _: float) -> None:
        if not self.steps:
            raise EndedError
        self.steps.pop(0)()


def watched(output: str, *states: list[Row]) -> None:
    current = list(states)
    shown = Listing(COLUMNS, lambda: current[0], output)

    def step() -> None:
        current.pop(0)

    changes: Any = Ticks(*[step] * (len(states) - 1))
    with pytest.raises(EndedError):
        shown.watch(changes)


def test_a_watch_prints_what_changed_and_the_head_once(capsys: pytest.CaptureFixture[str]) -> None:
    watched("table", [row("a"), row("b")], [row("a"), row("b")], [row("a", "Failed"), row("b")])
    lines = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert lines == [["NAME", "STATUS"], ["a", "Ready"], ["b", "Ready"], ["a", "Failed"]]


def test_a_watch_of_names_and_documents(capsys: pytest.CaptureFixture[str]) -> None:
    watched("name", [row("a")], [row("a"), row("b")])
    assert capsys.readouterr().out == "a\nb\n"
    watched("yaml", [row("a")], [row("a", "Failed")])
    assert capsys.readouterr().out.count("---\n") == 2


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5s"), (119, "119s"), (600, "10m"), (7200, "2h"), (864_000, "10d")]
)
def test_ages(seconds: int, text: str) -> None:
    then = datetime.now(UTC) - timedelta(seconds=seconds + 0.1)
    assert age(then.isoformat()) == text


def test_no_age() -> None:
    assert age(None) == ""


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("0", 0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "x", "-1", "1d", "1 m", "10mm"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter):
        DURATION.convert(text, None, None)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(kubeception, [command, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output


def test_every_command_is_the_one_of_its_name() -> None:
    context = click.Context(kubeception)
    for name in COMMANDS:
        command = kubeception.get_command(context, name)
        assert command is not None
        assert command.name == name


def test_the_group_lists_every_command_and_every_exit_code() -> None:
    result = CliRunner().invoke(kubeception, ["--help"])
    assert all(f"  {command} " in result.output for command in COMMANDS)
    assert all(section in result.output for section in SECTIONS)
    for code, text in EXIT_CODES.items():
        assert re.search(rf"^  {code} +{re.escape(text[:30])}", result.output, re.MULTILINE)


def subclasses(kind: type[KubeceptionError]) -> set[type[KubeceptionError]]:
    found = kind.__subclasses__()
    return {kind, *found}.union(*map(subclasses, found))


def test_every_error_has_an_exit_code_of_the_table() -> None:
    assert {kind.exit_code for kind in subclasses(KubeceptionError)} <= set(EXIT_CODES)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KubeceptionError("it broke", hint="mend it", output="what it said\n"), 1),
        (SpecError(["a: b"]), 2),
        (NotFoundError("nothing"), 4),
    ],
)
def test_an_error_is_told_once_with_what_to_do(
    error: KubeceptionError,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(kubeception, "main", broken)
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == code
    told = capsys.readouterr().err
    assert told.count(error.message) == 1
    assert (f"Hint: {error.hint}" in told) is bool(error.hint)
    assert error.output in told


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A command that was interrupted leaves the next interrupt to the system, which would end the tests by it."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_of_work_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        error = KeyboardInterrupt()
        error.add_note("It was at: Datastore")
        raise click.Abort from error

    monkeypatch.setattr(kubeception, "main", interrupted)
    with pytest.raises(SystemExit) as caught:
        main(["create", "acme", "--set", "a b=1"])
    assert caught.value.code == 130
    told = capsys.readouterr().err
    assert "It was at: Datastore" in told
    assert "kubeception create acme --set 'a b=1'" in told


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_of_a_look_says_nothing_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise click.Abort

    monkeypatch.setattr(kubeception, "main", interrupted)
    with pytest.raises(SystemExit):
        main(["list", "--watch"])
    assert capsys.readouterr().err == "Interrupted.\n"
