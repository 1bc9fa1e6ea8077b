"""A connection of the event loop to an API server: what comes is limited in size, in time and in pace.

TLS is done in memory above a plain socket: that takes 25 KiB a connection, where asyncio's own TLS
transport takes more than ten times that, and nothing but the loop ever touches the socket.
"""

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode, urlsplit
from weakref import WeakKeyDictionary

import h11

from kubeception.errors import ApiError
from kubeception.kube.client import Access, Cluster
from kubeception.kube.door import Door
from kubeception.kube.pace import Pace

OPEN_SECONDS: Final = 10.0
"""For a connection with all that belongs to it: credentials, name, TCP, proxy, TLS."""
ANSWER_SECONDS: Final = 30.0
"""Between two pieces of an answer that isn't a stream of events."""
CHUNK: Final = 1 << 16
PACE: Final = 2 << 20
"""Octets a second that are read for long: an API server that talks without end isn't all there is."""
BURST: Final = 16 << 20
"""Octets that are read as fast as they come."""
UNTRUSTED_PACE: Final = 256 << 10
UNTRUSTED_BURST: Final = 8 << 20
"""The same of an API server that isn't trusted, for all connections to it together: of each event somebody is told."""


_doors: WeakKeyDictionary[Cluster, Door] = WeakKeyDictionary()


_paces: WeakKeyDictionary[Cluster, Pace] = WeakKeyDictionary()


def _door(cluster: Cluster) -> Door:
    return _doors.setdefault(cluster, Door())


def _pace(cluster: Cluster) -> Pace:
    """Of another connection to it."""
    if cluster.bounds is None:
        return Pace(PACE, BURST)
    return _paces.setdefault(cluster, Pace(UNTRUSTED_PACE, UNTRUSTED_BURST))


