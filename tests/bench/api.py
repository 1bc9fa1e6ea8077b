"""A client so light that looking does not slow down what is looked at."""

import base64
import http.client
import json
import ssl
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml


class Api:
    """An API server, as the current context of a kubeconfig says; one connection, kept open."""

    def __init__(self, kubeconfig: str) -> None:
        config = yaml.safe_load(kubeconfig)
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        self._server = urlsplit(cluster["server"])
        self._tls = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
        with tempfile.TemporaryDirectory() as folder:
            pair = Path(folder) / "pair.pem"
            pair.touch(mode=0o600)
            pair.write_bytes(
                base64.b64decode(user["client-certificate-data"])
                + base64.b64decode(user["client-key-data"])
            )
            self._tls.load_cert_chain(pair)
        self._connection: http.client.HTTPSConnection | None = None

    def get(self, path: str) -> dict[str, Any] | None:
        """The object or list at `path`; None while it is not there, or nobody answers."""
        answer = self._request("GET", path)
        return json.loads(answer) if answer is not None else None

    def post(self, path: str, body: dict[str, Any]) -> bool:
        """Whether the object could be made."""
        return self._request("POST", path, json.dumps(body)) is not None

    def ready(self) -> bool:
        """Whether /readyz says ok."""
        return self._request("GET", "/readyz") == b"ok"

    def _request(self, method: str, path: str, body: str | None = None) -> bytes | None:
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


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)
