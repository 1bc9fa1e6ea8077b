"""A watch that never ends: it survives closed streams, expired versions and an API server that is away."""

import random
import threading
from collections.abc import Callable

from kubeception.errors import KubeceptionError
from kubeception.kube.client import Cluster, Object, Stream

BACKOFF_SECONDS = (0.2, 5.0)
"""The first pause after a failure, and the longest."""
END_SECONDS = 2.0

Handler = Callable[[str, Object], None]
"""Is told of `ADDED`, `MODIFIED` or `DELETED` and the object."""


class Watch:
    """A thread that tells `handler` of all changes of the objects selected.

    Every object that exists at the start, and after each gap, is told as `ADDED`.
    """

    def __init__(
        self, cluster: Cluster, kind: str, namespace: str, handler: Handler, *, labels: str = ""
    ) -> None:
        self._cluster, self._kind, self._namespace = cluster, kind, namespace
        self._labels, self._handler = labels, handler
        self._ended = threading.Event()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch {kind}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let it end; returns at once."""
        self._ended.set()
        if stream := self._stream:
            stream.close()

    def join(self) -> None:
        """Wait until it has ended, which takes a moment at most."""
        self._thread.join(END_SECONDS)

    def _run(self) -> None:
        version, pause = "", BACKOFF_SECONDS[0]
        while not self._ended.is_set():
            try:
                if not version:
                    version = self._list()
                version = self._follow(version)
                pause = BACKOFF_SECONDS[0]
            except KubeceptionError:
                version = ""
                self._ended.wait(pause * random.uniform(0.5, 1.5))  # noqa: S311  # spreads load
                pause = min(pause * 2, BACKOFF_SECONDS[1])

    def _list(self) -> str:
        objects, version = self._cluster.list_at(self._kind, self._namespace, labels=self._labels)
        for obj in objects:
            self._handler("ADDED", obj)
        return version

    def _follow(self, version: str) -> str:
        """Handle one stream; the version to go on from, empty when that is gone (410)."""
        stream = self._cluster.watch(
            self._kind, self._namespace, labels=self._labels, version=version
        )
        self._stream = stream
        for event, obj in stream:
            if self._ended.is_set():
                break
            if event == "ERROR":
                return ""
            version = obj["metadata"]["resourceVersion"]
            if event != "BOOKMARK":
                self._handler(event, obj)
        return version
