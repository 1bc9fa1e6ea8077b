"""One GET of an API server with the standard library alone: for answers that must not wait for an import."""

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from kubeception import __version__
from kubeception.errors import UsageError
from kubeception.kube.kubeconfig import Files, with_files


def get_json(kubeconfig: Mapping[str, Any], path: str, seconds: float) -> dict[str, Any]:
    """What a GET of a path answers, by a kubeconfig with one context whose user is a certificate or a token.

    Raises UsageError for other users, OSError or ValueError for anything but an object as answer.
    """
    files = Files()
    try:
        document = with_files(kubeconfig, files)
        cluster = document["clusters"][0]["cluster"]
        user = document["users"][0]["user"] if document["users"] else {}
        if {"exec", "auth-provider"} & set(user):
            raise UsageError("its user is made by another program")
        url = urlsplit(cluster["server"])
        port = url.port or (443 if url.scheme == "https" else 80)
        connection = http.client.HTTPSConnection(
            url.hostname or "", port, timeout=seconds, context=_tls(cluster, user)
        )
        try:
            connection.request("GET", url.path.rstrip("/") + path, headers=_headers(user))
            found = json.loads(connection.getresponse().read())
        finally:
            connection.close()
    finally:
        files.close()
    if not isinstance(found, dict):
        raise ValueError("the answer is not an object")  # noqa: TRY004  # of the server's making
    return found


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=cluster.get("certificate-authority"))
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate := user.get("client-certificate"):
        context.load_cert_chain(certificate, user.get("client-key"))
    return context


def _headers(user: Mapping[str, Any]) -> dict[str, str]:
    headers = {"User-Agent": f"kubeception/{__version__}"}
    if token := user.get("token"):
        headers["Authorization"] = f"Bearer {token}"
    elif name := user.get("username"):
        basic = base64.b64encode(f"{name}:{user.get('password', '')}".encode()).decode()
        headers["Authorization"] = f"Basic {basic}"
    return headers
