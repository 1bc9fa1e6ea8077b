"""What wakes the loop: changes of objects that matter, and nothing else."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from kubeception import names
from kubeception.components.base import daemonset_ready, deployment_ready
from kubeception.kube.client import Cluster, Object
from kubeception.kube.kinds import KINDS, Kind
from kubeception.kube.watch import Watch
from kubeception.plan.facts import Key, key_of

SETTLE_SECONDS: Final = 0.03
"""Changes come in bunches: one pass for all that come this close together."""
NAP_SECONDS: Final = 0.5
"""The longest uninterrupted sleep: a signal that comes while a thread falls asleep, or that another
thread takes, does not end the sleep, and is seen when it is over."""
BEATS: Final = frozenset(
    {
        "deployment.kubernetes.io/revision",
        "lastHeartbeatTime",
        "lastProbeTime",
        "lastUpdateTime",
        "managedFields",
        "resourceVersion",
    }
)
"""Fields that change without anything having changed."""


def _of_pod(pod: Object) -> Any:
    """The status of a pod, unless it is one of a control plane, whose workload is looked at."""
    labels = pod["metadata"].get("labels", {})
    return None if labels.keys() >= {names.CLUSTER_LABEL, names.COMPONENT_LABEL} else pod["status"]


STATUS: Final[Mapping[str, Callable[[Object], Any]]] = {
    "APIService": lambda _: None,
    "DaemonSet": daemonset_ready,
    "Deployment": deployment_ready,
    "Pod": _of_pod,
    "StatefulSet": deployment_ready,
}
"""All that a pass looks at in the status of a kind that tells of its way there in many small steps."""


GENERATED: Final = frozenset({"DaemonSet", "Deployment", "StatefulSet"})
"""Kinds whose `metadata.generation` is another one whenever their spec is."""

Place = tuple[Cluster, Key]
"""An object, by where it is."""


class Changes:
    """Watches on what passes depend on; `wait` returns when something of it changed."""

    def __init__(self) -> None:
        self._woken = threading.Event()
        self._lock = threading.Lock()
        self._watches: dict[tuple[Cluster, str | Kind, str, str, str], Watch] = {}
        self._known: dict[Place, int] = {}
        self._versions: dict[Place, str] = {}
        self._news: dict[Place, str | None] = {}
        self._called = False

    def watch_all(
        self,
        cluster: Cluster,
        kinds: Iterable[str | Kind],
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
        read = {(cluster, key_of(obj)): obj for obj in objects}
        versions = {
            place: obj["metadata"].get("resourceVersion", "") for place, obj in read.items()
        }
        known = {place: _essence(obj) for place, obj in read.items() if obj["kind"] in STATUS}
        with self._lock:
            self._versions.update(versions)
            self._known.update(known)

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
        self._called = True
        self._woken.set()

    def _tell(self, place: Place, version: str | None) -> None:
        """Somebody else changed an object, or what was written comes back; no version: it is gone."""
        with self._lock:
            self._news[place] = version
        self._woken.set()

    def wait(self, seconds: float) -> None:
        """Return when something happened since the last return, at the latest after these seconds."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if self._woken.wait(min(max(left, 0), NAP_SECONDS)):
                threading.Event().wait(SETTLE_SECONDS)
                if self._happened():
                    return
            if left <= 0:
                return

    def _happened(self) -> bool:
        """Whether what was heard is other than what passes have read or written since."""
        with self._lock:
            called, self._called = self._called, False
            news, self._news = self._news, {}
            self._woken.clear()
            return called or any(
                version is None or version != self._versions.get(place)
                for place, version in news.items()
            )

    def close(self) -> None:
        """End all watches."""
        for watch in self._watches.values():
            watch.stop()
        for watch in self._watches.values():
            watch.join()

    def _heard(self, cluster: Cluster, event: str, obj: Object) -> None:
        kind = obj.get("kind", "")
        place = (cluster, key_of({"kind": kind, **obj}))
        version = obj["metadata"].get("resourceVersion")
        essence = 0 if event == "DELETED" else _essence({"kind": kind, **obj})
        with self._lock:
            same = self._known.get(place) == essence
            if event == "DELETED":
                self._known.pop(place, None)
                self._versions.pop(place, None)
            else:
                self._known[place] = essence
                same |= self._versions.get(place) == version
        if not same:
            self._tell(place, None if event == "DELETED" else version)


def _essence(obj: Object) -> int:
    """Of an object, what matters when it changes; what one of somebody else's kind says of itself doesn't."""
    if obj["kind"] not in KINDS:
        obj = {**obj, "status": None}
    if status := STATUS.get(obj["kind"]):
        with suppress(AttributeError, KeyError, TypeError):  # whatever a tenant's API server says
            obj = {**obj, "status": repr(status(obj))}
            if obj["kind"] in GENERATED:
                obj = {"metadata": obj["metadata"], "status": obj["status"]}
    return hash(json.dumps(_steady(obj), sort_keys=True))


def _steady(value: Any) -> Any:
    """A value without what changes by itself."""
    if isinstance(value, Mapping):
        return {key: _steady(item) for key, item in value.items() if key not in BEATS}
    if isinstance(value, list):
        return [_steady(item) for item in value]
    return value
