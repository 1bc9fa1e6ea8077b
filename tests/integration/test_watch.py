"""Watches: against a real API server, and against one that means harm."""

import json
import logging
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from kubeception.kube import door, stream, watch
from kubeception.kube.bounds import UNTRUSTED
from kubeception.kube.client import Cluster, Object
from kubeception.kube.watch import Watch
from kubeception.plan.kubeconfig import kubeconfig
from tests.integration.servers import TOKEN, ApiServer, certificate

PATIENCE_SECONDS = 10

Answer = Callable[[ssl.SSLSocket, str], None]
"""Answers a request, given its target; what it raises ends the connection."""


class Heard:
    """A handler that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def __call__(self, event: str, obj: Object) -> None:
        if obj["metadata"]["name"] != "kube-root-ca.crt":
            self.events.append((event, obj["metadata"]["name"]))

    def expect(self, *entries: tuple[str, str]) -> None:
        soon(lambda: set(entries) <= set(self.events))


def soon(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


@contextmanager
def watching(
    cluster: Cluster, namespace: str, heard: watch.Handler, **options: str
) -> Iterator[Watch]:
    watched = Watch(cluster, "ConfigMap", namespace, heard, **options)
    try:
        yield watched
    finally:
        watched.stop()
        watched.join()


@pytest.fixture
def host(host_server: ApiServer) -> Iterator[Cluster]:
    with host_server.cluster() as cluster:
        yield cluster


@pytest.fixture
def namespace(host: Cluster) -> Iterator[str]:
    name = f"w-{random.randrange(1 << 32):08x}"
    host.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    host.delete("Namespace", name)


def config_map(
    namespace: str, name: str, labels: dict[str, str] | None = None, **data: str
) -> Object:
    meta = {"name": name, "namespace": namespace, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


# a real API server


def test_what_is_there_and_what_changes_is_told(host: Cluster, namespace: str) -> None:
    heard = Heard()
    host.apply(config_map(namespace, "before"))
    with watching(host, namespace, heard):
        heard.expect(("ADDED", "before"))
        host.apply(config_map(namespace, "after"))
        host.apply(config_map(namespace, "after", x="1"))
        host.delete("ConfigMap", "before", namespace)
        heard.expect(("ADDED", "after"), ("MODIFIED", "after"), ("DELETED", "before"))


def test_pages_of_a_list_are_put_together(
    host: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PAGE", 2)
    for index in range(5):
        host.apply(config_map(namespace, f"a{index}"))
    heard = Heard()
    with watching(host, namespace, heard):
        heard.expect(*[("ADDED", f"a{index}") for index in range(5)])


def test_an_object_that_loses_its_label_is_told_as_deleted(host: Cluster, namespace: str) -> None:
    heard = Heard()
    with watching(host, namespace, heard, labels="mine"):
        host.apply(config_map(namespace, "a", {"mine": "1"}))
        host.apply(config_map(namespace, "other", {"theirs": "1"}))
        heard.expect(("ADDED", "a"))
        host.patch("ConfigMap", "a", {"metadata": {"labels": {"mine": None}}}, namespace)
        heard.expect(("DELETED", "a"))
    assert "other" not in {name for _, name in heard.events}


def test_a_field_selects_too(host: Cluster, namespace: str) -> None:
    heard = Heard()
    with watching(host, namespace, heard, fields="metadata.name=a"):
        host.apply(config_map(namespace, "other"))
        host.apply(config_map(namespace, "a"))
        heard.expect(("ADDED", "a"))
    assert heard.events == [("ADDED", "a")]


def test_a_watch_goes_on_where_a_stream_ended(
    host: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "STREAM_SECONDS", (1, 1))
    heard = Heard()
    host.apply(config_map(namespace, "early"))
    with watching(host, namespace, heard):
        heard.expect(("ADDED", "early"))
        time.sleep(2.5)
        host.apply(config_map(namespace, "late"))
        heard.expect(("ADDED", "late"))
    assert heard.events.count(("ADDED", "early")) == 1


def test_a_handler_that_raises_is_logged_and_called_again(
    host: Cluster, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Heard()

    def handler(event: str, obj: Object) -> None:
        heard(event, obj)
        raise RuntimeError("a mistake")

    with watching(host, namespace, handler):
        host.apply(config_map(namespace, "a"))
        heard.expect(("ADDED", "a"))
        host.apply(config_map(namespace, "b"))
        heard.expect(("ADDED", "b"))
    assert "a mistake" in caplog.text


def test_credentials_of_a_plug_in_are_used(host_server: ApiServer, namespace: str) -> None:
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": TOKEN},
    }
    plug_in = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "echo",
        "args": [json.dumps(credential)],
        "interactiveMode": "Never",
    }
    config = {**host_server.kubeconfig, "users": [{"name": "it", "user": {"exec": plug_in}}]}
    heard = Heard()
    with Cluster(config, "host") as host, watching(host, namespace, heard):
        host.apply(config_map(namespace, "a"))
        heard.expect(("ADDED", "a"))


def test_a_proxy_is_gone_through(host_server: ApiServer, namespace: str) -> None:
    asked: list[bytes] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=proxy, args=(listener, asked), daemon=True).start()
        cluster = dict(host_server.kubeconfig["clusters"][0]["cluster"])
        cluster["proxy-url"] = f"http://me:secret@127.0.0.1:{listener.getsockname()[1]}"
        config = {**host_server.kubeconfig, "clusters": [{"name": "it", "cluster": cluster}]}
        heard = Heard()
        with (
            Cluster(config, "host") as through,
            host_server.cluster() as host,
            watching(through, namespace, heard),
        ):
            host.apply(config_map(namespace, "a"))
            heard.expect(("ADDED", "a"))
        listener.shutdown(socket.SHUT_RDWR)
    assert asked[0].startswith(b"CONNECT 127.0.0.1:")
    assert b64encode(b"me:secret") in asked[0]


def proxy(listener: socket.socket, asked: list[bytes]) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            request = client.recv(4096)
            asked.append(request)
            host, port = request.split()[1].decode().rsplit(":", 1)
            server = socket.create_connection((host, int(port)))
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            for pair in ((client, server), (server, client)):
                threading.Thread(target=carry, args=pair, daemon=True).start()


def carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError), closing(source), closing(sink):
        while data := source.recv(1 << 16):
            sink.sendall(data)


def test_a_process_that_forgets_its_watches_ends_quietly(host_server: ApiServer) -> None:
    program = (
        "import json, sys, time; from kubeception.kube.client import Cluster;"
        "from kubeception.kube.watch import Watch;"
        "c = Cluster(json.loads(sys.argv[1]), 'host');"
        "seen = []; Watch(c, 'Namespace', '', lambda *e: seen.append(e));"
        "t = time.monotonic()\nwhile not seen and time.monotonic() - t < 10: time.sleep(0.01)\n"
        "sys.exit(not seen)"
    )
    command = [sys.executable, "-c", program, json.dumps(host_server.kubeconfig)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


# a server that means harm


@contextmanager
def talker(
    folder: Path, answer: Answer, admits: Callable[[], bool] = lambda: True
) -> Iterator[Cluster]:
    """A TLS server of our own, and a client of it."""
    authority = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "serving.crt", folder / "serving.key")
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def serve(plain: socket.socket) -> None:
        with suppress(OSError, ValueError), context.wrap_socket(plain, server_side=True) as secured:
            while True:
                request = b""
                while not request.endswith(b"\r\n\r\n"):
                    piece = secured.recv(4096)
                    if not piece:
                        return
                    request += piece
                answer(secured, request.split()[1].decode())

    def accept() -> None:
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                if not admits():
                    plain.close()
                    continue
                threading.Thread(target=serve, args=(plain,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    server = f"https://127.0.0.1:{listener.getsockname()[1]}"
    config = kubeconfig(name="x", server=server, ca=authority, user="x", token="t")
    with closing(listener), Cluster(config, "tenant") as client:
        yield client
        listener.shutdown(socket.SHUT_RDWR)


def say(to: ssl.SSLSocket, body: Any, status: str = "200 OK", *headers: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(data)}", *headers)
    to.sendall("\r\n".join((*lines, "", "")).encode() + data)


def begin(to: ssl.SSLSocket) -> None:
    to.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def chunk(to: ssl.SSLSocket, data: bytes) -> None:
    to.sendall(b"%x\r\n%s\r\n" % (len(data), data))


def listed(*found: str) -> Object:
    items = [{"metadata": {"name": name, "namespace": "n", "uid": name}} for name in found]
    return {"metadata": {"resourceVersion": "1"}, "items": items}


def event(name: str, **more: str) -> bytes:
    meta = {"name": name, "namespace": "n", "resourceVersion": "2"}
    return json.dumps({"type": "MODIFIED", "object": {"metadata": meta, **more}}).encode() + b"\n"


def then(first: Any, follow: Answer) -> Answer:
    """A list, and something else for the watch after it."""

    def answer(to: ssl.SSLSocket, target: str) -> None:
        if "watch=true" in target:
            follow(to, target)
        else:
            say(to, first)

    return answer


def test_what_went_in_a_gap_is_told_as_deleted(tmp_path: Path) -> None:
    lists = iter((listed("a", "b"), listed("a")))
    expired = {"type": "ERROR", "object": {"code": 410, "message": "too old"}}

    def answer(to: ssl.SSLSocket, target: str) -> None:
        if "watch=true" in target:
            say(to, json.dumps(expired).encode() + b"\n")
        else:
            say(to, next(lists))

    heard = Heard()
    with talker(tmp_path, answer) as cluster, watching(cluster, "n", heard):
        heard.expect(("DELETED", "b"))
    assert heard.events == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "a"), ("DELETED", "b")]


def test_watches_on_a_server_that_is_away_knock_for_each_other_and_all_come_back(
    tmp_path: Path,
) -> None:
    heard = Heard()
    away, knocks = threading.Event(), [0]
    away.set()

    def came() -> bool:
        knocks[0] += 1
        return not away.is_set()

    with (
        talker(tmp_path, then(listed("a"), stalled), came) as cluster,
        ExitStack() as stack,
    ):
        for _ in range(40):
            stack.enter_context(watching(cluster, "n", heard))
        time.sleep(1)
        before = knocks[0]
        time.sleep(5)
        assert knocks[0] - before <= 5 / door.KNOCK_SECONDS + 1  # each by itself: some 40
        away.clear()
        soon(lambda: heard.events.count(("ADDED", "a")) == 40)


def stalled(to: ssl.SSLSocket, _: str) -> None:
    begin(to)
    time.sleep(PATIENCE_SECONDS)


def test_a_stream_that_stalls_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "IDLE_SECONDS", 0.3)
    opened: list[str] = []

    def follow(to: ssl.SSLSocket, target: str) -> None:
        opened.append(target)
        stalled(to, target)

    with talker(tmp_path, then(listed("a"), follow)) as cluster, watching(cluster, "n", Heard()):
        soon(lambda: len(opened) > 1)
    assert "resourceVersion=1" in opened[1]


def test_stop_never_waits(tmp_path: Path) -> None:
    def mute(_: ssl.SSLSocket, __: str) -> None:
        time.sleep(PATIENCE_SECONDS)

    for answer in (mute, then(listed("a"), stalled)):
        with talker(tmp_path, answer) as cluster:
            watched = Watch(cluster, "ConfigMap", "n", Heard())
            time.sleep(0.2)
            begun = time.monotonic()
            watched.stop()
            assert time.monotonic() - begun < 0.05
            watched.join()
            assert time.monotonic() - begun < 0.5


def endless(to: ssl.SSLSocket, _: str) -> None:
    begin(to)
    while True:
        chunk(to, b" " * (1 << 16))


def one_event(data: bytes) -> Answer:
    def follow(to: ssl.SSLSocket, _: str) -> None:
        begin(to)
        chunk(to, data)

    return then(listed("a"), follow)


HARM: dict[str, tuple[Answer, str]] = {
    "a redirect": (
        lambda to, _: say(to, b"", "302 Found", "Location: https://127.0.0.1:1/"),
        "answered with 302",
    ),
    "headers without end": (
        lambda to, _: to.sendall(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000),
        "not an answer",
    ),
    "no HTTP": (lambda to, _: to.sendall(b"SSH-2.0-x\r\n\r\n"), "not an answer"),
    "a list without end": (endless, "a list is longer than"),
    "a list of no objects": (lambda to, _: say(to, {"items": [1]}), "not a list of objects"),
    "a list that is a number": (lambda to, _: say(to, 7), "not a JSON object"),
    "octets": (lambda to, _: say(to, b"\x1f\x8b\x00"), "not JSON"),
    "an event without end": (then(listed("a"), endless), "an event is longer than"),
    "an event that is deep": (one_event(b"[" * 100_000 + b"\n"), "not JSON"),
    "an event with a huge number": (one_event(b"1" * 100_000 + b"\n"), "not JSON"),
    "an event that is a list": (one_event(b"[]\n"), "not a JSON object"),
    "an event without an object": (one_event(b'{"type": "ADDED"}\n'), "an error instead"),
    "a name without end": (one_event(event("x" * 300)), "a name is longer than 255"),
    "a version that is an object": (
        one_event(
            b'{"type": "ADDED", "object": {"metadata": {"resourceVersion": [%s]}}}\n'
            % (b"1," * 300 + b"1")
        ),
        "a name is longer than 255",
    ),
    "words for the log": (
        one_event(b'{"type": "ERROR", "object": {"message": "\\u001b[2J"}}\n'),
        r"'\x1b[2J'",
    ),
}


@pytest.mark.parametrize("harm", HARM)
def test_harm_is_named_and_hurts_nobody_else(  # noqa: PLR0917
    harm: str,
    host: Cluster,
    namespace: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "PAGE_LIMIT", 1 << 20)
    monkeypatch.setattr(watch, "LINE_LIMIT", 1 << 20)
    caplog.set_level(logging.INFO)
    answer, said = HARM[harm]
    heard = Heard()
    with (
        talker(tmp_path, answer) as cluster,
        watching(cluster, "n", Heard()),
        watching(host, namespace, heard),
    ):
        soon(lambda: said in caplog.text)
        host.apply(config_map(namespace, "a"))
        heard.expect(("ADDED", "a"))
    assert "\x1b" not in caplog.text


def flood(to: ssl.SSLSocket, _: str) -> None:
    begin(to)
    data = b"".join(event(f"e{number}", data="x" * 100) for number in range(300))
    while True:
        chunk(to, data)


def test_who_talks_without_end_leaves_others_their_turn(
    host: Cluster, namespace: str, tmp_path: Path
) -> None:
    told = 0

    def count(_: str, __: Object) -> None:
        nonlocal told
        told += 1

    heard = Heard()
    with (
        talker(tmp_path, then(listed(), flood)) as cluster,
        watching(cluster, "n", count),
        watching(host, namespace, heard),
    ):
        soon(lambda: told > 1000)
        begun = time.monotonic()
        host.apply(config_map(namespace, "a"))
        heard.expect(("ADDED", "a"))
        assert time.monotonic() - begun < 2


def test_all_watches_on_one_who_is_not_trusted_have_one_pace_and_one_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(stream, "UNTRUSTED_BURST", 1 << 16)
    monkeypatch.setattr(stream, "UNTRUSTED_PACE", 1 << 16)
    monkeypatch.setattr(watch, "OBJECTS_LIMIT", 300)
    counted = [Counting() for _ in range(4)]
    with talker(tmp_path, then(listed(), flood)) as cluster, ExitStack() as stack:
        cluster.bounds = UNTRUSTED
        for heard in counted:
            stack.enter_context(watching(cluster, "n", heard))
        time.sleep(2)
    octets = sum(heard.told for heard in counted) * len(event("e1", data="x" * 100))
    assert 0 < octets < 3 * (1 << 16) + 4 * stream.CHUNK
    assert "more than 300 objects" in caplog.text


class Counting:
    """A handler that counts what it is told, and what it is told after its end."""

    def __init__(self) -> None:
        self.told = self.late = 0
        self.ended = False

    def __call__(self, _: str, __: Object) -> None:
        self.told += 1
        self.late += self.ended

    def busy(self) -> bool:
        return self.told > 50


def stop_amid_events(folder: Path, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Stop watches from several threads while events come; what was said or told that shouldn't have been."""
    caplog.set_level(logging.INFO)
    late = 0
    with talker(folder, then(listed(), flood)) as cluster:
        for _ in range(15):
            handler = Counting()
            watches = [Watch(cluster, "ConfigMap", "n", handler) for _ in range(4)]
            soon(handler.busy)
            threads = [threading.Thread(target=watched.stop) for watched in watches]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for watched in watches:
                watched.join()
            handler.ended = True
            late += handler.late
    said = [record.getMessage() for record in caplog.records]
    return [*said, *["told after its end"] * late]


def test_a_stop_amid_events_is_clean(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert stop_amid_events(tmp_path, caplog) == []


def test_a_stop_that_touches_tls_from_outside_the_loop_would_be_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `ssl.SSLSocket.shutdown` does: the TLS state is forgotten first, and a reader takes ciphertext for text."""
    stop = Watch.stop

    def careless(self: Watch) -> None:
        if (wire := self._stream._wire) is not None:
            wire._tls = None
            with suppress(OSError):
                wire._socket.shutdown(socket.SHUT_RDWR)
        time.sleep(0.05)
        stop(self)

    monkeypatch.setattr(Watch, "stop", careless)
    said = stop_amid_events(tmp_path, caplog)
    assert [line for line in said if "not JSON" in line or "not an answer" in line]
