"""What one pass found and did: the engine's answer to whoever runs it."""

from dataclasses import dataclass, field

from kubeception.api.v1alpha1 import TenantCluster
from kubeception.components.base import Component, Readiness, Side
from kubeception.engine.machines import MachineState
from kubeception.errors import KubeceptionError


@dataclass
class Report:
    """One pass over one tenant."""

    cluster: TenantCluster
    components: dict[str, tuple[Component, Readiness]] = field(default_factory=dict)
    """By name, in the order they were applied."""
    machines: list[MachineState] = field(default_factory=list)
    nodes_wanted: int = 0
    endpoint: str = ""
    api_answers: bool = False
    failures: list[KubeceptionError] = field(default_factory=list)
    """What no repetition will mend: a refused object, a spec that can't be fulfilled."""
    writes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """What the pass took over each component."""
    again: float | None = None
    """Seconds after which another pass is due although nothing was heard."""

    def record(self, component: Component, readiness: Readiness) -> None:
        self.components[component.name] = (component, readiness)

    def ok(self, component: str) -> bool:
        """Whether a component is ready."""
        found = self.components.get(component)
        return found is not None and found[1].ok

    @property
    def nodes_ready(self) -> int:
        return sum(state.ready for state in self.machines)

    @property
    def nodes(self) -> Readiness:
        """How far the machines are, all pools together."""
        have, want = self.nodes_ready, self.nodes_wanted
        summary = f"{have}/{want} nodes ready"
        others = [s for s in self.machines if not s.ready]
        if have == want and not others:
            return Readiness.ready(summary)
        said = "; ".join(
            f"{s.machine.name}: {s.machine.message or s.state.lower()}" for s in others[:3]
        )
        return Readiness.waiting(f"{summary}{', ' if said else ''}{said}", "NodesNotReady")

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
    def waits_for(self) -> str:
        """The first thing that isn't ready, in words; empty when all is.

        Nodes come before what runs on them: that waits for nothing else.
        """
        waiting = [(c, r) for c, r in self.components.values() if not r.ok]
        for component, readiness in waiting:
            if component.side is Side.HOST or not self.api_answers or self.nodes.ok:
                title = component.title or component.name
                return f"{title}: {readiness.message or readiness.reason}"
        return "" if self.nodes.ok else self.nodes.message
