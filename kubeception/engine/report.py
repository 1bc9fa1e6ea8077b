"""What one pass found and did: the engine's answer to whoever runs it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kubeception import names
from kubeception.api.reasons import Reason
from kubeception.api.v1alpha1 import TenantCluster
from kubeception.components import COMPONENTS
from kubeception.components.base import Component, Readiness, Side
from kubeception.engine.machines import MachineState
from kubeception.engine.news import News
from kubeception.errors import KubeceptionError


@dataclass
class Report:
    """One pass over one tenant."""

    cluster: TenantCluster
    components: dict[str, tuple[Component, Readiness]] = field(default_factory=dict)
    """By name, in the order they were applied."""
    steps: int = len(COMPONENTS)
    """How many of them there are when all are done."""
    machines: list[MachineState] = field(default_factory=list)
    holds: dict[str, Readiness] = field(default_factory=dict)
    """By pool, why it isn't worked on as its spec says."""
    policies: Readiness | None = None
    """Whether the host's network enforces NetworkPolicies; None where nobody looks."""
    news: list[News] = field(default_factory=list)
    """What was done to machines, for whoever wants to know."""
    nodes_wanted: int = 0
    clusters: int | None = None
    """How many clusters are in it; None where nobody has to know, or its API doesn't tell."""
    endpoint: str = ""
    api_answers: bool = False
    excess: str = ""
    """What of its API server was more than is read of one; nothing more was asked of it."""
    failures: list[KubeceptionError] = field(default_factory=list)
    """What no repetition will mend: a refused object, a spec that can't be fulfilled."""
    writes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """What the pass took over each component."""
    again: float | None = None
    """Seconds after which to try again what failed, the first time."""
    due: float | None = None
    """Seconds after which another pass is due although nothing was heard."""

    def record(self, component: Component, readiness: Readiness) -> None:
        self.components[component.name] = (component, readiness)

    def ok(self, component: str) -> bool:
        """Whether a component is ready."""
        return self.readiness(component).ok

    def readiness(self, component: str) -> Readiness:
        """How far a component is."""
        found = self.components.get(component)
        return found[1] if found else Readiness.waiting("not looked at yet", Reason.NOT_CREATED)

    def look_again(self, seconds: float) -> None:
        """What failed may do better after these seconds."""
        self.again = seconds if self.again is None else min(self.again, seconds)

    def look_by(self, seconds: float) -> None:
        """Another pass is due after these seconds at the latest."""
        self.due = seconds if self.due is None else min(self.due, seconds)

    @property
    def soon(self) -> float | None:
        """Seconds after which another pass makes sense although nothing was heard."""
        return min((s for s in (self.again, self.due) if s is not None), default=None)

    @property
    def paused(self) -> bool:
        """Whether the tenant is left alone."""
        return self.cluster.paused

    @property
    def datastore(self) -> Readiness:
        """How far etcd is."""
        return self.readiness("etcd")

    @property
    def encryption(self) -> Readiness:
        """Whether Secrets are encrypted with the key that is asked for, and no other is needed."""
        return self.readiness("encryption")

    @property
    def api_server(self) -> Readiness:
        """Whether the API server answers, and no more than it may, and if not, why."""
        if self.excess:
            return Readiness.waiting(self.excess, Reason.EXCESS)
        if self.api_answers:
            return Readiness.ready(self.endpoint)
        runs = self.readiness("control-plane")
        return runs if not runs.ok else Readiness.waiting(NO_ANSWER, Reason.NO_ANSWER)

    @property
    def addons(self) -> Readiness:
        """How far what runs in the tenant is."""
        for component, readiness in self.components.values():
            if component.side is Side.TENANT and not readiness.ok:
                said = f"{component.title or component.name}: {readiness.message}"
                return Readiness(readiness.state, readiness.reason, said)
        return (
            Readiness.ready() if self.api_answers else Readiness.waiting("waits for the API server")
        )

    @property
    def control_plane(self) -> list[MachineState]:
        """The machines that are the control plane."""
        return [state for state in self.machines if self._of_control_plane(state)]

    @property
    def workers(self) -> list[MachineState]:
        """The machines that are not."""
        return [state for state in self.machines if not self._of_control_plane(state)]

    def _of_control_plane(self, state: MachineState) -> bool:
        own = names.control_plane_pool(self.cluster.name)
        return self.cluster.spec.control_plane.in_machines and state.machine.pool == own

    @property
    def nodes_ready(self) -> int:
        return sum(state.ready for state in self.workers)

    @property
    def nodes(self) -> Readiness:
        """How far the machines are, all pools together."""
        return _nodes(self.workers, self.nodes_wanted, self.holds)

    def of_pool(self, pool: str) -> list[MachineState]:
        """The machines of a pool."""
        return [state for state in self.machines if state.machine.pool == pool]

    def nodes_of(self, pool: str, replicas: int) -> Readiness:
        """How far the machines of a pool are."""
        holds = {name: hold for name, hold in self.holds.items() if name == pool}
        return _nodes(self.of_pool(pool), replicas, holds)

    def updated_of(self, pool: str) -> Readiness:
        """Whether the machines of a pool are as new ones would be."""
        known = self.of_pool(pool)
        updated = sum(state.updated for state in known)
        said = f"{updated}/{len(known)} machines are as the spec says"
        if updated == len(known):
            return Readiness.ready(said)
        return self.holds.get(pool) or Readiness.waiting(said, Reason.IN_PROGRESS)

    def healthy_of(self, pool: str) -> Readiness:
        """Whether no machine of a pool fails."""
        failing = [state for state in self.of_pool(pool) if state.state in FAILED]
        if not failing:
            return Readiness.ready("no machine fails")
        held = self.holds.get(pool)
        said = "; ".join(_said(state) for state in failing[:3])
        return held or Readiness.waiting(said, Reason.MACHINES_FAIL)

    @property
    def ready(self) -> bool:
        """Whether everything that was asked for is there."""
        return (
            not self.failures
            and self.api_answers
            and all(readiness.ok for _, readiness in self.components.values())
            and self.nodes.ok
        )

    @property
    def progress(self) -> int:
        """How much of what is to be done is done, in percent; 100 only when all is."""
        done = sum(r.ok for _, r in self.components.values()) + min(
            self.nodes_ready, self.nodes_wanted
        )
        return 100 if self.ready else min(99, 100 * done // (self.steps + self.nodes_wanted))

    @property
    def waiting(self) -> tuple[str, Readiness] | None:
        """The first thing that isn't ready: its title, and how far it is.

        Nodes come before what runs on them: that waits for nothing else.
        """
        unready = [(c.side, c.title or c.name, r) for c, r in self.components.values() if not r.ok]
        for side, title, readiness in unready:
            if side is Side.HOST:
                return title, readiness
        if not self.api_answers:
            return "", self.api_server
        if not self.nodes.ok:
            return "", self.nodes
        return next(((title, readiness) for _, title, readiness in unready), None)

    @property
    def waits_for(self) -> str:
        """What `waiting` is, in words; empty when all is ready."""
        if self.waiting is None:
            return ""
        title, readiness = self.waiting
        said = readiness.message or str(readiness.reason)
        return f"{title}: {said}" if title else said


NO_ANSWER = "the API server does not answer yet"


FAILED = ("Failing", "Replaced")


def _nodes(
    machines: Iterable[MachineState], wanted: int, holds: Mapping[str, Readiness]
) -> Readiness:
    known = list(machines)
    ready = sum(state.ready for state in known)
    others = [state for state in known if not state.ready]
    old = sum(not s.updated for s in known if s.machine.pool not in holds)
    idle = ready != wanted and not others
    held = [h for h in holds.values() if h.reason is not Reason.PAUSED or idle]
    summary = f"{ready}/{wanted} nodes ready"
    if held:
        return Readiness.waiting(f"{summary}, {held[0].message}", held[0].reason)
    if ready == wanted and not others and not old:
        return Readiness.ready(summary)
    said = "; ".join(map(_said, others[:3])) or (f"{old} to be replaced" if old else "")
    reason = next((s.reason for s in others if s.reason), Reason.NODES_NOT_READY)
    return Readiness.waiting(f"{summary}, {said}" if said else summary, reason)


def _said(state: MachineState) -> str:
    return f"{state.machine.name}: {state.message or state.state.lower()}"
