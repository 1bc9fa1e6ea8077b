"""Official release downloads: nothing is unpacked before its SHA-256 is the published one."""

import hashlib
import re
import shutil
import tarfile
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kubeception.errors import KubeceptionError
from kubeception.lab.part import Download
from kubeception.lab.report import Report

CHUNK = 1 << 20
HINT = "check the network, name a mirror in KUBECEPTION_RELEASES, or use --parts build"
PROBE = "https://dl.k8s.io/"


class UnavailableError(KubeceptionError):
    """A release file can't be had now: no network, no answer, or not there."""


@dataclass(frozen=True)
class Releases:
    """Where release files come from: the projects' own hosts, or a mirror laid out as `MIRROR/HOST/PATH`."""

    mirror: str = ""
    timeout: float = 20.0
    """Seconds without a byte."""

    def open(self, url: str, timeout: float | None = None) -> IO[bytes]:
        """Begin to read a file. Raises UnavailableError."""
        where = f"{self.mirror.rstrip('/')}/{url.partition('://')[2]}" if self.mirror else url
        try:
            response: IO[bytes] = urllib.request.urlopen(  # noqa: S310 - the table has only https
                where, timeout=timeout or self.timeout
            )
        except urllib.error.HTTPError as error:
            error.close()
            raise UnavailableError(f"downloading {where}: {error}", hint=HINT) from error
        except (urllib.error.URLError, TimeoutError) as error:
            reason = getattr(error, "reason", error)
            raise UnavailableError(f"downloading {where}: {reason}", hint=HINT) from error
        return response

    def reachable(self, patience: float = 3.0) -> bool:
        """Whether downloads are to be had: one try, which a silent resolver can't prolong."""
        answered = threading.Event()

        def probe() -> None:
            try:
                self.open(PROBE, timeout=patience).close()
            except UnavailableError as error:
                if not isinstance(error.__cause__, urllib.error.HTTPError):
                    return  # an HTTP error is an answer, too
            answered.set()

        threading.Thread(target=probe, daemon=True).start()
        return answered.wait(patience)

    def fetch(self, download: Download, folder: Path, work: Path, report: Report) -> None:
        """Put the binaries of a download into `folder`. Raises KubeceptionError."""
        file = self.verified(download, work, report)
        unpack(file, download, folder)
        file.unlink()

    def verified(self, download: Download, work: Path, report: Report) -> Path:
        """The downloaded file, its checksum being right. Raises KubeceptionError."""
        work.mkdir(parents=True, exist_ok=True)
        name = download.url.rpartition("/")[2]
        with self.open(download.checksums) as published:
            expected = published_digest(published.read().decode(), name, download.checksums)
        file = work / name
        found = self.save(download.url, file, report)
        if found != expected:
            file.unlink()
            raise KubeceptionError(
                f"{download.url} has SHA-256 {found}, but {download.checksums} says {expected}",
                hint="nothing of it was used; try again, and if it stays so, distrust the download",
            )
        return file

    def save(self, url: str, file: Path, report: Report) -> str:
        """Download to a file; its SHA-256."""
        digest, done = hashlib.sha256(), 0
        with self.open(url) as response, file.open("wb") as out:
            total = int(getattr(response, "headers", {}).get("Content-Length") or 0)
            while chunk := response.read(CHUNK):
                digest.update(chunk)
                out.write(chunk)
                done += len(chunk)
                report.progress(done, total, f"bytes of {file.name}")
        return digest.hexdigest()


def published_digest(text: str, name: str, source: str) -> str:
    """The SHA-256 that a checksum file publishes for a file name. Raises KubeceptionError."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) == 1 and len(lines[0]) == 1:
        digest = lines[0][0]
    else:
        named = {words[-1].lstrip("*").rpartition("/")[2]: words[0] for words in lines}
        digest = named.get(name, "")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise KubeceptionError(
            f"{source} publishes no SHA-256 for {name}", hint="use --parts build for this part"
        )
    return digest.lower()


def unpack(file: Path, download: Download, folder: Path) -> None:
    """Take the wanted binaries out of a verified file. Raises KubeceptionError."""
    folder.mkdir(parents=True, exist_ok=True)
    if "" in download.takes:
        place(file.open("rb"), folder / download.takes[""])
        return
    wanted = dict(download.takes)
    with tarfile.open(file) as archive:
        for member in archive:
            binary = wanted.pop(member.name.removeprefix("./"), None)
            content = archive.extractfile(member) if binary else None
            if binary and content:
                place(content, folder / binary)
    if wanted:
        raise KubeceptionError(f"{download.url} lacks {', '.join(sorted(wanted))}")


def place(content: IO[bytes], target: Path) -> None:
    """Write an executable, whole or not at all."""
    draft = target.with_name(f".{target.name}.new")
    with content, draft.open("wb") as out:
        shutil.copyfileobj(content, out, CHUNK)
    draft.chmod(0o755)
    draft.replace(target)
