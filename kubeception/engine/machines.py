"""The machines of a tenant and their nodes: as many as asked for, initialised, drained before they go."""

from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from kubeception import names
from kubeception.api.lifecycle import Health, duration
from kubeception.api.reasons import Reason
from kubeception.api.v1alpha1 import NodePool
from kubeception.components.base import Readiness
from kubeception.components.machines import machine_bootstrap
from kubeception.components.tenant import SYSTEM
from kubeception.engine import drain, health, nodes, tokens
from kubeception.engine.apply import prepare, write_one
from kubeception.engine.autoscale import autoscale
from kubeception.engine.budget import short_of
from kubeception.engine.news import NORMAL, WARNING, News
from kubeception.engine.observe import is_ready
from kubeception.engine.parallel import together
from kubeception.engine.scale import PATIENCE, Wish, Worker, scale
from kubeception.engine.sites import PROVIDER, QUIET_SECONDS, Place, Sites, given_up, release
from kubeception.errors import (
    ApiError,
    ConflictError,
    ExcessError,
    KubeceptionError,
    SpecError,
    StoppedError,
)
from kubeception.kube.client import STRATEGIC, Cluster
from kubeception.kube.conditions import is_true
from kubeception.plan import control_plane
from kubeception.plan.bootstrap import TOKEN_NAMESPACE, Bootstrap, node_bootstrap, token_secret
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object
from kubeception.plan.site import left_behind, record_of, site_of
from kubeception.plan.template import template_hash
from kubeception.plan.versions import skew
from kubeception.plan.way import forward
from kubeception.providers import PROVIDERS, machines, provider
from kubeception.providers.base import EXCEEDED, Machine, Phase

DRAIN_LIMIT: Final = timedelta(minutes=3)
"""After which a machine of a pool that is gone goes although pods are left on it."""
DRAIN_RETRY: Final = 2.0
"""Seconds after which an eviction that a PodDisruptionBudget forbade is tried again."""
DRAIN_QUIET: Final = timedelta(seconds=10)
"""As long as it takes a pod to end, nothing is said of what keeps it."""
EXPLAIN_AGAIN: Final = timedelta(seconds=5)
"""How often what a machine waits for is looked at, of which nothing is heard."""
IDLE_LOOK: Final = timedelta(seconds=30)
"""How often the nodes of an autoscaled pool are looked at: of a pod that ends nothing is heard."""
MEMBER_RETRY: Final = timedelta(seconds=2)
"""How often an API server is looked at that is about to be ready."""
QUOTA_RETRY: Final = timedelta(seconds=30)
"""When a machine that a quota had no room for is tried again: of what becomes of quotas nothing is heard."""
COMPONENT: Final = "machines"


@dataclass(frozen=True)
class MachineState:
    """A machine as a person is told of it."""

    machine: Machine
    state: str
    """One word.

    Starting, Booting, Joined, Ready, Migrating, Failing, Draining, Removing, Replaced, Unknown.
    """
    node: Object | None = None
    updated: bool = True
    """Whether it is as a new machine of its pool would be."""
    note: str = ""
    """Why its node isn't ready or doesn't go, where that needs saying."""
    trouble: Reason | None = None
    """The same in one word, where a person must act."""

    @property
    def ready(self) -> bool:
        return self.state in ("Ready", "Migrating")

    @property
    def message(self) -> str:
        """Why it isn't ready, in words; empty when nothing needs saying."""
        return self.note or self.machine.message

    @property
    def reason(self) -> Reason | None:
        """The same in one word, where a person must act."""
        stuck = self.machine.message and self.machine.phase is Phase.PENDING
        found = self.trouble or self.machine.reason
        return found or (Reason.MACHINE_NOT_STARTED if stuck else None)


