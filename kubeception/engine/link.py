"""The way to a tenant's API server: straight to its endpoint, or through the API of its host."""

import copy
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from kubeception import names
from kubeception.errors import KubeceptionError
from kubeception.kube.bounds import UNTRUSTED
from kubeception.kube.client import Cluster, listens
from kubeception.kube.conditions import is_true
from kubeception.kube.portforward import PortForward
from kubeception.plan import control_plane
from kubeception.plan.context import PlanContext
from kubeception.plan.endpoint import API_PORT

PROBE_SECONDS: Final = 0.05
"""The first pause of a search."""
LONGEST_PAUSE: Final = 60.0
EAGER: Final = 1.01
"""By how much each pause is longer than the one before while an API server is about to run: of all the time
it takes, a hundredth is lost at the end."""
CURIOUS: Final = 1.5
"""The same where it is said to run already: what doesn't answer then may be away for long."""
SLOW_SECONDS: Final = 30.0
"""A search that took so long begins anew once its API server has come to run."""
PATIENCE_SECONDS: Final = 3.0
"""How long the endpoint may stay silent, once the API server runs, before the way round is taken too."""
BRIEF_SECONDS: Final = 0.3
"""The same where it was said to run before anybody looked: an endpoint that can be reached answers at once."""
END_SECONDS: Final = 3.0
"""How long the end of a search is awaited: no longer than a request of it takes."""
CONTROL_PLANE: Final = "control-plane"
"""The component whose pods have the API server."""
SERVER_NAME: Final = "kubernetes.default.svc"
"""In every serving certificate: what is checked where the address dialled is a local one."""


@dataclass(frozen=True)
class _Goal:
    """What to come to."""

    kubeconfig: dict[str, Any]
    namespace: str
    pods: str
    """Label selector of the pods there by which the API server is reached: its own, or those its machines are in."""
    title: str
    outside: bool
    """Whether the endpoint is meant to be reached from outside the host."""


class Link:
    """A search for the way, in threads of its own, until one is found.

    `wake` is called when it was, `gone` with a client that isn't to be used any more. All it asks of the
    host is a connection to a pod, once it was told of one that is ready.
    """

    def __init__(
        self, host: Cluster, wake: Callable[[], None], gone: Callable[[Cluster], None]
    ) -> None:
        self._host, self._wake, self._gone = host, wake, gone
        self._found: Cluster | None = None
        self._goal: _Goal | None = None
        self._pod = ""
        """The pod whose API server is ready, as passes saw it last."""
        self._forward: PortForward | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._searches: list[threading.Thread] = []
        self._began = 0.0
        self._ran = False
        """Whether the API server was said to run, the last time."""
        self._growth = EAGER
        """Of the pauses of the search."""

    def wait(self, ctx: PlanContext, seconds: float, *, runs: bool = True) -> Cluster | None:
        """A client whose server can be worked with; None until then, and then `wake` is called.

        For an API server that is said to run there is some patience: these seconds.
        """
        if ctx.endpoint is None:
            return None
        goal = _Goal(
            ctx.pki.engine_kubeconfig(),
            *_pods(ctx),
            f"tenant cluster {ctx.cluster.name}",
            ctx.spec.exposure.type != "ClusterIP",
        )
        slow = time.monotonic() - self._began > SLOW_SECONDS
        if goal != self._goal:
            self._restart(goal, CURIOUS if runs else EAGER)
        elif self._found is None and runs and not self._ran and slow:
            self._restart(goal, EAGER)
        self._ran, self._pod = runs, _ready_pod(ctx)
        reached = self._pod or _a_machine_runs(ctx)
        if reached and self._found is None and len(self._searches) == 1:
            self._search(self._around, goal, self._growth)
        if self._found is None and runs:
            self._ended.wait(seconds)
        return self._found

    @property
    def found(self) -> Cluster | None:
        """The client, where a way is known."""
        return self._found

    def lost(self) -> None:
        """The client failed to get an answer: look for a way again."""
        if self._goal is not None:
            self._restart(self._goal, CURIOUS)

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

    def _restart(self, goal: _Goal, growth: float) -> None:
        self.close()
        self._ended = threading.Event()
        self._goal, self._found, self._forward = goal, None, None
        self._began = time.monotonic()
        self._searches, self._growth = [], growth
        self._search(self._straight, goal, growth)

    def _search(self, way: Callable[..., None], goal: _Goal, growth: float) -> None:
        thread = threading.Thread(
            target=way, args=(goal, self._ended, growth), name="search", daemon=True
        )
        self._searches.append(thread)
        thread.start()

    def _straight(self, goal: _Goal, ended: threading.Event, growth: float) -> None:
        cluster: Cluster | None = None
        address = _address(goal.kubeconfig)
        for pause in _pauses(growth):
            if listens(address):
                cluster = cluster or Cluster(
                    goal.kubeconfig, goal.title, connect_seconds=2.0, bounds=UNTRUSTED
                )
                if answers(cluster) and self._arrived(cluster, ended):
                    return
            if ended.wait(pause):
                break
        if cluster is not None:
            cluster.close()

    def _around(self, goal: _Goal, ended: threading.Event, growth: float) -> None:
        """Connect to the pod of the API server, where the endpoint doesn't answer soon."""
        patience = BRIEF_SECONDS if growth == CURIOUS else PATIENCE_SECONDS
        if ended.wait(patience if goal.outside else 0.0):
            return
        for pause in _pauses(growth):
            if (pod := self._pod or self._of_machine(goal)) and self._through(goal, pod, ended):
                return
            if ended.wait(max(1.0, pause)):
                return

    def _through(self, goal: _Goal, pod: str, ended: threading.Event) -> bool:
        forward = PortForward(
            self._host, goal.namespace, pod, API_PORT, lambda: self._another(goal)
        )
        host, port = forward.address
        document = copy.deepcopy(goal.kubeconfig)
        server = {"server": f"https://{host}:{port}", "tls-server-name": SERVER_NAME}
        document["clusters"][0]["cluster"].update(server)
        cluster = Cluster(document, goal.title, bounds=UNTRUSTED)
        if not answers(cluster) or not self._arrived(cluster, ended, forward):
            cluster.close()
            forward.close()
            return False
        return True

    def _of_machine(self, goal: _Goal) -> str:
        """The pod that a machine of the control plane is in, which passes don't look at; empty where none is found."""
        try:
            return self._another(goal)
        except KubeceptionError:
            return ""

    def _another(self, goal: _Goal) -> str:
        """A pod whose API server is ready now; empty without one. Raises ApiError."""
        pods = self._host.list("Pod", goal.namespace, labels=goal.pods)
        ready = (pod["metadata"]["name"] for pod in pods if is_true(pod, "Ready"))
        return next(ready, "")

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


