from pathlib import Path

import pytest

from kubeception.cli.report import TerminalReport


def test_phases_are_ticked_and_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalReport(tmp_path / "logs" / "lab.log") as report, report.phase("Network [1]"):
        report.log("+ ip [link] show")
        report.progress(1, 3, "links")
    printed = capsys.readouterr().err
    assert printed.startswith("✓ Network [1]")
    assert printed.rstrip().endswith(" s")
    logged = (tmp_path / "logs" / "lab.log").read_text()
    assert "== Network [1]" in logged
    assert "+ ip [link] show" in logged
    assert "ip [link]" not in printed


def test_a_failed_phase_is_crossed_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(ValueError, match="broken"),
        TerminalReport(tmp_path / "lab.log") as report,
        report.phase("Network"),
    ):
        raise ValueError("broken")
    assert capsys.readouterr().err.startswith("✗ Network")
    assert "ValueError: broken" in (tmp_path / "lab.log").read_text()


def test_verbose_prints_every_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalReport(tmp_path / "lab.log", verbose=True) as report:
        report.log("+ ip [link] show")
    assert "  + ip [link] show" in capsys.readouterr().err


def test_an_interrupt_remembers_where_it_was(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt) as caught,
        TerminalReport(tmp_path / "lab.log") as report,
        report.phase("Network"),
    ):
        raise KeyboardInterrupt
    assert caught.value.__notes__ == ["It was at: Network"]
