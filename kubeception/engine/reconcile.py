"""One pass over a tenant: observe, plan, apply, report. It may be ended anywhere and started again."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Self

from kubeception import names
from kubeception.api.reasons import Reason
from kubeception.api.v1alpha1 import TenantCluster, parse_cluster
from kubeception.components import COMPONENTS
from kubeception.components.base import Awaited, Component, Readiness, Side
from kubeception.components.encryption import Encryption
from kubeception.components.etcd import Etcd
from kubeception.engine import access, balancer, datastore, observe
from kubeception.engine.apply import Target, apply
from kubeception.engine.autoscale import starved
from kubeception.engine.balancers import Balancers
from kubeception.engine.changes import Changes
from kubeception.engine.delete import delete
from kubeception.engine.events import emit, publish
from kubeception.engine.explain import explain
from kubeception.engine.limit import Limit
from kubeception.engine.link import Link
from kubeception.engine.machines import Machines, MachineState
from kubeception.engine.news import NORMAL, News
from kubeception.engine.probe import Probe
from kubeception.engine.report import Report
from kubeception.engine.rewrite import Rewrite
from kubeception.engine.sites import KINDS, Sites, Ways
from kubeception.engine.status import (
    cluster_status,
    paused_status,
    pool_status,
    reason_of,
    refused_status,
)
from kubeception.engine.view import HostView
from kubeception.errors import (
    ApiError,
    ConflictError,
    ExcessError,
    KubeceptionError,
    NotFoundError,
    SpecError,
    StoppedError,
)
from kubeception.kube.client import Cluster
from kubeception.plan import budget, control_plane
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import HostFacts, Object, key_of
from kubeception.plan.keys import KeySource, RandomKeys
from kubeception.plan.site import site_of
from kubeception.providers import provider

MENDED_BY_TIME: Final = frozenset({0, 429, 500, 502, 503, 504})
"""Answers that may be others at the next pass; 0 is none at all."""

TENANT_WATCHED: Final = ("CertificateSigningRequest", "Node")
"""What passes look at in a tenant beside what they wrote there."""
TENANT_CLUSTERS: Final = f"metadata.name=tenantclusters.{names.GROUP}"
"""By which a tenant can have tenants."""
RECOUNT_SECONDS: Final = 60.0
"""How often who is in a budgeted tenant is looked at: of the budgets above, and of others' use, nothing is heard."""
UNPLACED: Final = "spec.nodeName=,status.phase=Pending"
"""Pods that may ask for another node."""
MAKING_SECONDS: Final = 5.0
"""Between two looks whether kubeadm is done with a control plane in a machine: its Node says so by a label."""
REACH_SECONDS: Final = 2.0
"""How long a pass waits for the API server of a control plane that is ready."""


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