class Stream:
    """GET requests, one after the other, on a connection that is made anew where it can't be used again.

    Raises OSError for a connection that fails, TimeoutError among them, and ApiError for an answer
    that isn't HTTP. All of it happens in one event loop.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._access: Access | None = None
        self._wire: _Wire | None = None
        self._http = h11.Connection(h11.CLIENT)
        self._patience = ANSWER_SECONDS

    async def get(self, path: str, query: Mapping[str, str]) -> int:
        """Send a request; the status of its answer, which `read` then gives. No redirect is followed."""
        wire, access = await self._ready()
        self._patience = ANSWER_SECONDS
        url = urlsplit(access.server)
        target = f"{url.path.rstrip('/')}{quote(path)}?{urlencode(query)}"
        headers = {"Host": url.netloc.rpartition("@")[2], "Accept": "application/json"}
        request = h11.Request(
            method="GET", target=target, headers=[*{**headers, **access.headers}.items()]
        )
        sent = (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        await wire.write(sent)
        while not isinstance(event := await self._event(), h11.Response):
            pass  # an interim answer
        return event.status_code

    async def read(self, seconds: float = ANSWER_SECONDS) -> bytes | None:
        """The next piece of the answer, which may take these seconds; None at its end."""
        self._patience = seconds
        event = await self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    def close(self) -> None:
        """Close the connection. The next request makes another."""
        if self._wire is not None:
            self._wire.close()
        self._wire = self._access = None

    async def _ready(self) -> tuple["_Wire", Access]:
        done = self._http.our_state is self._http.their_state is h11.DONE
        if self._wire is not None and self._access is not None and done:
            self._http.start_next_cycle()
            return self._wire, self._access
        self.close()
        self._http = h11.Connection(h11.CLIENT)
        access, wire = await _door(self._cluster).enter(self._dial)
        self._access, self._wire = access, wire
        return wire, access

    async def _dial(self) -> tuple[Access, "_Wire"]:
        async with asyncio.timeout(OPEN_SECONDS):
            # a credential plug-in is a process, and resolving a name has no other form
            access = await asyncio.to_thread(self._cluster.access)
            return access, await _open(access, _pace(self._cluster))

    async def _event(self) -> Any:
        if self._wire is None:
            raise ConnectionResetError("the connection is closed")
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                async with asyncio.timeout(self._patience):
                    data = await self._wire.read()
                if not data:
                    raise ConnectionResetError("the connection was closed")
                self._http.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise ApiError(f"{self._cluster.title}: not an answer: {error}") from None
        return event


async def _open(access: Access, pace: Pace) -> "_Wire":
    """A connection, through the proxy where there is one, with TLS where the server has it."""
    url = urlsplit(access.server)
    goal = (url.hostname or "", url.port or (443 if access.tls else 80))
    proxy = urlsplit(access.proxy)
    dialled = await _dial(*((proxy.hostname or "", proxy.port or 80) if proxy.netloc else goal))
    wire = _Wire(dialled, pace)
    try:
        if proxy.netloc:
            await _tunnel(wire, proxy.username, proxy.password, goal)
        if access.tls:
            await wire.secure(access.tls, access.server_name or goal[0])
    except BaseException:
        wire.close()
        raise
    return wire


async def _dial(host: str, port: int) -> socket.socket:
    """A connection to the first address that takes one."""
    loop = asyncio.get_running_loop()
    error: OSError = ConnectionError(f"{host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        dialled = socket.socket(family, kind, protocol)
        try:
            dialled.setblocking(False)
            await loop.sock_connect(dialled, address)
        except OSError as refused:
            dialled.close()
            error = refused
        except BaseException:
            dialled.close()
            raise
        else:
            return dialled
    raise error


async def _tunnel(
    wire: "_Wire", user: str | None, password: str | None, goal: tuple[str, int]
) -> None:
    """Ask an HTTP proxy for a connection to the goal."""
    http = h11.Connection(h11.CLIENT)
    place = f"[{goal[0]}]:{goal[1]}" if ":" in goal[0] else f"{goal[0]}:{goal[1]}"
    headers = [("Host", place)]
    if user:
        secret = b64encode(f"{unquote(user)}:{unquote(password or '')}".encode()).decode()
        headers.append(("Proxy-Authorization", f"Basic {secret}"))
    await wire.write(http.send(h11.Request(method="CONNECT", target=place, headers=headers)) or b"")
    try:
        http.send(h11.EndOfMessage())
        while (event := http.next_event()) is h11.NEED_DATA:
            http.receive_data(await wire.read())
    except h11.RemoteProtocolError as error:
        raise ConnectionError(f"the proxy gives no answer: {error}") from None
    if not isinstance(event, h11.Response) or event.status_code != 200:
        raise ConnectionError(f"the proxy refuses a connection to {place}")


class _Wire:
    """A socket, and TLS above it once `secure` was called."""

    def __init__(self, dialled: socket.socket, pace: Pace) -> None:
        self._socket, self._loop, self._pace = dialled, asyncio.get_running_loop(), pace
        self._tls: ssl.SSLObject | None = None
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()

    async def secure(self, context: ssl.SSLContext, name: str) -> None:
        """Shake hands."""
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._more():
                    raise ConnectionResetError("closed in the TLS handshake") from None
            else:
                break
        await self._flush()

    async def write(self, data: bytes) -> None:
        if self._tls is None:
            await self._loop.sock_sendall(self._socket, data)
        else:
            self._tls.write(data)
            await self._flush()

    async def read(self) -> bytes:
        """What has come; empty once the other side has closed."""
        while True:
            if self._tls is None:
                return await self._received()
            try:
                return self._tls.read(CHUNK)
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._more():
                    return b""
            except ssl.SSLZeroReturnError:
                return b""

    def close(self) -> None:
        self._socket.close()

    async def _more(self) -> int:
        data = await self._received()
        return self._in.write(data) if data else 0

    async def _flush(self) -> None:
        if data := self._out.read():
            await self._loop.sock_sendall(self._socket, data)

    async def _received(self) -> bytes:
        """Octets of the socket. Others get their turn before, whatever waits there to be read."""
        await asyncio.sleep(self._pace.delay)
        data = await self._loop.sock_recv(self._socket, CHUNK)
        self._pace.spend(len(data))
        return data
