import time
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from kubeception.cli.progress import BLOCKED_SECONDS, PATIENCE_SECONDS
from kubeception.cli.report import TerminalReport

PULL = "DaemonSet kubevirt/virt-handler; pod virt-handler-x: image r/virt:1 of container v: ErrImagePull"


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


def test_a_phase_that_was_interrupted_on_its_way_in_may_end_last(tmp_path: Path) -> None:
    with TerminalReport(tmp_path / "lab.log") as report:
        phase = report.phase("Network")
        phase.__enter__()
    phase.__exit__(None, None, None)
    assert "✓ Network" not in (tmp_path / "lab.log").read_text()


def test_what_is_waited_for_is_said_after_3_s_and_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with TerminalReport(tmp_path / "lab.log") as report, report.phase("KubeVirt"):
        report.waits(PULL)
        assert capsys.readouterr().err == ""
        now[0] += PATIENCE_SECONDS
        report.waits(PULL)
        report.waits(PULL)
        assert " ".join(capsys.readouterr().err.split()) == f"… waits for {PULL}"


def test_a_terminal_shows_it_shortened_then_what_blocks_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    report = TerminalReport(tmp_path / "lab.log")
    report.console = report.progress_bar.live.console = terminal = Console(
        file=StringIO(), force_terminal=True, width=80, height=20, soft_wrap=True, highlight=False
    )
    with closing(report.file), report.phase("KubeVirt"):
        now[0] += PATIENCE_SECONDS
        report.waits(PULL)
        (line,) = terminal.render_lines(report.progress_bar.get_renderable(), pad=False)
        shown = "".join(segment.text for segment in line)
        assert "KubeVirt" in shown
        assert "waits for DaemonSet" in shown
        assert shown.rstrip().endswith("…")
        now[0] += BLOCKED_SECONDS
        report.waits(PULL)
        report.waits(PULL)
    assert printed(terminal).count(PULL) == 1


def printed(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_an_interrupt_remembers_what_it_waited_for(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted(tmp_path / "lab.log")
    assert caught.value.__notes__ == ["It was at: KubeVirt: waits for KubeVirt is Deploying"]


def interrupted(log: Path) -> None:
    with TerminalReport(log) as report, report.phase("KubeVirt"):
        report.waits("KubeVirt is Deploying")
        raise KeyboardInterrupt
