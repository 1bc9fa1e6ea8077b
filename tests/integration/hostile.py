"""API servers of tenants that mean harm: each of them is found, and then does one thing to whoever asks on."""

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from kubeception.kube.client import Object

PORT: Final = 6443
FOUND: Final = "/namespaces/kube-node-lease"
"""What an API server must have to be worked with."""
PAGE: Final = 500
FILLER: Final = "x" * 4000

Harm = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """A request, and the ways to answer it."""

    protocol_version = "HTTP/1.1"
    timeout = 120.0
    harm: ClassVar[Harm]
    server: "_Server"

    @property
    def watches(self) -> bool:
        return "watch=true" in self.path

    def meet(self) -> None:
        """Be found; then do harm."""
        if FOUND in self.path:
            self.answer(b'{"kind": "Namespace", "metadata": {"name": "kube-node-lease"}}')
            return
        self.server.asked += 1
        with suppress(OSError):
            type(self).harm(self)

    do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = meet  # noqa: N815  # as the library asks

    def head(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.head(status, Content_Length=str(len(body)), **headers)
        self.wfile.write(body)

    def echo(self) -> None:
        """What is to be written, as if it were."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        marks = {"uid": "u", "resourceVersion": "1", "generation": 1}
        body["metadata"] = {**body.get("metadata", {}), **marks}
        self.answer(json.dumps(body).encode())

    def rest(self) -> None:
        """Say nothing more, for as long as the server is there."""
        self.server.ended.wait()

    def log_message(self, *_: object) -> None:
        """Says nothing here either."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    asked = 0

    def __init__(self, address: str, harm: Harm, context: ssl.SSLContext) -> None:
        self.ended, self.context = threading.Event(), context
        super().__init__((address, PORT), type("Harm", (Request,), {"harm": harm}))

    def finish_request(self, request: Any, client_address: Any) -> None:
        with suppress(OSError), self.context.wrap_socket(request, server_side=True) as secured:
            secured.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            super().finish_request(secured, client_address)

    def handle_error(self, *_: object) -> None:
        """Whoever hangs up has had enough."""


@contextmanager
def apart(servers: Sequence[tuple[str, Harm, Object]]) -> Iterator[None]:
    """Such servers, by address, in a process of their own: what they do costs whoever measures no time."""
    told = [(address, harm.__name__, secret) for address, harm, secret in servers]
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as running:
        assert running.stdin
        running.stdin.write(json.dumps(told) + "\n")
        running.stdin.flush()
        try:
            yield
        finally:
            running.kill()


@dataclass
class Hostile:
    """A tenant's API server at an address of this machine, with its serving certificate."""

    address: str
    harm: Harm
    secret: Object
    _server: _Server = field(init=False)

    @property
    def asked(self) -> int:
        """Requests since it was found."""
        return self._server.asked

    def __enter__(self) -> Self:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            pair = Path(folder, "pair.pem")
            keys = ("serving.crt", "serving.key")
            pair.write_bytes(b"".join(b64decode(self.secret["data"][key]) for key in keys))
            context.load_cert_chain(pair)
        self._server = _Server(self.address, self.harm, context)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.ended.set()
        self._server.shutdown()
        self._server.server_close()


def listed(*items: Object, more: str = "") -> bytes:
    meta = {"resourceVersion": "1", **({"continue": more} if more else {})}
    return json.dumps({"metadata": meta, "items": items}).encode()


def obj(name: str, **more: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "n", "uid": name, "labels": {}}, **more}


EMPTY: Final = listed()
FULL: Final = listed(*(obj(f"o{n}", data=FILLER) for n in range(PAGE)), more="on")
SMALL: Final = b'{"metadata": {}, "items": [' + b",".join([b"{}"] * (2 << 20)) + b"]}"
DEEP: Final = b"[" * (512 << 10)
EVENTS: Final = b"".join(
    json.dumps({"type": "MODIFIED", "object": obj(f"e{n % 250}", data="x" * 400, n=n)}).encode()
    + b"\n"
    for n in range(500)
)


def endless(request: Request) -> None:
    """Page after page."""
    request.answer(FULL)


def silent(request: Request) -> None:
    """Takes what is asked, and says nothing."""
    request.rest()


def dripping(request: Request) -> None:
    """One octet a second, of the answer's head or of its body."""
    if request.server.asked % 2:
        request.head(Content_Length=str(1 << 20))
    else:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while not request.server.ended.wait(1):
        request.wfile.write(b" ")


def small(request: Request) -> None:
    """Very many values that are next to nothing, each of which is something once it is parsed."""
    request.answer(SMALL)


def deep(request: Request) -> None:
    """Nothing but brackets."""
    request.answer(DEEP)


def refusing(request: Request) -> None:
    """A refusal without end."""
    request.head(500, Content_Length=str(1 << 40))
    while True:
        request.wfile.write(b" " * (1 << 20))


def busy(request: Request) -> None:
    """Says that it is busy, until next week."""
    request.answer(b"{}", 429, Retry_After="604800")


def flooding(request: Request) -> None:
    """A good server, but that everything changes all the time."""
    if not request.watches:
        request.answer(EMPTY) if request.command == "GET" else request.echo()
        return
    request.head(Transfer_Encoding="chunked")
    while not request.server.ended.is_set():
        request.wfile.write(b"%x\r\n%s\r\n" % (len(EVENTS), EVENTS))


def flapping(request: Request) -> None:
    """Hangs up after the question."""
    request.close_connection = True


HARMS: Final[tuple[Harm, ...]] = (
    *(endless, silent, dripping, small, deep),
    *(refusing, busy, flooding, flapping),
)


def main() -> None:
    """Be the servers that standard input tells of, until it ends."""
    os.nice(5)
    with ExitStack() as stack:
        for address, name, secret in json.loads(sys.stdin.readline()):
            (harm,) = (harm for harm in HARMS if harm.__name__ == name)
            stack.enter_context(Hostile(address, harm, secret))
        sys.stdin.read()


if __name__ == "__main__":
    main()
