"""The client side of an OCI registry: blobs and manifests, pushed over plain HTTP."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from kubeception.errors import ApiError, KubeceptionError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


@dataclass(frozen=True)
class Reference:
    """An image by host, repository and tag."""

    host: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Of a full name such as registry.k8s.io/pause:3.10.1. Raises KubeceptionError."""
        path, colon, tag = text.rpartition(":")
        host, slash, repository = path.partition("/")
        if not (colon and slash and host and repository and tag) or "/" in tag:
            raise KubeceptionError(
                f"image {text!r} is not of the form HOST/REPOSITORY:TAG",
                hint="write the name in full, e.g. docker.io/library/busybox:1.36",
            )
        return cls(host, repository, tag)

    def __str__(self) -> str:
        return f"{self.host}/{self.repository}:{self.tag}"


@dataclass(frozen=True)
class Repository:
    """One repository of a registry. Hosts are no part of its path: a mirror serves them all."""

    registry: str
    """`host:port`."""
    name: str

    def digest(self, tag: str) -> str:
        """Digest of the manifest a tag names now; empty where there is none."""
        with self.request("HEAD", f"manifests/{tag}", headers={"Accept": MANIFEST}) as response:
            found = response.headers.get("Docker-Content-Digest", "")
            return found if response.status == 200 else ""

    def has(self, digest: str) -> bool:
        """Whether a blob is there."""
        with self.request("HEAD", f"blobs/{digest}") as response:
            return response.status == 200

    def pull(self, digest: str, file: Path) -> None:
        """Download a blob. Raises ApiError."""
        with self.request("GET", f"blobs/{digest}") as response, file.open("wb") as out:
            self.expect(200, response, f"downloading {digest}")
            shutil.copyfileobj(response, out, 1 << 20)

    def push_file(self, digest: str, file: Path) -> None:
        """Upload a blob that is not there. Raises ApiError."""
        with file.open("rb") as content:
            self.push(digest, content, file.stat().st_size)

    def push(self, digest: str, content: IO[bytes] | bytes, size: int) -> None:
        """Upload a blob in one piece. Raises ApiError."""
        with self.request("POST", "blobs/uploads/") as response:
            self.expect(202, response, "beginning an upload")
            place = urlsplit(response.headers["Location"])
        query = f"{place.query}&" if place.query else ""
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        url = f"{place.path}?{query}digest={digest}"
        with self.request("PUT", url, body=content, headers=headers) as response:
            self.expect(201, response, f"uploading {digest}")

    def push_manifest(self, tag: str, manifest: bytes) -> None:
        """Make a tag name this manifest, whose blobs are there. Raises ApiError."""
        headers = {"Content-Type": MANIFEST}
        with self.request("PUT", f"manifests/{tag}", body=manifest, headers=headers) as response:
            self.expect(201, response, f"tagging {tag}")

    def expect(self, status: int, response: HTTPResponse, doing: str) -> None:
        """Raise ApiError for any other answer."""
        if response.status != status:
            answer = response.read(500).decode(errors="replace")
            message = f"registry {self.registry}, {self.name}: {doing}: {response.status} {answer}"
            raise ApiError(message, status=response.status)

    @contextmanager
    def request(
        self,
        method: str,
        path: str,
        *,
        body: IO[bytes] | bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[HTTPResponse]:
        """An answer of the registry. Raises ApiError where none comes."""
        connection = HTTPConnection(self.registry, timeout=120)
        url = path if path.startswith("/") else f"/v2/{self.name}/{path}"
        try:
            connection.request(method, url, body=body, headers=headers or {})
            response = connection.getresponse()
        except (OSError, HTTPException) as error:
            connection.close()
            message = f"registry {self.registry} does not answer: {error}"
            raise ApiError(
                message, hint="`kubeception lab status` shows whether it runs"
            ) from error
        try:
            yield response
        finally:
            connection.close()


def digest_of(data: bytes) -> str:
    """How a registry names a blob."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def encode(document: object) -> bytes:
    """JSON, the same way every time."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
