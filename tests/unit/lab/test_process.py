import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from kubeception.lab.process import Process


@pytest.fixture
def me() -> Process:
    return Process.of(os.getpid())


def test_this_process_is_alive(me: Process) -> None:
    assert me.alive()


def test_the_same_pid_started_at_another_time_is_another_process(me: Process) -> None:
    assert not replace(me, start=me.start + 1).alive()


def test_a_process_of_an_earlier_boot_is_not_alive(me: Process) -> None:
    assert not replace(me, boot="another").alive()


def test_ending_somebody_elses_process_of_the_same_pid_kills_nothing(me: Process) -> None:
    assert replace(me, start=me.start + 1).end(grace=1)


def test_a_pid_that_is_not_used_has_no_process() -> None:
    with pytest.raises(ProcessLookupError):
        Process.of(2**22 + 1)


def test_a_record_is_read_back(me: Process, tmp_path: Path) -> None:
    me.save(tmp_path / "me.json")
    assert Process.load(tmp_path / "me.json") == me
    assert [path.name for path in tmp_path.iterdir()] == ["me.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', json.dumps({"a": 1})])
def test_half_a_record_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.json").write_text(content)
    assert Process.load(tmp_path / "r.json") is None


def test_no_record_is_none(tmp_path: Path) -> None:
    assert Process.load(tmp_path / "none.json") is None