def _pods(ctx: PlanContext) -> tuple[str, str]:
    """Namespace and label selector of the pods by which the API server is reached."""
    if pool := control_plane.pool_of(ctx):
        return ctx.nodes_namespace, f"{names.POOL_LABEL}={pool.name}"
    return ctx.namespace, f"{names.COMPONENT_LABEL}={CONTROL_PLANE}"


def _a_machine_runs(ctx: PlanContext) -> bool:
    """Whether a control plane in machines has one that may be reached."""
    wanted = ctx.spec.control_plane.in_machines
    return wanted and any(control_plane.answering(control_plane.members(ctx)))


def _ready_pod(ctx: PlanContext) -> str:
    """A pod whose API server was ready when the pass looked; empty without one."""
    for (kind, namespace, name), obj in ctx.facts.objects.items():
        labels = obj["metadata"].get("labels", {})
        own = (kind, namespace) == ("Pod", ctx.namespace)
        if own and labels.get(names.COMPONENT_LABEL) == CONTROL_PLANE and is_true(obj, "Ready"):
            return name
    return ""


def _pauses(growth: float) -> Iterator[float]:
    """Pauses between looks: short ones at first, then ever longer ones, each a bit off the others' beat."""
    pause = PROBE_SECONDS
    while True:
        yield pause * random.uniform(0.75, 1.25)  # noqa: S311  # spreads load
        pause = min(pause * growth, LONGEST_PAUSE)


def _address(kubeconfig: dict[str, Any]) -> tuple[str, int]:
    url = urlsplit(kubeconfig["clusters"][0]["cluster"]["server"])
    return url.hostname or "", url.port or API_PORT


def answers(cluster: Cluster) -> bool:
    """Whether it can be worked with: the last of the system's own namespaces is there.

    That is well before `/readyz` says ok, which waits for rights that system:masters doesn't need.
    """
    try:
        return cluster.get("Namespace", "kube-node-lease") is not None
    except KubeceptionError:
        return False
