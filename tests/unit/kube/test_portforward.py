import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from kubeception.kube.portforward import CARRIER, CHUNK, bring, heard, send

Carried = tuple[socket.socket, socket.socket, list[threading.Thread]]


@pytest.fixture
def carried() -> Iterator[Carried]:
    """The two ends of a connection that is carried: a person's, and that of whoever brings it to the cluster."""
    person, local = socket.socketpair()
    remote, far = socket.socketpair()
    with person, local, remote, far:
        threads = [
            threading.Thread(target=send, args=(local, remote), daemon=True),
            threading.Thread(target=bring, args=(remote, local), daemon=True),
        ]
        for thread in threads:
            thread.start()
        yield person, far, threads


def ended(threads: list[threading.Thread]) -> bool:
    for thread in threads:
        thread.join(5)
    return not any(thread.is_alive() for thread in threads)


def test_octets_go_both_ways(carried: Carried) -> None:
    person, far, threads = carried
    person.sendall(b"question")
    assert far.recv(CHUNK) == b"question"
    far.sendall(b"answer")
    assert person.recv(CHUNK) == b"answer"
    far.close()
    assert person.recv(CHUNK) == b""
    assert ended(threads)


def test_who_still_writes_to_somebody_who_left_is_told_and_not_broken(carried: Carried) -> None:
    person, far, threads = carried
    far.sendall(b"x" * CHUNK)
    person.recv(1)
    person.close()
    for _ in range(100):  # more than all buffers between hold
        far.sendall(b"x" * CHUNK)
    assert far.recv(1) == b""
    far.close()
    assert ended(threads)


@pytest.mark.parametrize(
    ("name", "raised", "told"),
    [
        (f"{CARRIER}: 6443", ssl.SSLEOFError(), False),
        (f"{CARRIER}: 6443", RuntimeError(), True),
        ("another", OSError(), True),
    ],
)
def test_the_end_of_a_connection_is_no_news(name: str, raised: Exception, told: bool) -> None:
    said: list[object] = []
    thread = threading.Thread(name=name)
    heard(threading.ExceptHookArgs((type(raised), raised, None, thread)), said.append)
    assert bool(said) is told
