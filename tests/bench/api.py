"""A client so light that looking does not slow down what is looked at."""

import http.client
import json
import ssl
import tempfile
from base64 import b64decode
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import yaml


class Api:
    """An API server and a client certificate for it; one connection, kept open."""

    def __init__(self, server: str, ca: bytes, cert: bytes, key: bytes) -> None:
        self._server = urlsplit(server)
        self._tls = ssl.create_default_context(cadata=ca.decode())
        with tempfile.TemporaryDirectory() as folder:
            pair = Path(folder) / "pair.pem"
            pair.touch(mode=0o600)
            pair.write_bytes(cert + b"\n" + key)
            self._tls.load_cert_chain(pair)
        self._connection: http.client.HTTPSConnection | None = None

    @classmethod
    def of_kubeconfig(cls, text: str) -> Self:
        """What the first cluster and user of a kubeconfig say."""
        config = yaml.safe_load(text)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        return cls(
            cluster["server"],
            b64decode(cluster["certificate-authority-data"]),
            b64decode(user["client-certificate-data"]),
            b64decode(user["client-key-data"]),
        )

    def get(self, path: str) -> dict[str, Any] | None:
        """The object or list at `path`; None while it is not there, or nobody answers."""
        answer = self._request("GET", path)
        return json.loads(answer) if answer is not None else None

    def post(self, path: str, body: dict[str, Any]) -> bool:
        """Whether the object could be made."""
        return self._request("POST", path, json.dumps(body)) is not None

    def delete(self, path: str) -> bool:
        """Whether what is at `path` could be marked for deletion, or was gone; it gets no time to end."""
        return self._request("DELETE", f"{path}?gracePeriodSeconds=0") is not None

    def ready(self) -> bool:
        """Whether /readyz says ok."""
        return self._request("GET", "/readyz") == b"ok"

    def _request(self, method: str, path: str, body: str | None = None) -> bytes | None:
        kept = self._connection is not None
        answer = self._ask(method, path, body)
        if answer is None and self._connection is None and kept:  # the server had closed it
            answer = self._ask(method, path, body)
        return answer

    def _ask(self, method: str, path: str, body: str | None) -> bytes | None:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self._server.hostname or "", self._server.port, timeout=2, context=self._tls
            )
        try:
            self._connection.request(
                method, path, body, {"Content-Type": "application/json"} if body else {}
            )
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            return None
        return content if answer.status < http.client.MULTIPLE_CHOICES else None
