from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner

from kubeception.cli import COMMANDS, kubeception, main
from kubeception.cli.options import DURATION
from kubeception.cli.output import age, clean, table
from kubeception.errors import KubeceptionError, NotFoundError, SpecError


def test_control_characters_of_others_never_reach_the_terminal() -> None:
    assert clean("a\x1b[31mred\x07\u202e\tb\nc") == "a�[31mred��\tb\nc"


def test_columns_line_up(capsys: pytest.CaptureFixture[str]) -> None:
    table(("NAME", "AGE"), [("a-long-name", "1s"), ("b", "")])
    assert capsys.readouterr().out == "NAME          AGE\na-long-name   1s\nb             -\n"


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


def test_the_group_lists_every_command() -> None:
    result = CliRunner().invoke(kubeception, ["--help"])
    assert all(f"  {command} " in result.output for command in COMMANDS)


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


def test_an_interrupt_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise click.Abort

    monkeypatch.setattr(kubeception, "main", interrupted)
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 130
    assert "goes on from here" in capsys.readouterr().err
