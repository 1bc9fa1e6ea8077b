"""What wakes a tenant of many: one stream for each host kind, shared by all, and streams of its own for the rest."""

import threading
from collections.abc import Callable, Iterable
from typing import Final

from kubeception import names
from kubeception.engine.changes import Changes, Place
from kubeception.kube.client import Cluster, Object
from kubeception.kube.kinds import Kind
from kubeception.kube.watch import Watch

OWN: Final = frozenset({"ConfigMap", "EndpointSlice", "Pod", "Secret", "ServiceAccount"})
"""Read in a tenant's namespaces only: cluster-wide they would be everybody's."""

Told = Callable[[str, Object], None]


class HostWatches:
    """Streams over all namespaces of the host, of what bears a tenant's label."""

    def __init__(self, host: Cluster) -> None:
        self.host = host
        self._lock = threading.Lock()
        self._watches: dict[str, Watch] = {}
        self._routes: dict[str, Told] = {}

    def watch(self, kind: str) -> None:
        """Watch a kind from now on, unless it is being watched."""
        with self._lock:
            if kind not in self._watches:
                label = names.CLUSTER_LABEL
                self._watches[kind] = Watch(self.host, kind, "", self._heard, labels=label)

    def route(self, namespaces: Iterable[str], told: Told) -> None:
        """Tell of what happens in these namespaces, and to them."""
        for namespace in namespaces:
            self._routes[namespace] = told

    def forget(self, namespaces: Iterable[str]) -> None:
        """Tell of these namespaces no longer."""
        for namespace in namespaces:
            self._routes.pop(namespace, None)

    def close(self) -> None:
        """End all streams."""
        for watch in self._watches.values():
            watch.stop()

    def _heard(self, event: str, obj: Object) -> None:
        meta = obj["metadata"]
        if told := self._routes.get(meta.get("namespace") or meta["name"]):
            told(event, obj)


class TenantChanges(Changes):
    """The changes of one tenant; `told` is called at each, in the thread that heard of it."""

    def __init__(
        self, shared: HostWatches, namespaces: Iterable[str], told: Callable[[], None]
    ) -> None:
        super().__init__()
        self._shared, self._namespaces, self._told = shared, tuple(namespaces), told
        shared.watch("Namespace")
        shared.route(self._namespaces, self._of_host)

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
        own: list[str | Kind] = []
        for kind in kinds:
            if cluster is self._shared.host and isinstance(kind, str) and kind not in OWN:
                self._shared.watch(kind)
            else:
                own.append(kind)
        super().watch_all(cluster, own, namespace, labels=labels, fields=fields, only=only)

    def wake(self) -> None:
        super().wake()
        self._told()

    def _tell(self, place: Place, version: str | None) -> None:
        self._told()

    def close(self) -> None:
        self._shared.forget(self._namespaces)
        super().close()

    def _of_host(self, event: str, obj: Object) -> None:
        self._heard(self._shared.host, event, obj)