class Engine:
    """One tenant and all that is remembered of it between passes: connections, watches, facts that hardly change."""

    def __init__(
        self,
        host: Cluster,
        namespace: str,
        name: str,
        *,
        keys: KeySource | None = None,
        clock: Callable[[], datetime] = now,
        changes: Changes | None = None,
        view: HostView | None = None,
        patience: float = REACH_SECONDS,
        probe: Probe | None = None,
    ) -> None:
        self.host, self.namespace, self.name = host, namespace, name
        self.keys, self.clock = keys or RandomKeys(), clock
        self.changes = changes or Changes()
        self.link = Link(host, self.changes.wake, self.changes.forget)
        self.ways = Ways(self.changes.forget)
        self.view = view or HostView(host, clock)
        self.patience, self.probe = patience, probe
        self.rewrite = Rewrite()
        self.local: set[tuple[str, str]] = set()
        """The tenant's Services that only nodes with an endpoint answer for."""

    def is_local(self, endpoint_slice: Object) -> bool:
        """Whether the load balancer of a Service depends on this EndpointSlice of the tenant."""
        return balancer.place_of_slice(endpoint_slice) in self.local

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End watches and connections; nothing of the tenant changes."""
        self.changes.close()
        self.ways.close()
        self.link.close()

    def step(self, limit: Limit | None = None) -> Report:
        """One pass.

        Raises NotFoundError when there is no such TenantCluster, SpecError for one that can't be read,
        ApiError when the host doesn't answer, and StoppedError when `limit` ended it.
        """
        host = self.host.limited(limit)
        try:
            return self._step(host, limit)
        except SpecError as error:
            return self._unreadable(host, error)

    def _step(self, host: Cluster, limit: Limit | None) -> Report:
        cluster = observe.find_cluster(host, self.namespace, self.name)
        if cluster is None:
            raise NotFoundError(f"{self.host.title}: no TenantCluster {self.namespace}/{self.name}")
        if cluster.paused:
            return paused(host, cluster, self.clock())
        if cluster.metadata.deletion_timestamp:
            return self._delete(host, cluster)
        return Pass(self, host, cluster, limit).run()

    def _delete(self, host: Cluster, cluster: TenantCluster) -> Report:
        if self.host_facts().operator:
            access.mend(host, cluster)
        return delete(host, cluster, self.clock(), self.ways, self.view.facts)

    def _unreadable(self, host: Cluster, error: SpecError) -> Report:
        """What can be done with a TenantCluster, or a pool of it, that isn't understood: to say so, or to remove it.

        Raises the error again unless it is being deleted.
        """
        found = host.get("TenantCluster", self.name, self.namespace)
        if found is None:
            raise error
        plain = {"paused", "deletionPolicy"}
        spec = {key: value for key, value in found["spec"].items() if key in plain}
        cluster = parse_cluster({**found, "spec": spec})
        if cluster.metadata.deletion_timestamp and not cluster.paused:
            return self._delete(host, cluster)
        now = self.clock()
        publish(host, cluster, refused_status(cluster, error, now), now)
        raise error

    def context(self) -> PlanContext:
        """The plan as it follows from what the host has now; nothing is written."""
        cluster = observe.find_cluster(self.host, self.namespace, self.name)
        if cluster is None:
            raise NotFoundError(f"{self.host.title}: no TenantCluster {self.namespace}/{self.name}")
        return self.observe(cluster)

    def observe(self, cluster: TenantCluster, host: Cluster | None = None) -> PlanContext:
        """The plan's input, freshly read, by a client of the pass where it is one."""
        host = host or self.host
        objects = self._objects(host, cluster)
        pools = observe.find_pools(host, cluster)
        facts = observe.facts(self.clock(), self.host_facts(), objects)
        facts = replace(facts, manifest=observe.observe_manifest(host, cluster))
        ctx = PlanContext(cluster, pools, facts, self.keys)
        new = ctx.facts.seen("Namespace", "", ctx.namespace) is None
        return self.view.plan(ctx) if new else ctx

    def _objects(self, host: Cluster, cluster: TenantCluster) -> list[Object]:
        """The tenant's objects; what keeps an operator from reading them is mended first."""
        try:
            return observe.observe_objects(host, cluster)
        except ApiError as error:
            if error.status != 403 or not self.host_facts().operator:
                raise
        access.mend(host, cluster)
        return observe.observe_objects(host, cluster)

    def machines(self, patience: float = REACH_SECONDS) -> list[MachineState]:
        """The machines as they are now; nothing is changed. The API server is waited for that long."""
        ctx = self.context()
        tenant = self.link.wait(ctx, patience)
        if tenant is not None:
            objects = observe.observe_tenant(tenant)
            ctx = replace(ctx, facts=ctx.facts.with_tenant_objects(objects))
        sites = self.ways.look(self.host, ctx, remember=False)
        return Machines(self.host, tenant, ctx, {}, sites).states()

    def host_facts(self) -> HostFacts:
        """The host as it was a short time ago."""
        return self.view.facts()


def paused(host: Cluster, cluster: TenantCluster, moment: datetime) -> Report:
    """The pass over a tenant that is to be left alone: only that it is so is written."""
    report = Report(cluster)
    publish(host, cluster, paused_status(cluster, moment), moment)
    report.writes = host.writes.count
    return report


