"""A kubeconfig that somebody gave: its server, its CA and its credentials, and nothing else of it.

Of a whole kubeconfig much works on the machine of whoever uses it: it names programs to run, files to read and
proxies to ask. What a stranger wrote may do none of that.
"""

import base64
import re
import socket
from binascii import Error as NotBase64
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from kubeception.errors import SpecError
from kubeception.kube.kubeconfig import Document

SIZE_LIMIT: Final = 1 << 20
"""Octets, as a Secret may have."""
TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")
"""What may stand in a header."""
CLUSTER_KEYS: Final = ("certificate-authority", "insecure-skip-tls-verify", "proxy-url")
USER_KEYS: Final = (
    *("as", "as-groups", "as-uid", "as-user-extra", "auth-provider", "client-certificate"),
    *("client-key", "exec", "password", "tokenFile", "username"),
)
"""Keys that are not followed; that they are there is said, for without them it wouldn't be the same kubeconfig."""
NAME: Final = "given"

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def reduced(text: str, what: str) -> Document:
    """The kubeconfig's current context, or its only one, as far as it is followed.

    Raises SpecError with all that is wrong; of what is secret in it nothing is said.
    """
    problems: list[str] = []
    document = _parsed(text, problems)
    entry = _chosen(document, problems)
    cluster, user = (_named(document, entry, key, problems) for key in ("cluster", "user"))
    problems += [f"{key}: is not followed here" for key in CLUSTER_KEYS if cluster.get(key)]
    problems += [f"{key}: is not followed here" for key in USER_KEYS if user.get(key)]
    if entry:
        problems += _server_problems(cluster.get("server"))
        problems += _data_problems(cluster, user)
    if problems:
        raise SpecError(problems, what=what)
    kept = {"server": cluster["server"].rstrip("/")}
    for key in ("certificate-authority-data", "tls-server-name"):
        if value := cluster.get(key):
            kept[key] = str(value)
    credentials = ("token",) if user.get("token") else CERTIFICATE
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "clusters": [{"name": NAME, "cluster": kept}],
        "users": [{"name": NAME, "user": {key: user[key] for key in credentials}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
    }


CERTIFICATE: Final = ("client-certificate-data", "client-key-data")


def at_address(document: Document, allowed: Callable[[str], bool], what: str) -> Document:
    """The same, reduced one, with an address for its server's name, which may not be resolved again.

    It waits for the name servers. Raises SpecError unless all addresses of it are IPv4 and allowed.
    """
    cluster = document["clusters"][0]["cluster"]
    url = urlsplit(cluster["server"])
    name, port = url.hostname or "", url.port or 443
    try:
        found = socket.getaddrinfo(name, port, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SpecError([f"server: {name} has no IPv4 address: {error}"], what=what) from None
    addresses = sorted({str(entry[4][0]) for entry in found})
    if bad := [address for address in addresses if not allowed(address)]:
        raise SpecError([f"server: {bad[0]} is one of the host cluster's own"], what=what)
    path = f"{url.path}" if url.path != "/" else ""
    dialled = {**cluster, "server": f"https://{addresses[0]}:{port}{path}"}
    if addresses[0] != name:
        dialled.setdefault("tls-server-name", name)
    return {**document, "clusters": [{"name": NAME, "cluster": dialled}]}


def _parsed(text: str, problems: list[str]) -> Mapping[str, Any]:
    if len(text) > SIZE_LIMIT:
        problems.append(f"is larger than {SIZE_LIMIT >> 20} MiB")
        return {}
    try:
        document = yaml.load(text, _Loader)  # noqa: S506  # a safe loader
    except (RecursionError, ValueError, yaml.YAMLError):
        document = None  # why may quote it
    if isinstance(document, dict):
        return document
    problems.append("is not a kubeconfig")
    return {}


def _chosen(document: Mapping[str, Any], problems: list[str]) -> Mapping[str, Any]:
    """The body of the current context, or of the only one."""
    known = list(_entries(document, "context"))
    current = document.get("current-context")
    found = [body for name, body in known if name == current] or [body for _, body in known]
    if len(found) == 1:
        return found[0]
    if not problems:
        problems.append("current-context: names no context of it")
    return {}


def _named(
    document: Mapping[str, Any], context: Mapping[str, Any], key: str, problems: list[str]
) -> Mapping[str, Any]:
    found = [body for name, body in _entries(document, key) if name == context.get(key)]
    if context and not found:
        problems.append(f"the context names a {key} that isn't there")
    return found[0] if found else {}


def _entries(document: Mapping[str, Any], key: str) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    listed = document.get(f"{key}s")
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get(key), dict):
            yield entry.get("name"), entry[key]


def _server_problems(server: Any) -> Iterator[str]:
    try:
        url = urlsplit(server if isinstance(server, str) else "")
        port = url.port
    except ValueError:
        yield "server: is not a URL"
        return
    plain = not (url.query or url.fragment or "@" in url.netloc)
    if url.scheme != "https" or not url.hostname or not plain or port == 0:
        yield "server: is not a plain https URL"
    elif not re.fullmatch(r"[A-Za-z0-9._/:~-]+", server):
        yield "server: has letters that no URL of an API server has"


def _data_problems(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> Iterator[str]:
    if not _decoded(cluster.get("certificate-authority-data")):
        yield "certificate-authority-data: is missing, or not base64"
    name = cluster.get("tls-server-name", "")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9.-]{0,253}", name):
        yield "tls-server-name: is not a DNS name"
    token = user.get("token")
    if token is not None:
        if not isinstance(token, str) or not TOKEN.fullmatch(token):
            yield "token: is not one"
        return
    pair = [_decoded(user.get(key)) for key in CERTIFICATE]
    if not all(pair):
        yield "token, or client-certificate-data and client-key-data: are missing, or not base64"
    elif b"ENCRYPTED" in pair[1]:
        yield "client-key-data: is encrypted, and nobody is there who could be asked for the password"


def _decoded(data: Any) -> bytes:
    """Base64 data; nothing where it isn't that."""
    try:
        return base64.b64decode(data, validate=True) if isinstance(data, str) else b""
    except (NotBase64, ValueError):
        return b""
