"""Watches that never end: they survive closed streams, expired versions and an API server that is away.

All watches of a process are tasks of one event loop in one thread.
"""

import asyncio
import json
import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from kubeception.errors import ApiError, KubeceptionError
from kubeception.kube.client import Cluster, Object
from kubeception.kube.kinds import Kind, kind as kind_of
from kubeception.kube.stream import Stream

BACKOFF_SECONDS: Final = (0.2, 5.0)
"""The first pause after a stream, and the longest."""
CALM_SECONDS: Final = 10.0
"""A stream that lived this long didn't fail: the pause after it is the first again."""
STREAM_SECONDS: Final = (300, 600)
"""How long a stream is asked for, at random between: not all end together."""
IDLE_SECONDS: Final = 150.0
"""A stream without a word for so long has stalled: bookmarks come every minute, though not always."""
END_SECONDS: Final = 2.0
PAGE: Final = 100
LINE_LIMIT: Final = 4 << 20
"""Octets of an event: etcd takes objects of at most 1.5 MiB."""
PAGE_LIMIT: Final = 32 << 20
OBJECTS_LIMIT: Final = 20_000
"""Objects whose names are remembered: of each watch, or of all on an API server that isn't trusted."""
MARKS: Final = ("namespace", "name", "uid", "resourceVersion")
"""What is remembered of an object."""
NAME_LIMIT: Final = 255
"""Characters of each, in quotes."""

Handler = Callable[[str, Object], None]
"""Is told of `ADDED`, `MODIFIED` or `DELETED` and the object. It runs in the loop of all watches: it must not wait."""

_log = logging.getLogger(__name__)


class _Loop:
    """The event loop of all watches, begun with the first of them."""

    _lock = threading.Lock()
    _running: asyncio.AbstractEventLoop | None = None

    @classmethod
    def get(cls) -> asyncio.AbstractEventLoop:
        with cls._lock:
            if cls._running is None:
                cls._running = asyncio.new_event_loop()
                threading.Thread(
                    target=cls._running.run_forever, name="watches", daemon=True
                ).start()
            return cls._running


_beside: WeakKeyDictionary[Cluster, WeakSet["Watch"]] = WeakKeyDictionary()
"""The watches on API servers that aren't trusted."""