class Pass:
    """One tenant, once."""

    def __init__(
        self, engine: Engine, host: Cluster, cluster: TenantCluster, limit: Limit | None
    ) -> None:
        self.engine, self.host, self.limit = engine, host, limit
        self.report = Report(cluster)
        self.patience = engine.patience
        """How long the API server is still waited for, once it is said to run."""
        self.tenant: Cluster | None = None
        self._others: list[Cluster] = []
        """Beside the host, what was written to: the tenant, places of machines elsewhere."""
        self._entered: dict[Cluster, Cluster] = {}
        """By client, itself as this pass uses it: the measure of what is read is one for all of the pass."""
        self._place: Cluster | None = None
        """The tenant as its watches know it."""
        self._making = False
        """Whether kubeadm was found at work: it is asked once in a pass."""

    def run(self) -> Report:
        """All that can be done now."""
        self._add_finalizer()
        ctx = self._observe()
        try:
            for component in COMPONENTS:
                began = time.perf_counter()
                ctx = self._component(component, ctx)
                self.report.seconds[component.name] = time.perf_counter() - began
            ctx = self._enter(ctx)
            self.report.endpoint = ctx.endpoint.url if ctx.endpoint else ""
            self._encryption(ctx)
            machines = self._machines(ctx)
            ctx = machines.ctx
            self._balancers(ctx, machines)
        except ConflictError as error:  # nothing may be built upon what is somebody else's
            self._failed(error)
        if any(bound.limited for bound in ctx.facts.host.bounds):
            self.report.look_by(RECOUNT_SECONDS)
        if self.engine.probe is not None:
            self.report.policies = self.engine.probe.look(ctx)
        self._datastore(ctx)
        explain(self.report, ctx, self.host, self.tenant)
        self._status(ctx)
        self.report.writes = sum(c.writes.count for c in (self.host, *self._others))
        return self.report

    def _add_finalizer(self) -> None:
        meta = self.report.cluster.metadata
        if names.FINALIZER not in meta.finalizers:
            patch = {"metadata": {"finalizers": [*meta.finalizers, names.FINALIZER]}}
            self.host.patch("TenantCluster", meta.name, patch, meta.namespace)

    def _observe(self) -> PlanContext:
        ctx = self.engine.observe(self.report.cluster, self.host)
        self.engine.changes.saw(self.engine.host, ctx.facts.objects.values())
        self.report.nodes_wanted = sum(pool.spec.replicas for pool in ctx.pools)
        if ref := ctx.spec.networking.manifest_ref:
            named, place = f"metadata.name={ref.name}", self.engine.host
            self.engine.changes.watch_all(place, ["ConfigMap"], ctx.cluster.namespace, fields=named)
            if ctx.facts.manifest and ctx.facts.manifest.found:
                self.engine.changes.saw(place, [ctx.facts.manifest.found])
        return ctx

    def _enter(self, ctx: PlanContext) -> PlanContext:
        """The context with what is in the tenant, if its API server answers."""
        if self.tenant is not None or self.report.excess or self._making:
            return ctx
        runs = self.report.ok("control-plane")
        found = self.engine.link.wait(ctx, self.patience, runs=runs)
        if found is None:
            self.patience = 0.0 if runs else self.patience
            return ctx
        if (tenant := self._entered.get(found)) is None:
            tenant = found.limited(self.limit, self.limit.answered if self.limit else None)
            self._entered[found] = tenant
            self._others.append(tenant)
        try:
            self._making = self._makes_itself(ctx, tenant)
            if self._making:
                self.report.look_again(MAKING_SECONDS)
                return ctx
            objects = observe.observe_tenant(tenant)
            if budget.counts(ctx.cluster, ctx.facts.host):
                self._count(found, tenant)
            facts = observe.observe_network(tenant, ctx.facts.with_tenant_objects(objects))
        except ApiError as error:
            self._lost(error)
            return ctx
        self.tenant, self.report.api_answers = tenant, True
        self._place = found
        self.engine.changes.saw(found, facts.tenant_objects.values())
        self.engine.changes.watch_all(found, TENANT_WATCHED)
        return replace(ctx, facts=facts)

    def _makes_itself(self, ctx: PlanContext, tenant: Cluster) -> bool:
        """Whether kubeadm is still at work in the first machine: whatever is asked of it meanwhile delays it."""
        if control_plane.begun(ctx):
            return False
        made = [member.name for member in control_plane.members(ctx) if member.made]
        try:
            nodes = [tenant.get("Node", name) for name in made]
        except ApiError as error:
            if error.status == 403:  # the rights of its administrators come with its first start
                return True
            raise
        return bool(made) and not any(node and control_plane.is_marked(node) for node in nodes)

    def _count(self, place: Cluster, tenant: Cluster) -> None:
        """How many clusters are in the tenant, for budgets that depend on it; heard of when that changes."""
        found, served = tenant.list_at("TenantCluster")
        self.report.clusters = budget.count(found)
        changes = self.engine.changes
        changes.saw(place, found)
        if served:
            changes.watch_all(place, ["TenantCluster"])
        else:
            changes.watch_all(place, ["CustomResourceDefinition"], fields=TENANT_CLUSTERS)

    def _component(self, component: Component, ctx: PlanContext) -> PlanContext:
        """Apply one component; the context with what came of it."""
        tenant_side = component.side is Side.TENANT
        if tenant_side:
            ctx = self._enter(ctx)
        if missing := [need for need in component.needs if not self.report.ok(need)]:
            self.report.record(component, Readiness.waiting(f"waits for {', '.join(missing)}"))
            return ctx
        if tenant_side and self.tenant is None:
            self.report.record(component, Readiness.waiting("waits for the API server"))
            return ctx
        try:
            seen, ctx = self._apply(component, ctx)
        except (ConflictError, StoppedError):
            raise
        except KubeceptionError as error:
            self._refused(component, error)
            return ctx
        readiness = component.ready(ctx, {key_of(o): o for o in seen})
        self.report.record(component, readiness)
        if until := readiness.until:
            self._wait(ctx, component.side, until)
        return ctx

    def _wait(self, ctx: PlanContext, side: Side, until: Awaited) -> None:
        """Hear of what may end the wait of a component."""
        if side is Side.HOST:
            self._watch_host(ctx, until.kind, ctx.namespace, until.matters)
        elif self._place is not None:
            self.engine.changes.watch_all(self._place, [until.kind], only=until.matters)

    def _apply(self, component: Component, ctx: PlanContext) -> tuple[list[Object], PlanContext]:
        wanted = component.objects(ctx)
        if component.side is Side.TENANT and self.tenant is not None:
            target = Target(self.tenant, {}, exclusive=False)
            seen = apply(target, component.name, wanted, ctx.facts.tenant_objects)
            if self._place is not None:
                self.engine.changes.saw(self._place, seen)
                kinds = dict.fromkeys(map(self.tenant.kind_of, seen))
                self.engine.changes.watch_all(self._place, kinds, labels=names.COMPONENT_LABEL)
            return seen, replace(ctx, facts=ctx.facts.with_tenant_objects(seen))
        target = Target(self.host, {names.CLUSTER_LABEL: ctx.id})
        seen = apply(target, component.name, wanted, ctx.facts.objects)
        self.engine.changes.saw(self.engine.host, seen)
        if any(obj["kind"] == "Namespace" for obj in seen):
            fresh = [o for o in seen if o["kind"] == "RoleBinding"]
            fresh = [o for o in fresh if key_of(o) not in ctx.facts.objects]
            access.settle(self.host, [o["metadata"]["namespace"] for o in fresh])
        for kind, namespace in dict.fromkeys(key_of(obj)[:2] for obj in seen):
            self._watch_host(ctx, kind, namespace)
        return seen, replace(ctx, facts=ctx.facts.with_objects(seen))

    def _watch_host(
        self,
        ctx: PlanContext,
        kind: str,
        namespace: str,
        only: Callable[[Object], bool] | None = None,
    ) -> None:
        """Hear of it when something of the tenant in its host changes or goes, a label of ours included."""
        labels = f"{names.CLUSTER_LABEL}={ctx.id}"
        changes, host = self.engine.changes, self.engine.host
        changes.watch_all(host, [kind], namespace, labels=labels, only=only)

    def _encryption(self, ctx: PlanContext) -> None:
        """Go on with what a new encryption key takes beside restarts."""
        if self.tenant is None:
            return
        with self._going_on():
            found = self.engine.rewrite.go_on(self.host, self.tenant, ctx)
            if found is not None:
                component, _ = self.report.components[Encryption.name]
                self.report.record(component, found)
                self.report.look_again(0.05 if found.reason is Reason.IN_PROGRESS else 5.0)

    def _machines(self, ctx: PlanContext) -> Machines:
        """Work on the machines; they, and the context with the sizes that autoscaled pools have now."""
        scaled = any(pool.spec.autoscaling for pool in ctx.pools)
        here = [pool for pool in ctx.pools if site_of(pool) is None]
        wanted = {p.spec.provider for p in here if p.spec.replicas or p.spec.autoscaling}
        if own := control_plane.pool_of(ctx):
            wanted.add(own.spec.provider)
        for name in sorted(wanted):
            of = provider(name)
            self.engine.changes.watch_all(
                self.engine.host, of.kinds, ctx.nodes_namespace, labels=of.selector
            )
        nodes = self.host.list("Node") if wanted else []
        labels = {n["metadata"]["name"]: n["metadata"].get("labels", {}) for n in nodes}
        settled = self.report.ok("control-plane")
        machines = Machines(self.host, self.tenant, ctx, labels, self._sites(ctx), settled)
        with self._going_on():
            self.report.machines += machines.reconcile()
            self.report.news += machines.news
            for refused in machines.failures:
                self._failed(refused)
            held = machines.holds.pop(own.name, None) if own else None
            self.report.holds = machines.holds
            self._control_plane(held)
        self.report.due = machines.due
        self.report.nodes_wanted = sum(pool.spec.replicas for pool in machines.ctx.pools)
        if scaled and self._place is not None:
            self.engine.changes.watch_all(self._place, ["Pod"], fields=UNPLACED, only=starved)
        return machines

    def _control_plane(self, held: Readiness | None) -> None:
        """Say of a control plane in machines why one of them isn't made, or doesn't start, where that is known."""
        component, readiness = self.report.components.get("control-plane", (None, None))
        stuck = [
            s for s in self.report.control_plane if s.message and not s.machine.joined_instance
        ]
        if component is None or readiness is None or readiness.ok:
            return
        if stuck:
            first = stuck[0]
            said = f"waits for machine {first.machine.name}: {first.message}"
            held = Readiness.waiting(said, first.reason or readiness.reason)
        if held:
            self.report.record(component, held)

    def _sites(self, ctx: PlanContext) -> Sites:
        """What there is of machines elsewhere, which is watched from now on."""
        sites = self.engine.ways.look(self.host, ctx)
        for name, place in sites.places.items():
            self._others.append(place.cluster)
            if client := self.engine.ways.client(name):
                self.engine.changes.saw(client, place.objects)
                labels = f"{names.SITE_LABEL}={name}"
                self.engine.changes.watch_all(client, KINDS, place.namespace, labels=labels)
        return sites

    def _balancers(self, ctx: PlanContext, machines: Machines) -> None:
        """Work on what the tenant's Services of type LoadBalancer are in the host."""
        if self.tenant is None or self._place is None:
            return
        reached = [machine for machine in machines.seen if not machine.site]
        balancers = Balancers(self.host, self.tenant, ctx, reached, machines.by_node)
        with self._going_on():
            balancers.reconcile()
        self.report.news += balancers.news
        changes = self.engine.changes
        changes.saw(self.engine.host, balancers.seen)
        for kind, namespace in dict.fromkeys(key_of(obj)[:2] for obj in balancers.seen):
            self._watch_host(ctx, kind, namespace)
        changes.watch_all(self._place, ["Service"], fields=observe.LOAD_BALANCERS)
        self.engine.local = {balancer.place(s) for s in balancers.served if balancer.is_local(s)}
        if self.engine.local:
            changes.watch_all(self._place, ["EndpointSlice"], only=self.engine.is_local)

    def _datastore(self, ctx: PlanContext) -> None:
        """Make room in an etcd that is full, or say so."""
        waits = self.report.datastore.reason is Reason.REPLICAS_NOT_READY
        if not waits or not datastore.unwell(ctx):
            return
        self.report.look_by(datastore.LOOK_SECONDS)
        if found := datastore.look(self.host, ctx):
            component, _ = self.report.components[Etcd.name]
            self.report.record(component, found)
            if found.reason is Reason.IN_PROGRESS:
                self.report.news.append(News(NORMAL, "DatastoreMended", found.message))

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """What fails in here doesn't end the pass."""
        try:
            yield
        except StoppedError:
            raise
        except ApiError as error:
            self._lost(error)
        except KubeceptionError as error:
            self._failed(error)

    def _status(self, ctx: PlanContext) -> None:
        """Write what is reported, and tell what happened."""
        now = ctx.facts.now
        publish(self.host, ctx.cluster, cluster_status(ctx, self.report), now)
        for pool in ctx.pools:
            publish(self.host, pool, pool_status(ctx, pool, self.report), now)
        pools = {pool.name: pool for pool in ctx.pools}
        for news in self.report.news:
            emit(self.host, pools.get(news.pool, ctx.cluster), [news], now)

    def _refused(self, component: Component, error: KubeceptionError) -> None:
        """An error of one component: to be tried again, or to be mended by a person."""
        if component.side is Side.TENANT and isinstance(error, ApiError):
            self._lost(error)
        if isinstance(error, ExcessError):
            self.report.record(component, Readiness.waiting(error.message, Reason.EXCESS))
        elif isinstance(error, ApiError) and error.status in MENDED_BY_TIME:
            self.report.look_again(0.5)
            self.report.record(component, Readiness.waiting(error.message, Reason.RETRYING))
        else:
            of_spec = isinstance(error, SpecError)
            reason = reason_of(error) if of_spec else Reason.REQUEST_REFUSED
            self.report.record(component, Readiness.failed(error.message, reason))
            self._failed(error)

    def _lost(self, error: ApiError) -> None:
        if isinstance(error, ExcessError):
            # nor is it listened to: the next look is at a time of our choice
            for found in self._entered:
                self.engine.changes.forget(found)
            self.tenant, self._place, self.report.api_answers = None, None, False
            self.report.excess = error.message
            return
        if error.status == 0:
            self.engine.link.lost()
            self.tenant, self.report.api_answers = None, False
        self.report.look_again(0.5)

    def _failed(self, error: KubeceptionError) -> None:
        if error.message not in [known.message for known in self.report.failures]:
            self.report.failures.append(error)
