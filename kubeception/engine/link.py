"""The way to a tenant's API server: straight to its endpoint, or through the API of its host."""

import copy
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from kubeception import names
from kubeception.errors import KubeceptionError
from kubeception.kube.client import Cluster, listens
from kubeception.kube.conditions import is_true
from kubeception.kube.portforward import PortForward
from kubeception.plan.context import PlanContext
from kubeception.plan.endpoint import API_PORT

PROBE_SECONDS: Final = 0.05
EAGER_SECONDS: Final = 30.0
"""After which a search for an API server that is about to run slows down."""
CURIOUS_SECONDS: Final = 0.3
"""The same where it runs already: what doesn't answer then may be away for long."""
LONGEST_PAUSE: Final = 60.0
PATIENCE_SECONDS: Final = 3.0
"""How long the endpoint may stay silent, once the API server runs, before the way round is taken too."""
END_SECONDS: Final = 3.0
"""How long the end of a search is awaited: no longer than a request of it takes."""
SERVER_NAME: Final = "kubernetes.default.svc"
"""In every serving certificate: what is checked where the address dialled is a local one."""
SELECTOR: Final = f"{names.COMPONENT_LABEL}=control-plane"


@dataclass(frozen=True)
class _Goal:
    """What to come to."""

    kubeconfig: dict[str, Any]
    namespace: str
    title: str
    outside: bool
    """Whether the endpoint is meant to be reached from outside the host."""


class Link:
    """A search for the way, in threads of its own, until one is found.

    `wake` is called when it was, `gone` with a client that isn't to be used any more.
    """

    def __init__(
        self, host: Cluster, wake: Callable[[], None], gone: Callable[[Cluster], None]
    ) -> None:
        self._host, self._wake, self._gone = host, wake, gone
        self._found: Cluster | None = None
        self._goal: _Goal | None = None
        self._forward: PortForward | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._searches: list[threading.Thread] = []
        self._began = 0.0
        self._hurried = False

    def reach(self, ctx: PlanContext, *, runs: bool = False) -> Cluster | None:
        """A client whose server can be worked with; None until then, and then `wake` is called."""
        if ctx.endpoint is None:
            return None
        goal = _Goal(
            ctx.pki.engine_kubeconfig(),
            ctx.namespace,
            f"tenant cluster {ctx.cluster.name}",
            ctx.spec.exposure.type != "ClusterIP",
        )
        if goal != self._goal:
            self._restart(goal, CURIOUS_SECONDS if runs else EAGER_SECONDS)
            self._hurried = runs
        return self._found

    def wait(self, ctx: PlanContext, seconds: float) -> Cluster | None:
        """`reach`, with some patience: for an API server that is known to run."""
        found = self.reach(ctx, runs=seconds > 0)
        if found is None and self._goal is not None:
            self._hurry(self._goal, runs=seconds > 0)
        if found is None and self._goal is not None:
            self._ended.wait(seconds)
            found = self._found
        return found

    def _hurry(self, goal: _Goal, *, runs: bool) -> None:
        """Begin anew a search that has slowed down, once each time the API server has come to run."""
        if runs and not self._hurried and time.monotonic() - self._began > EAGER_SECONDS:
            self._restart(goal, EAGER_SECONDS)
        self._hurried = runs

    def lost(self) -> None:
        """The client failed to get an answer: look for a way again."""
        if self._goal is not None:
            self._restart(self._goal, CURIOUS_SECONDS)

    def close(self) -> None:
        """End the search and what it found."""
        self._ended.set()
        for search in self._searches:
            search.join(END_SECONDS)
        if self._found is not None:
            self._gone(self._found)
            self._found.close()
        if self._forward is not None:
            self._forward.close()

    def _restart(self, goal: _Goal, eager: float) -> None:
        self.close()
        self._ended = threading.Event()
        self._goal, self._found, self._forward = goal, None, None
        self._began = time.monotonic()
        self._searches = [
            threading.Thread(
                target=search, args=(goal, self._ended, eager), name="search", daemon=True
            )
            for search in (self._straight, self._around)
        ]
        for search in self._searches:
            search.start()

    def _straight(self, goal: _Goal, ended: threading.Event, eager: float) -> None:
        cluster: Cluster | None = None
        address = _address(goal.kubeconfig)
        for pause in _pauses(PROBE_SECONDS, eager):
            if ended.wait(pause):
                break
            if not listens(address):
                continue
            cluster = cluster or Cluster(goal.kubeconfig, goal.title, connect_seconds=2.0)
            if _answers(cluster) and self._arrived(cluster, ended):
                return
        if cluster is not None:
            cluster.close()

    def _around(self, goal: _Goal, ended: threading.Event, eager: float) -> None:
        """Wait for a pod of the API server; where the endpoint then doesn't answer soon, connect to the pod."""
        patience = PATIENCE_SECONDS if goal.outside else 0.0
        for pause in _pauses(1.0, eager):
            if ended.wait(pause):
                return
            pod = self._pod(goal.namespace)
            if pod and not ended.wait(patience) and self._through(goal, pod, ended):
                return

    def _through(self, goal: _Goal, pod: str, ended: threading.Event) -> bool:
        forward = PortForward(self._host, goal.namespace, pod, API_PORT)
        host, port = forward.address
        document = copy.deepcopy(goal.kubeconfig)
        server = {"server": f"https://{host}:{port}", "tls-server-name": SERVER_NAME}
        document["clusters"][0]["cluster"].update(server)
        cluster = Cluster(document, goal.title)
        if not _answers(cluster) or not self._arrived(cluster, ended, forward):
            cluster.close()
            forward.close()
            return False
        return True

    def _arrived(
        self, cluster: Cluster, ended: threading.Event, forward: PortForward | None = None
    ) -> bool:
        """Keep the way unless another was found first."""
        with self._lock:
            if ended.is_set():
                return False
            self._found, self._forward = cluster, forward
            ended.set()
        self._wake()
        return True

    def _pod(self, namespace: str) -> str:
        """A pod whose API server is ready, or nothing."""
        with suppress(KubeceptionError):
            for pod in self._host.list("Pod", namespace, labels=SELECTOR):
                if is_true(pod, "Ready"):
                    return str(pod["metadata"]["name"])
        return ""


def _pauses(first: float, eager: float) -> Iterator[float]:
    """Pauses between looks: short ones at first, then ever longer ones, each a bit off the others' beat."""
    began = time.monotonic()
    while time.monotonic() - began < eager:
        yield first
    pause = first
    while True:
        pause = min(pause * 1.5, LONGEST_PAUSE)
        yield pause * random.uniform(0.75, 1.25)  # noqa: S311  # spreads load


def _address(kubeconfig: dict[str, Any]) -> tuple[str, int]:
    url = urlsplit(kubeconfig["clusters"][0]["cluster"]["server"])
    return url.hostname or "", url.port or API_PORT


def _answers(cluster: Cluster) -> bool:
    """Whether it can be worked with: the last of the system's own namespaces is there.

    That is well before `/readyz` says ok, which waits for rights that system:masters doesn't need.
    """
    try:
        return cluster.get("Namespace", "kube-node-lease") is not None
    except KubeceptionError:
        return False
