"""Credentials that are kept for kubectl's plug-in."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kubeception.cli.credential import SPARE, keep, kept, place

NOW = datetime.now(UTC)


def text(ends: datetime) -> str:
    return json.dumps({"status": {"expirationTimestamp": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}})


def test_it_is_given_out_while_it_is_good(tmp_path: Path) -> None:
    file = tmp_path / "a" / "one.json"
    assert kept(file, NOW) == ""
    good = text(NOW + timedelta(hours=1))
    keep(file, good)
    assert kept(file, NOW) == good
    assert kept(file, NOW + timedelta(hours=1) - SPARE) == ""
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "found", ["", "no JSON", "[]", "{}", '{"status": {"expirationTimestamp": 1}}']
)
def test_what_can_not_be_read_is_not_given_out(tmp_path: Path, found: str) -> None:
    file = tmp_path / "one.json"
    file.write_text(found)
    assert kept(file, NOW) == ""


def test_those_that_ended_go(tmp_path: Path) -> None:
    keep(tmp_path / "old.json", text(NOW - timedelta(hours=1)))
    keep(tmp_path / "other.json", text(NOW + timedelta(hours=1)))
    keep(tmp_path / "new.json", text(NOW + timedelta(hours=2)))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["new.json", "other.json"]


def test_contexts_of_different_hosts_and_namespaces_are_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    places = {
        place(*parts) for parts in (("", "h", "a", "b"), ("", "h", "ab", ""), ("h", "", "a", "b"))
    }
    assert len(places) == 3
    assert all(found.is_relative_to(tmp_path) for found in places)