@dataclass
class Machines:
    """One pass over all machines of a tenant: what is seen, and the verbs on it."""

    host: Cluster
    tenant: Cluster | None
    ctx: PlanContext
    host_nodes: Mapping[str, Mapping[str, str]]
    """Labels of the host's nodes."""
    sites: Sites = field(default_factory=Sites)
    """What is known of machines elsewhere."""
    settled: bool = True
    """Whether the control plane is as its spec says, so that machines may follow it."""
    due: float | None = None
    """Seconds after which another look is due although nothing was heard."""
    holds: dict[str, Readiness] = field(default_factory=dict)
    """By pool, why it isn't worked on as its spec says."""
    uncounted: Readiness | None = None
    """Why it isn't known how many machines the tenant's pods need."""
    failing: dict[str, str] = field(default_factory=dict)
    """By machine, why it is to be replaced."""
    kept: dict[str, drain.Kept] = field(default_factory=dict)
    """By machine that is drained, what keeps it."""
    templates: dict[str, str] = field(default_factory=dict)
    """By pool, of what its machines are to be made."""
    news: list[News] = field(default_factory=list)
    failures: list[KubeceptionError] = field(default_factory=list)
    """What nobody but a person can mend."""
    seen: list[Machine] = field(default_factory=list)
    by_node: dict[str, Object] = field(default_factory=dict)
    tokens: dict[str, Object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        namespace = self.ctx.nodes_namespace
        mine = [o for key, o in self.ctx.facts.objects.items() if key[1] == namespace]
        tenant = self.ctx.facts.tenant_objects
        self.by_node = {key[2]: o for key, o in tenant.items() if key[0] == "Node"}
        self.tokens = {
            o["metadata"]["labels"][names.MACHINE_LABEL]: o
            for key, o in tenant.items()
            if key[0] == "Secret" and names.MACHINE_LABEL in o["metadata"].get("labels", {})
        }
        self._home = Place(self.host, namespace, tuple(mine))
        self.seen = [*machines(mine), *(m for p in self.sites.places.values() for m in p.machines)]
        self.seen += self._unknown()
        self.templates = {pool.name: template_hash(self.ctx, pool) for pool in self.ctx.pools}
        self._judge()

    def reconcile(self) -> list[MachineState]:
        """Everything that can be done now; how far each machine is after that."""
        if self.tenant is not None:
            for machine in self.seen:
                with self._of(machine.site):
                    self._initialise(machine)
                self._renew(machine, self.tenant)
            self._approve()
            self._autoscale()
        if own := control_plane.pool_of(self.ctx):
            self._control_plane(own)
        for pool in self.ctx.pools:
            with self._of(record_of(pool)):
                self._scale(pool)
            if self.uncounted and pool.spec.autoscaling:
                self.holds.setdefault(pool.name, self.uncounted)
        if due := [call for each in PROVIDERS.values() for call in each.tend(self.host, self.ctx)]:
            together(due)
            self._look_at(self.ctx.facts.now + timedelta(seconds=DRAIN_RETRY))
        self._remove_leftovers()
        self._leave()
        for name, trouble in self.sites.troubles.items():
            self.holds[self.sites.pools[name]] = trouble
            self._look_at(self.ctx.facts.now + timedelta(seconds=QUIET_SECONDS))
        return self.states()

    def _pools(self) -> list[NodePool]:
        """All pools, and the machines of the control plane as one."""
        own = control_plane.pool_of(self.ctx)
        return [*self.ctx.pools, *([own] if own else ())]

    def states(self) -> list[MachineState]:
        """How far each machine is."""
        return [self._described(self._explained(machine)) for machine in self.seen]

    def _unknown(self) -> Iterable[Machine]:
        """The nodes of places that don't answer: as long as nothing is known of their machines, they are there."""
        alive = {machine.name for machine in self.seen}
        for name, node in self.by_node.items():
            site = self.sites.unknown.get(names.pool_of(name))
            if site is not None and name not in alive:
                made = datetime.fromisoformat(node["metadata"]["creationTimestamp"])
                pool, why = self.sites.pools[site], self.sites.troubles[site].message
                yield Machine(
                    name, pool, Phase.UNKNOWN, made, provider=PROVIDER, message=why, site=site
                )

    @contextmanager
    def _of(self, site: str) -> Iterator[None]:
        """What fails in here at a place elsewhere ends the work there, and nothing else."""
        try:
            yield
        except SiteError as error:
            self.sites.troubles.setdefault(error.site, error.why)

    @contextmanager
    def _at(self, site: str) -> Iterator[Place]:
        """A place to write at: its own errors are told from those of host and tenant."""
        place = self.sites.places[site] if site else self._home
        try:
            yield place
        except StoppedError:
            raise
        except KubeceptionError as error:
            if not site:
                raise
            why = Readiness.waiting(error.message, Reason.INFRA_UNREACHABLE)
            raise SiteError(site, why) from error

    def _judge(self) -> None:
        """Find the machines that fail; without the tenant's API nothing is known of any."""
        if self.tenant is None:
            return
        now, limits = self.ctx.facts.now, {pool.name: pool.spec.health for pool in self._pools()}
        self.seen = [self._unless_node_gone(machine) for machine in self.seen]
        own = control_plane.pool_of(self.ctx)
        for machine in self.seen:
            limit, node = limits.get(machine.pool, Health()), self.by_node.get(machine.name)
            # the first of a control plane makes the cluster, and needs none
            token = machine.name in self.tokens or (own is not None and machine.pool == own.name)
            if why := health.failure(machine, node, limit, now, token=token):
                self.failing[machine.name] = why
            elif due := health.deadline(machine, node, limit, token=token):
                self._look_at(due)

    def _explained(self, machine: Machine) -> Machine:
        """The machine, with what is found out of why it doesn't run; what can't be is worth no failure."""
        if machine.phase is not Phase.PENDING:
            return machine
        with suppress(ApiError):
            found = provider(machine.provider).explain(self.host, self.ctx, machine)
            if found is not machine:
                self._look_at(self.ctx.facts.now + EXPLAIN_AGAIN)
            return found
        return machine

    def _unless_node_gone(self, machine: Machine) -> Machine:
        """The machine, ended if somebody deleted its Node: its kubelet won't register again."""
        alive = machine.phase in (Phase.PENDING, Phase.RUNNING)
        if alive and machine.joined_instance and machine.name not in self.by_node:
            return machine.ended("its node was deleted")
        return machine

    def _look_at(self, moment: datetime) -> None:
        """Another pass is due then at the latest."""
        seconds = max(0.1, (moment - self.ctx.facts.now).total_seconds())
        self.due = seconds if self.due is None else min(self.due, seconds)

    def _described(self, machine: Machine) -> MachineState:
        state, node = self._state(machine), self.by_node.get(machine.name)
        note, trouble = "", None
        if state == "Failing":
            note = self.failing[machine.name]
        elif state == "Draining" and machine.name in self.kept:
            kept = self.kept[machine.name]
            note, trouble = kept.message, Reason.DRAIN_BLOCKED if kept.refused else None
        elif state == "Joined" and node is not None:
            note = nodes.lacks(node)
        updated = machine.template == self.templates.get(machine.pool, machine.template)
        updated |= machine.phase is Phase.UNKNOWN
        return MachineState(machine, state, node, updated, note, trouble)

    def _state(self, machine: Machine) -> str:
        if machine.phase in (Phase.ENDED, Phase.REMOVING):
            return "Removing" if machine.phase is Phase.REMOVING else "Replaced"
        if machine.draining_since or machine.name in self.failing:
            return "Draining" if machine.draining_since else "Failing"
        node = self.by_node.get(machine.name)
        if machine.phase is Phase.UNKNOWN:  # how its node is, that itself says
            return "Ready" if node and is_ready(node) and nodes.is_open(node) else "Unknown"
        if node is None:
            return "Booting" if machine.phase is Phase.RUNNING else "Starting"
        initialised = machine.joined_instance and not nodes.is_uninitialized(node)
        if not initialised or not is_ready(node):
            return "Joined"
        return "Migrating" if machine.moving else "Ready"

    # a machine becomes a node

    def _initialise(self, machine: Machine) -> None:
        """Tell the tenant what its node is, in the order others rely on."""
        node, tenant = self.by_node.get(machine.name), self.tenant
        if (
            tenant is None
            or node is None
            or machine.phase is not Phase.RUNNING
            or not machine.address
        ):
            return
        now, overlay = self.ctx.facts.now, self.ctx.spec.networking.cni == "flannel"
        if patch := nodes.status_patch(node, machine, now, overlay=overlay):
            said = tenant.patch(
                "Node", machine.name, patch, subresource="status", content=STRATEGIC
            )
            node = said or node
        if due := nodes.network_due(node):
            self._look_at(due)
        of = provider(machine.provider)
        labels = {} if machine.site else self.host_nodes.get(machine.host_node, {})
        if waits := nodes.head_start(node, machine, now):
            self._look_at(now + waits)
        patch = nodes.node_patch(
            node,
            machine,
            of.provider_id(self.ctx, machine.name),
            labels,
            {} if machine.site else of.node_annotations(self.ctx),
            open_to_pods=not waits,
        )
        if patch:
            try:
                node = tenant.patch("Node", machine.name, patch) or node
            except ConflictError:
                # kube-controller-manager was quicker: the next look sees what it wrote
                self._look_at(now)
        self.by_node[machine.name] = node
        if machine.joined_instance != machine.instance:
            self._annotate(machine, names.INSTANCE_ANNOTATION, machine.instance)
            self.seen = [m if m.name != machine.name else _joined(m) for m in self.seen]
            self._tell(machine, NORMAL, "NodeJoined", f"node {machine.name} joined")
        if token := self.tokens.pop(machine.name, None):
            tenant.delete("Secret", token["metadata"]["name"], TOKEN_NAMESPACE)

    def _renew(self, machine: Machine, tenant: Cluster) -> None:
        """Keep the token of a machine good while that may still join."""
        token = self.tokens.get(machine.name)
        pool = next((p for p in self._pools() if _is_of(machine, p)), None)
        awaited = machine.phase in (Phase.PENDING, Phase.RUNNING)
        if token is None or pool is None or not awaited or machine.name in self.failing:
            return
        now, until = self.ctx.facts.now, machine.created + duration(pool.spec.health.join_timeout)
        due = tokens.renewal(token, until)
        if due is not None and due <= now:
            patch = {"stringData": {"expiration": _time(tokens.expiry(until, now))}}
            tenant.patch("Secret", token["metadata"]["name"], patch, TOKEN_NAMESPACE)
            due = now + tokens.LIFE / 2
        if due is not None:
            self._look_at(due)

    def _approve(self) -> None:
        """Approve serving certificates of our machines; others' requests are none of our business."""
        known = {f"system:node:{m.name}": m for m in self.seen if m.address}
        for key, csr in self.ctx.facts.tenant_objects.items():
            if key[0] != "CertificateSigningRequest" or not nodes.is_pending(csr):
                continue
            machine = known.get(csr["spec"].get("username", ""))
            if machine is None or nodes.objection(csr, machine):
                continue
            if self.tenant is not None:
                with suppress(ConflictError):
                    approved = nodes.approval(csr, _time(self.ctx.facts.now))
                    self.tenant.replace(approved, subresource="approval")

    # a pool gains and loses machines

    def _autoscale(self) -> None:
        """Set the replicas of autoscaled pools, and note which machines nobody needs, and since when."""
        if self.tenant is None or not any(pool.spec.autoscaling for pool in self.ctx.pools):
            return
        now, pools = self.ctx.facts.now, self.ctx.pools
        unknown = self.sites.unknown
        # how many machines those pools have isn't known, and so not how many they should
        sized = [pool for pool in pools if pool.name not in unknown]
        try:
            pods = self.tenant.list("Pod")
        except ExcessError as error:
            said = f"it keeps its size, since the tenant's pods are not counted: {error.message}"
            self.uncounted = Readiness.waiting(said, Reason.EXCESS)
            return
        sizes = autoscale(sized, self.seen, self.by_node, pods, now)
        for number, machine in enumerate(self.seen):
            with self._of(machine.site):
                self.seen[number] = self._noted(machine, idle=machine.name in sizes.idle)
        for pool in pools:
            if (scaling := pool.spec.autoscaling) and pool.spec.replicas > scaling.min:
                self._look_at(now + min(IDLE_LOOK, duration(scaling.scale_down_after)))
        self.ctx = replace(self.ctx, pools=tuple(self._resized(p, sizes.replicas) for p in pools))

    def _noted(self, machine: Machine, *, idle: bool) -> Machine:
        """The machine, marked if nobody needs it since now."""
        if idle == bool(machine.idle_since) or machine.phase is Phase.UNKNOWN:
            return machine
        now = self.ctx.facts.now
        self._annotate(machine, names.IDLE_ANNOTATION, _time(now) if idle else None)
        return replace(machine, idle_since=now if idle else None)

    def _resized(self, pool: NodePool, sizes: Mapping[str, int]) -> NodePool:
        """The pool with as many replicas as it is to have, written where that is another number."""
        before, after = pool.spec.replicas, sizes.get(pool.name, pool.spec.replicas)
        room = provider(pool.spec.provider).room(pool)
        after = after if room is None else min(after, room)
        if after == before:
            return pool
        patch = {"spec": {"replicas": after}}
        self.host.patch("NodePool", pool.name, patch, pool.namespace)
        why = "pods wait for a node" if after > before else "nobody needs the others"
        said = f"from {before} to {after} workers: {why}"
        self.news.append(News(NORMAL, "Autoscaled", said, pool.name))
        return pool.model_copy(update={"spec": pool.spec.model_copy(update={"replicas": after})})

    def _scale(self, pool: NodePool) -> None:
        mine = [m for m in self.seen if _is_of(m, pool)]
        if held := self._hold(pool):
            self.holds[pool.name] = held
            return
        now = self.ctx.facts.now
        workers = [
            Worker(m, ready=self._ready(m), failing=bool(self.failing.get(m.name))) for m in mine
        ]
        plan = scale(self._wish(pool), workers, now)
        for machine in plan.discard:
            self._delete(machine)
            why = self.failing.get(machine.name) or machine.message
            said = f"machine {machine.name} is beyond use: {why}"
            self._tell(machine, WARNING, "MachineDiscarded", said)
        for machine in plan.drain:
            self._drain(machine, duration(pool.spec.drain_timeout), self._why(machine, pool))
        if (
            plan.add
            and self._permitted(pool)
            and self.tenant is not None
            and self.ctx.endpoint is not None
            and control_plane.begun(self.ctx)
        ):
            for _ in range(plan.add):
                if short := self._short(pool) or self._add(pool, self.tenant):
                    self.holds[pool.name] = short
                    break
        if plan.held:
            bad = [m.name for m in mine if m.name in self.failing]
            self.holds[pool.name] = Readiness.waiting(
                f"none of {len(bad)} machines that fail is replaced, since that is more than "
                f"health.maxUnhealthy ({pool.spec.health.max_unhealthy}) of {pool.spec.replicas}: "
                f"{bad[0]}: {self.failing[bad[0]]}",
                Reason.TOO_MANY_UNHEALTHY,
            )
        for machine in mine:
            lost = machine.phase is Phase.ENDED or machine.name in self.failing
            if lost and now < machine.created + PATIENCE:
                self._look_at(machine.created + PATIENCE)

    def _hold(self, pool: NodePool) -> Readiness | None:
        """Why nothing is done to the pool's machines; None when it may be."""
        if (site := site_of(pool)) and (trouble := self.sites.troubles.get(site.name)):
            return trouble
        if control_plane.taken(self.ctx.cluster, pool):
            return Readiness.waiting(control_plane.TAKEN, Reason.SPEC_REFUSED)
        if pool.spec.paused:
            said = "the pool is paused: none of its machines is added, drained or replaced"
            return Readiness.waiting(said, Reason.PAUSED)
        version = self.ctx.version_of(pool)
        if found := skew(self.ctx.spec.version, version):
            return Readiness.waiting(f"spec.version {version}: {found}", Reason.VERSION_SKEW)
        return None

    def _wish(self, pool: NodePool) -> Wish:
        """What the pool is to be; machines of another template stay until the control plane is ready for new ones."""
        room = provider(pool.spec.provider).room(pool)
        replicas = pool.spec.replicas if room is None else min(pool.spec.replicas, room)
        surge, unavailable = pool.spec.strategy.limits(replicas)
        if room is not None and replicas + surge > room:
            surge, unavailable = room - replicas, max(unavailable, 1)
        return Wish(
            replicas=replicas,
            template=self.templates[pool.name],
            roll=self.settled and self.tenant is not None,
            surge=surge,
            unavailable=unavailable,
            unhealthy=pool.spec.health.limit(replicas),
        )

    def _why(self, machine: Machine, pool: NodePool) -> str:
        """Why a machine is to go."""
        if machine.evicted:
            also = f", and {machine.message}" if machine.message else ""
            return f"its host node is to be emptied{also}"
        if machine.template != self.templates[pool.name]:
            return "its pool is to have other machines"
        return "its pool is to have fewer"

    def _permitted(self, pool: NodePool) -> bool:
        if site := site_of(pool):
            if found := self.sites.places[site.name].unfit or self._cut_off():
                self.holds[pool.name] = found
            return found is None
        try:
            provider(pool.spec.provider).check(self.ctx, pool)
        except KubeceptionError as error:
            self.failures.append(error)
            refused = isinstance(error, SpecError)
            reason = Reason.SPEC_REFUSED if refused else Reason.MACHINE_NOT_STARTED
            self.holds[pool.name] = Readiness.waiting(error.message, reason)
            return False
        return True

    def _short(self, pool: NodePool) -> Readiness | None:
        """Why the cluster's budget has no room for another machine of the pool."""
        try:
            missing = short_of(self.ctx, self.seen, pool)
        except SpecError as error:
            return Readiness.waiting(error.message, Reason.SPEC_REFUSED)
        if not missing:
            return None
        said = f"the cluster's budget has no room for another machine: {'; '.join(missing)}"
        return Readiness.waiting(said, Reason.BUDGET_EXCEEDED)

    def _cut_off(self) -> Readiness | None:
        """Why a machine outside the host couldn't join."""
        endpoint = self.ctx.endpoint
        if endpoint is None or forward(endpoint, self.ctx.network.api_ip):
            return None
        said = f"the API server has no IPv4 address outside the host yet, but {endpoint.host}"
        return Readiness.waiting(said, Reason.NO_ADDRESS)

    def _ready(self, machine: Machine) -> bool:
        """Whether pods can run there: others are drained when it is so."""
        node = self.by_node.get(machine.name)
        return node is not None and is_ready(node) and nodes.is_open(node)

    def _add(self, pool: NodePool, tenant: Cluster) -> Readiness | None:
        """Make a machine of a pool; where a quota has no room for it, nothing is left, and why is returned."""
        name = names.machine(pool.name, self.ctx.keys.random_bytes("machine", 4))
        try:
            token = self._token(pool, name, tenant)
            self._make(pool, name, node_bootstrap(self.ctx, pool, name, token))
        except ApiError as error:
            return self._without_room(name, error)
        return None

    def _without_room(self, machine: str, error: ApiError) -> Readiness:
        """Why a machine wasn't made for which a quota has no room; nothing of it is left. Raises any other error."""
        if error.status != HTTPStatus.FORBIDDEN or EXCEEDED not in error.message:
            raise error
        self.host.delete("Secret", machine, self.ctx.nodes_namespace)
        if self.tenant is not None:
            of = f"{names.MACHINE_LABEL}={machine}"
            for token in self.tenant.list("Secret", TOKEN_NAMESPACE, labels=of):
                self.tenant.delete("Secret", token["metadata"]["name"], TOKEN_NAMESPACE)
        self._look_at(self.ctx.facts.now + QUOTA_RETRY)
        return Readiness.waiting(error.message, Reason.QUOTA_EXCEEDED)

    def _token(self, pool: NodePool, name: str, tenant: Cluster) -> str:
        """A new bootstrap token for a machine, good for as long as it may take to join."""
        ctx = self.ctx
        token = new_token(ctx)
        until = ctx.facts.now + duration(pool.spec.health.join_timeout)
        expires = _time(tokens.expiry(until, ctx.facts.now))
        tenant.create(token_secret(token, name, expires, {names.MACHINE_LABEL: name}))
        self._look_at(ctx.facts.now + tokens.LIFE / 2)
        return token

    def _make(self, pool: NodePool, name: str, boot: Bootstrap) -> None:
        """Write a machine and what it boots with. What is left of a half-made one is removed later."""
        ctx, source = self.ctx, provider(pool.spec.provider)
        where = record_of(pool)
        for obj in source.render(ctx, pool, name, boot):
            if obj["kind"] == source.kinds[0]:
                marks = obj["metadata"].setdefault("annotations", {})
                marks[names.TEMPLATE_ANNOTATION] = template_hash(ctx, pool)
            manager = f"{names.FIELD_MANAGER}/{COMPONENT}"
            with self._at(where) as place:
                ready = prepare(obj, ctx.labels(COMPONENT))
                made = write_one(place.cluster, manager, ready, None)
            self.seen += [replace(m, site=where) for m in source.machines([made])]
            if not where:
                self.ctx = replace(self.ctx, facts=self.ctx.facts.with_objects([made]))

    def _control_plane(self, pool: NodePool) -> None:
        """Make the next machine of the control plane, where one is missing; what there is of them is left alone."""
        self._recognise(pool)
        endpoint, known = self.ctx.endpoint, control_plane.members(self.ctx)
        addresses = [control_plane.own_address(self.ctx, member) for member in known]
        if endpoint is None or endpoint.pending or not all(addresses):
            return  # certificates name them
        if not self.ctx.pki.rooted:
            return
        member = control_plane.next_of(known, answers=self.tenant is not None)
        if member is None:
            return
        first = not any(each.made for each in known)
        self._clear(member.name)
        try:
            token = "" if first or not self.tenant else self._token(pool, member.name, self.tenant)
            self._make(pool, member.name, machine_bootstrap(self.ctx, pool, member, token))
        except ApiError as error:
            self.holds[pool.name] = self._without_room(member.name, error)

    def _clear(self, machine: str) -> None:
        """Remove what is left of a machine of this name: those of control planes are called as those before them."""
        space = self.ctx.nodes_namespace
        if self.ctx.facts.seen("Secret", space, machine):
            self.host.delete("Secret", machine, space)
        if self.tenant is not None and machine in self.by_node:
            del self.by_node[machine]
            self.tenant.delete("Node", machine)

    def _recognise(self, pool: NodePool) -> None:
        """Note which machines have become part of the control plane: from then on they answer for the cluster."""
        if self.tenant is None:
            return
        known = {each.name for each in control_plane.members(self.ctx) if each.joined}
        for machine in self.seen:
            node = self.by_node.get(machine.name)
            if machine.pool != pool.name or machine.name in known or node is None:
                continue
            if machine.joined_instance != machine.instance or not control_plane.is_marked(node):
                continue
            server = self.tenant.get("Pod", control_plane.api_server_of(machine.name), SYSTEM)
            if server is not None and is_true(server, "Ready"):
                self._annotate(machine, names.MEMBER_ANNOTATION, machine.instance)
                said = f"machine {machine.name} is part of the control plane"
                self._tell(machine, NORMAL, "ControlPlaneJoined", said)
                self._look_at(self.ctx.facts.now)
            else:
                self._look_at(self.ctx.facts.now + MEMBER_RETRY)

    def _drain(self, machine: Machine, limit: timedelta, why: str) -> None:
        """Empty the node, then remove the machine; one step a pass, and an end in any case."""
        node, tenant, now = self.by_node.get(machine.name), self.tenant, self.ctx.facts.now
        since = machine.draining_since
        if since is None:
            since = now
            self._annotate(machine, names.DRAINING_ANNOTATION, _time(now))
            self._tell(machine, NORMAL, "NodeLeaving", f"machine {machine.name} is to go: {why}")
        if now - since > limit:
            said = f"pods were left on {machine.name} {limit} after it was told to go"
            self._tell(machine, WARNING, "DrainEnded", said)
            self._delete(machine)
            return
        self._look_at(since + limit)
        if tenant is None:
            return
        if node is None or not is_ready(node):
            self._delete(machine)
            return
        if not node["spec"].get("unschedulable"):
            tenant.patch("Node", machine.name, {"spec": {"unschedulable": True}})
        pods = tenant.list("Pod", fields=f"spec.nodeName={machine.name}")
        kept = drain.evict(tenant, filter(drain.leaves, pods))
        if not kept:
            self._delete(machine)
            return
        if now - since >= DRAIN_QUIET:
            more = f", and {len(kept) - 1} more" if len(kept) > 1 else ""
            self.kept[machine.name] = replace(kept[0], message=f"{kept[0].message}{more}")
        self._look_at(now + timedelta(seconds=DRAIN_RETRY))

    def _delete(self, machine: Machine) -> None:
        """Remove the machine, its user data, its token and its node."""
        kind = provider(machine.provider).kinds[0]
        with self._at(machine.site) as place:
            place.cluster.delete(kind, machine.name, place.namespace, uid=machine.uid)
            place.cluster.delete("Secret", machine.name, place.namespace)
        if self.tenant is not None:
            if machine.name in self.by_node:
                self.tenant.delete("Node", machine.name)
            if token := self.tokens.pop(machine.name, None):
                self.tenant.delete("Secret", token["metadata"]["name"], TOKEN_NAMESPACE)

    def _remove_leftovers(self) -> None:
        """Pools that are gone, nodes whose machine is gone, and what a run that was ended had half made."""
        for machine in self.seen:
            there = machine.phase not in (Phase.REMOVING, Phase.UNKNOWN)
            if there and not any(_is_of(machine, pool) for pool in self._pools()):
                with self._of(machine.site):
                    self._drain(machine, DRAIN_LIMIT, "its pool is gone")
        alive = {machine.name for machine in self.seen}
        for site in ("", *self.sites.places):
            with self._of(site), self._at(site) as place:
                for seed in self._seeds(place):
                    if seed["metadata"]["name"] not in alive:
                        place.cluster.delete("Secret", seed["metadata"]["name"], place.namespace)
        if self.tenant is not None:
            self._forget(self.tenant, alive)

    def _forget(self, tenant: Cluster, alive: Container[str]) -> None:
        """Remove tokens and Nodes of machines that are no more; of those of which nothing is known only Nodes tell."""
        unknown = self.sites.unknown
        ours = tuple(each.provider_id(self.ctx, "") for each in PROVIDERS.values())
        for name, token in self.tokens.items():
            if name not in alive and names.pool_of(name) not in unknown:
                tenant.delete("Secret", token["metadata"]["name"], TOKEN_NAMESPACE)
        for name, node in self.by_node.items():
            told = node["spec"].get("providerID", "")
            if name not in alive and told.startswith(ours) and told.endswith(f"/{name}"):
                tenant.delete("Node", name, uid=node["metadata"]["uid"])

    def _leave(self) -> None:
        """Let go the records of places that are empty, or can't be reached, once their pools are gone."""
        wanted = {record_of(pool) for pool in self.ctx.pools}
        now = self.ctx.facts.now
        for name, record in self.sites.records.items():
            place = self.sites.places.get(name)
            if name in wanted:
                continue
            if place is not None and not place.objects:
                release(self.host, record)
            elif place is not None:
                self._look_at(now + timedelta(seconds=DRAIN_RETRY))
            elif given_up(record, now):
                why = self.sites.troubles.pop(name).message
                said = f"{left_behind(record)}: {why}"
                self.news.append(News(WARNING, "LeftBehind", said, self.sites.pools[name]))
                release(self.host, record)
            elif names.DRAINING_ANNOTATION not in record["metadata"].get("annotations", {}):
                mark = {"metadata": {"annotations": {names.DRAINING_ANNOTATION: _time(now)}}}
                self.host.patch("ConfigMap", name, mark, self.ctx.nodes_namespace)

    def _seeds(self, place: Place) -> Iterable[Object]:
        """The Secrets that hold machines' user data, of a place."""
        for obj in place.objects:
            if obj["kind"] == "Secret" and names.MACHINE_LABEL in obj["metadata"].get("labels", {}):
                yield obj

    def _tell(self, machine: Machine, kind: str, reason: str, message: str) -> None:
        self.news.append(News(kind, reason, message, machine.pool))

    def _annotate(self, machine: Machine, key: str, value: str | None) -> None:
        patch = {"metadata": {"annotations": {key: value}}}
        kind = provider(machine.provider).kinds[0]
        with self._at(machine.site) as place:
            place.cluster.patch(kind, machine.name, patch, place.namespace)


class SiteError(Exception):
    """A place elsewhere failed while something was done there."""

    def __init__(self, site: str, why: Readiness) -> None:
        super().__init__(why.message)
        self.site, self.why = site, why


def _is_of(machine: Machine, pool: NodePool) -> bool:
    there = (machine.pool, machine.provider, machine.site)
    return there == (pool.name, pool.spec.provider, record_of(pool))


def _joined(machine: Machine) -> Machine:
    return replace(machine, joined_instance=machine.instance)


def new_token(ctx: PlanContext) -> str:
    """A bootstrap token: 6 and 16 characters of [a-z0-9]."""
    digits = ctx.keys.random_bytes("bootstrap-token", 11).hex()
    return f"{digits[:6]}.{digits[6:22]}"


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
