"""What wakes the loop: changes of objects that matter, and nothing else."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from kubeception.kube.client import Cluster, Object
from kubeception.kube.watch import Watch
from kubeception.plan.facts import Key, key_of

SETTLE_SECONDS: Final = 0.03
"""Changes come in bunches: one pass for all that come this close together."""
NAP_SECONDS: Final = 0.5
"""The longest uninterrupted sleep: a signal that comes while a thread falls asleep, or that another
thread takes, does not end the sleep, and is seen when it is over."""
BEATS: Final = frozenset(
    {"lastHeartbeatTime", "lastProbeTime", "lastUpdateTime", "managedFields", "resourceVersion"}
)
"""Fields that change without anything having changed."""


class Changes:
    """Watches on what passes depend on; `wait` returns when something of it changed."""

    def __init__(self) -> None:
        self._woken = threading.Event()
        self._lock = threading.Lock()
        self._watches: dict[tuple[Cluster, str, str, str, str], Watch] = {}
        self._known: dict[tuple[Cluster, Key], int] = {}
        self._versions: dict[tuple[Cluster, Key], str] = {}

    def watch_all(
        self,
        cluster: Cluster,
        kinds: Iterable[str],
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        only: Callable[[Object], bool] | None = None,
    ) -> None:
        """Watch these kinds from now on, unless they are being watched.

        Of their objects what a label and a field selector leave, and of those what `only` says matter.
        """
        for kind in kinds:
            place = (cluster, kind, namespace, labels, fields)
            if place in self._watches:
                continue

            def heard(event: str, obj: Object, cluster: Cluster = cluster) -> None:
                if only is None or only(obj):
                    self._heard(cluster, event, obj)

            self._watches[place] = Watch(
                cluster, kind, namespace, heard, labels=labels, fields=fields
            )

    def saw(self, cluster: Cluster, objects: Iterable[Object]) -> None:
        """A pass has read or written these: to hear of them as they were then is no news."""
        versions = {
            (cluster, key_of(obj)): obj["metadata"].get("resourceVersion", "") for obj in objects
        }
        with self._lock:
            self._versions.update(versions)

    def forget(self, cluster: Cluster) -> None:
        """Watch nothing of this API server any more."""
        for place in [place for place in self._watches if place[0] is cluster]:
            self._watches.pop(place).stop()
        with self._lock:
            for remembered in (self._known, self._versions):
                for key in [key for key in remembered if key[0] is cluster]:
                    del remembered[key]

    def wake(self) -> None:
        """Something happened."""
        self._woken.set()

    def wait(self, seconds: float) -> None:
        """Return when something happened since the last return, at the latest after these seconds."""
        deadline = time.monotonic() + seconds
        while not self._woken.wait(min(max(deadline - time.monotonic(), 0), NAP_SECONDS)):
            if time.monotonic() >= deadline:
                return
        threading.Event().wait(SETTLE_SECONDS)
        self._woken.clear()

    def close(self) -> None:
        """End all watches."""
        for watch in self._watches.values():
            watch.stop()
        for watch in self._watches.values():
            watch.join()

    def _heard(self, cluster: Cluster, event: str, obj: Object) -> None:
        kind = obj.get("kind", "")
        place = (cluster, key_of({"kind": kind, **obj}))
        essence = 0 if event == "DELETED" else hash(json.dumps(_essence(obj), sort_keys=True))
        with self._lock:
            same = self._known.get(place) == essence
            if event == "DELETED":
                self._known.pop(place, None)
                self._versions.pop(place, None)
            else:
                self._known[place] = essence
                same |= self._versions.get(place) == obj["metadata"].get("resourceVersion")
        if not same:
            self.wake()


def _essence(value: Any) -> Any:
    """A value without what changes by itself."""
    if isinstance(value, Mapping):
        return {key: _essence(item) for key, item in value.items() if key not in BEATS}
    if isinstance(value, list):
        return [_essence(item) for item in value]
    return value
