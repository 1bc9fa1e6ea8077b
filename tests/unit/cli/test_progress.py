import time

import pytest

from kubeception.cli.progress import BLOCKED_SECONDS, PATIENCE_SECONDS, Progress


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_what_is_waited_for_is_said_after_3_s_and_only_once(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress()
    progress.start("Control plane")
    progress.detail("0/1 replicas ready")
    assert capsys.readouterr().err == ""
    clock.now += PATIENCE_SECONDS
    for _ in range(2):
        progress.detail("0/1 replicas ready")
    assert capsys.readouterr().err == "… waits for 0/1 replicas ready\n"
    progress.done()
    assert capsys.readouterr().err.split() == ["✓", "Control", "plane", "3.0", "s"]


def test_a_terminal_shows_seconds_then_what_is_waited_for_then_what_blocks(clock: Clock) -> None:
    progress = Progress()
    progress.start("Control plane")
    progress.detail("Pod a: ImagePullBackOff: " + "x" * 200)
    clock.now += 2
    assert progress.running(80) == ("Control plane  2 s", "")
    clock.now += 2
    line, blocked = progress.running(80)
    assert line.startswith("Control plane  4 s  waits for Pod a: ImagePullBackOff")
    assert len(line) == 80
    assert blocked == ""
    clock.now += BLOCKED_SECONDS
    line, blocked = progress.running(80)
    assert line == "Control plane  14 s"
    assert blocked.endswith("x" * 200)


def test_what_has_room_in_the_line_stays_there(clock: Clock) -> None:
    progress = Progress()
    progress.start("Nodes")
    clock.now += BLOCKED_SECONDS
    progress.detail("booting")
    assert progress.running(80) == ("Nodes  10 s  waits for booting", "")


def test_a_cause_that_comes_late_is_said_in_full_at_once(clock: Clock) -> None:
    progress = Progress()
    progress.start("Datastore")
    progress.detail("0/1 replicas ready")
    clock.now += BLOCKED_SECONDS + 2
    cause = "0/1 replicas ready: pod etcd-0: Unschedulable: 0/3 nodes are available: no memory."
    progress.detail(cause)
    assert progress.running(80) == ("Datastore  12 s", f"waits for {cause}")


def stuck() -> None:
    with Progress() as progress:
        progress.start("Datastore")
        progress.detail("Pod etcd-0: \x1b[31mPending")
        raise KeyboardInterrupt


def test_an_interrupt_crosses_the_phase_out_and_remembers_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        stuck()
    assert caught.value.__notes__ == ["It was at: Datastore: waits for Pod etcd-0: �[31mPending"]
    assert capsys.readouterr().err.startswith("✗ Datastore")


def test_a_failed_phase_is_crossed_out_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"), Progress() as progress, progress.phase("Host"):
        raise ValueError("broken")
    assert capsys.readouterr().err.count("✗ Host") == 1


def test_names_of_others_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.start("x")
    progress.done("API server\x1b[2J")
    assert "\x1b" not in capsys.readouterr().err
