"""Release downloads from a server on this machine that has the same paths as the projects' own."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from kubeception.errors import KubeceptionError
from kubeception.lab import parts
from kubeception.lab.part import Cache, Download, Part
from kubeception.lab.parts import CONFORMANCE, PARTS, Source, obtain
from kubeception.lab.release import Releases, UnavailableError
from tests.reports import Recorder

PUBLISHED = tuple(part for part in (*PARTS, CONFORMANCE) if part.downloads)


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and keeps no log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every download of the table, as a mirror lays it out: HOST/PATH."""
    folder = tmp_path_factory.mktemp("releases")
    for part in PUBLISHED:
        for download in part.downloads:
            file = place(folder, download.url)
            file.write_bytes(content(download))
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            with place(folder, download.checksums).open("a") as checksums:
                checksums.write(f"{digest}  {file.name}\n")
    return folder


def place(folder: Path, url: str) -> Path:
    path = folder / url.partition("://")[2]
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def content(download: Download) -> bytes:
    """The binary itself, or an archive with more in it than is wanted."""
    if "" in download.takes:
        return f"I am {download.takes['']}".encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member, name in {"./LICENSE": "text", **download.takes}.items():
            data = f"I am {name}".encode()
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["auto", "release"])
def test_all_published_parts_are_downloaded(kind: str, releases: Path, tmp_path: Path) -> None:
    report = Recorder()
    with served(releases) as url:
        source = Source(kind=kind, releases=Releases(url))  # type: ignore[arg-type]
        folder = obtain(source, tmp_path, report, PUBLISHED)
    for part in PUBLISHED:
        assert Cache(tmp_path).holds(part)
        for name in part.binaries:
            assert (folder / name).read_text() == f"I am {name}"
            assert (folder / name).stat().st_mode & 0o111
    assert not (tmp_path / "work").exists()
    again = Recorder()
    nowhere = Source(kind="release", releases=Releases("http://127.0.0.1:9"))
    assert obtain(nowhere, tmp_path, again, PUBLISHED)
    assert not again.phases


def test_a_wrong_checksum_is_refused_and_nothing_of_it_used(releases: Path, tmp_path: Path) -> None:
    victim = next(part for part in PUBLISHED if part.name == "etcd")
    file = place(releases, victim.downloads[0].url)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        with (
            served(releases) as url,
            pytest.raises(KubeceptionError, match=r"has SHA-256 .* says") as caught,
        ):
            obtain(Source(releases=Releases(url)), tmp_path, Recorder(), PUBLISHED)
    finally:
        file.write_bytes(whole)
    assert not isinstance(caught.value, UnavailableError)
    assert not (tmp_path / "bin/etcd").exists()
    assert not Cache(tmp_path).holds(victim)
    assert Cache(tmp_path).holds(PUBLISHED[0])


def test_what_is_missing_there_fails_a_release_only_source(releases: Path, tmp_path: Path) -> None:
    file = place(releases, PUBLISHED[-1].downloads[0].checksums)
    aside = file.rename(file.with_suffix(".aside"))
    try:
        with served(releases) as url, pytest.raises(UnavailableError, match="404"):
            obtain(Source(kind="release", releases=Releases(url)), tmp_path, Recorder(), PUBLISHED)
    finally:
        aside.rename(file)


def test_auto_builds_what_can_not_be_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Part] = []
    monkeypatch.setattr(parts, "build", lambda lacking, *_: built.extend(lacking))
    report = Recorder()
    obtain(Source(releases=Releases("http://127.0.0.1:9")), tmp_path, report, PUBLISHED[:2])
    assert built == list(PUBLISHED[:2])
    assert any("building from source" in line for line in report.lines)


def test_an_unreachable_host_is_noticed_at_once() -> None:
    assert not Releases("http://127.0.0.1:9").reachable()


def test_an_answer_of_any_kind_means_reachable(tmp_path: Path) -> None:
    with served(tmp_path) as url:
        assert Releases(url).reachable()