class Watch:
    """Tells `handler` of all changes of the objects selected, in the thread of all watches.

    Every object that exists at the start, and after a gap that no resource version bridges, is told
    as `ADDED`; one that went in such a gap as `DELETED`, with no more than its name and uid. What the
    handler raises is logged.
    """

    def __init__(
        self,
        cluster: Cluster,
        kind: str | Kind,
        namespace: str,
        handler: Handler,
        *,
        labels: str = "",
        fields: str = "",
    ) -> None:
        self._cluster, self._kind, self._namespace = cluster, kind_of(kind), namespace
        self._selectors = {"labelSelector": labels, "fieldSelector": fields}
        self._handler = handler
        self._stopped, self._gone = threading.Event(), threading.Event()
        self._stream = Stream(cluster)
        self._task: asyncio.Task[None] | None = None
        self._version, self._said = "", ""
        self._known: dict[tuple[str, str], str] = {}
        self._beside: WeakSet[Watch] = WeakSet()
        self._loop = _Loop.get()
        self._loop.call_soon_threadsafe(self._start)

    def stop(self) -> None:
        """Let it end; returns at once, from any thread."""
        self._stopped.set()
        self._loop.call_soon_threadsafe(self._cancel)

    def join(self) -> None:
        """Wait until it has ended, which takes a moment at most; from then on nothing is told."""
        self._gone.wait(END_SECONDS)

    # from here on in the loop's thread

    def _start(self) -> None:
        if self._cluster.bounds:
            self._beside = _beside.setdefault(self._cluster, self._beside)
        self._beside.add(self)
        self._task = self._loop.create_task(self._run(), name=f"watch {self._kind.plural}")
        self._task.add_done_callback(self._ended)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._gone.set()
        self._beside.discard(self)
        if task.cancelled() or not threading.main_thread().is_alive():
            return  # it was stopped, or the process is ending under it
        if error := task.exception():
            _log.error("%s broke", self._what, exc_info=error)

    async def _run(self) -> None:
        pause = BACKOFF_SECONDS[0] / 2
        try:
            while True:
                begun = time.monotonic()
                try:
                    if not self._version:
                        await self._list()
                    await self._follow()
                except (KubeceptionError, OSError) as error:
                    self._stream.close()
                    self._say(f"{self._what}: {str(error) or type(error).__name__}")
                calm = time.monotonic() - begun > CALM_SECONDS
                pause = BACKOFF_SECONDS[0] if calm else min(pause * 2, BACKOFF_SECONDS[1])
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # spreads load
        finally:
            self._stream.close()

    async def _list(self) -> None:
        """Tell of all there is, and of what is no longer there."""
        found: dict[tuple[str, str], str] = {}
        query = {"limit": str(PAGE)}
        while True:
            await self._ask(query)
            body = bytearray()
            while (piece := await self._stream.read()) is not None:
                body += piece
                if len(body) > PAGE_LIMIT:
                    raise ApiError(f"a list is longer than {PAGE_LIMIT >> 20} MiB")
            page = _parsed(body)
            for item in _listed(page):
                key = self._tell("ADDED", item)
                found[key] = self._known[key]
            query["continue"] = _text(page, "metadata", "continue")
            if not query["continue"]:
                break
        for namespace, name in self._known.keys() - found.keys():
            uid = self._known[namespace, name]
            self._tell("DELETED", {"metadata": {"name": name, "namespace": namespace, "uid": uid}})
        self._version = _text(page, "metadata", "resourceVersion")

    async def _follow(self) -> None:
        """Tell of what changes, for as long as one answer goes on."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(random.randint(*STREAM_SECONDS)),  # noqa: S311  # spreads load
        }
        await self._ask(query)
        rest = bytearray()
        while (piece := await self._stream.read(IDLE_SECONDS)) is not None:
            *lines, rest = (rest + piece).split(b"\n") if b"\n" in piece else (rest + piece,)
            for line in lines:
                self._event(line)
            if len(rest) > LINE_LIMIT:
                raise ApiError(f"an event is longer than {LINE_LIMIT >> 20} MiB")

    async def _ask(self, query: dict[str, str]) -> None:
        """Send the request; an ApiError for any answer but 200, after which the list is read anew."""
        selected = {key: value for key, value in self._selectors.items() if value}
        status = await self._stream.get(self._kind.path(self._namespace), {**query, **selected})
        if status != 200:
            self._version = ""
            raise ApiError(f"answered with {status}", status=status)

    def _event(self, line: bytes | bytearray) -> None:
        event = _parsed(line)
        what, obj = event.get("type"), event.get("object")
        if what == "ERROR" or not isinstance(obj, dict):
            self._version = ""
            said = _text(event, "object", "message")[:200]
            raise ApiError(f"an error instead of an event: {said!r}")
        if version := _text(obj, "metadata", "resourceVersion"):
            self._version = version
        if what in ("ADDED", "MODIFIED", "DELETED"):
            self._tell(what, obj)

    def _tell(self, event: str, obj: Object) -> tuple[str, str]:
        key = (_text(obj, "metadata", "namespace"), _text(obj, "metadata", "name"))
        uid = _text(obj, "metadata", "uid")
        if any(len(repr(_at(obj, "metadata", mark))) > NAME_LIMIT for mark in MARKS):
            raise ApiError(f"a name is longer than {NAME_LIMIT} characters")
        if event == "DELETED":
            self._known.pop(key, None)
        elif key in self._known or sum(each.remembered for each in self._beside) < OBJECTS_LIMIT:
            self._known[key] = uid
        else:
            raise ApiError(f"more than {OBJECTS_LIMIT} objects")
        if not self._stopped.is_set():
            kind = {"apiVersion": self._kind.api_version, "kind": self._kind.name}
            try:
                self._handler(event, {**obj, **kind})
            except Exception:  # noqa: BLE001  # nobody's handler may end everybody's watches
                _log.exception("%s: what is told of %s raised", self._what, "/".join(key))
        return key

    @property
    def remembered(self) -> int:
        """How many objects it knows by name."""
        return len(self._known)

    @property
    def _what(self) -> str:
        where = f" in {self._namespace}" if self._namespace else ""
        return f"{self._cluster.title}: watching {self._kind.plural}{where}"

    def _say(self, what: str) -> None:
        """Log it, unless it is what was said last."""
        if what != self._said:
            self._said = what
            _log.info("%s", what)


def _parsed(data: bytes | bytearray) -> Object:
    """A JSON object; an ApiError for anything else."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise ApiError("what came is not JSON") from None
    if not isinstance(found, dict):
        raise ApiError("what came is not a JSON object")
    return found


def _listed(page: Object) -> list[Object]:
    items = page.get("items") or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ApiError("what came is not a list of objects")
    return items


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(value: Any, *path: str) -> str:
    """The text at this path; empty where there is none."""
    found = _at(value, *path)
    return found if isinstance(found, str) else ""
