"""What the operator tells Prometheus. A tenant has four series of its own; everything else is about all of them."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from kubeception.engine.report import Report
from kubeception.operator.backoff import Trouble

BUCKETS: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
PHASE_BUCKETS: Final = (2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)

Key = tuple[str, str]
PER_TENANT: Final = ("namespace", "name")


def _age(report: Report) -> float | None:
    """Seconds since the TenantCluster was created."""
    created = report.cluster.metadata.creation_timestamp
    if created is None:
        return None
    return (datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds()


class Metrics:
    """Counters and gauges, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._passes = Counter(
            "kubeception_passes", "Passes over tenant clusters.", ["result"], registry=self.registry
        )
        self._pass_seconds = Histogram(
            "kubeception_pass_seconds",
            "How long passes took.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._component_seconds = Histogram(
            "kubeception_component_seconds",
            "How long a pass took over a component.",
            ["component"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._errors = Counter(
            "kubeception_errors",
            "Passes that did not come to a good end.",
            ["kind"],
            registry=self.registry,
        )
        self._requests = Counter(
            "kubeception_api_requests",
            "Requests of passes, to host and tenants.",
            ["method"],
            registry=self.registry,
        )
        self._writes = Counter(
            "kubeception_writes",
            "Requests of passes that changed something.",
            registry=self.registry,
        )
        self._phase_seconds = Histogram(
            "kubeception_phase_seconds",
            "From the creation of a TenantCluster until its API answered, or all of it was ready.",
            ["phase"],
            buckets=PHASE_BUCKETS,
            registry=self.registry,
        )
        self._ready = Gauge(
            "kubeception_tenant_ready",
            "1 where all that was asked for is there.",
            PER_TENANT,
            registry=self.registry,
        )
        self._answers = Gauge(
            "kubeception_tenant_api_up",
            "1 where the tenant's API answers.",
            PER_TENANT,
            registry=self.registry,
        )
        self._nodes = Gauge(
            "kubeception_tenant_nodes", "Nodes that are ready.", PER_TENANT, registry=self.registry
        )
        self._nodes_wanted = Gauge(
            "kubeception_tenant_nodes_wanted",
            "Nodes that are asked for.",
            PER_TENANT,
            registry=self.registry,
        )
        self._phases: dict[Key, set[str]] = {}

    def gauge(self, name: str, text: str, look: Callable[[], float]) -> None:
        """A value that is looked up when it is asked for."""
        Gauge(name, text, registry=self.registry).set_function(look)

    def passed(
        self,
        key: Key,
        report: Report | None,
        met: Trouble | None,
        seconds: float,
        requests: Mapping[str, int],
    ) -> None:
        """A pass has ended."""
        bad = met is not None and met is not Trouble.WAITING
        self._passes.labels("error" if bad else "waiting" if met else "done").inc()
        self._pass_seconds.observe(seconds)
        if bad:
            self._errors.labels(str(met)).inc()
        for method, count in requests.items():
            self._requests.labels(method).inc(count)
        if report is None:
            return
        self._writes.inc(report.writes)
        for component, spent in report.seconds.items():
            self._component_seconds.labels(component).observe(spent)
        if report.cluster.paused:
            return
        self._ready.labels(*key).set(report.ready)
        self._answers.labels(*key).set(report.api_answers)
        self._nodes.labels(*key).set(report.nodes_ready)
        self._nodes_wanted.labels(*key).set(report.nodes_wanted)
        self._phase(key, report)

    def forget(self, key: Key) -> None:
        """The tenant is gone."""
        self._phases.pop(key, None)
        for series in (self._ready, self._answers, self._nodes, self._nodes_wanted):
            if key in series._metrics:  # noqa: SLF001  # removing what isn't there raises
                series.remove(*key)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)

    def _phase(self, key: Key, report: Report) -> None:
        """Take the time of a tenant that is seen to reach a phase; one that was there before has none."""
        reached = {"API": report.api_answers, "Ready": report.ready}
        now = {phase for phase, there in reached.items() if there}
        before = self._phases.setdefault(key, now)
        if (age := _age(report)) is not None:
            for phase in now - before:
                self._phase_seconds.labels(phase).observe(age)
        self._phases[key] = before | now
