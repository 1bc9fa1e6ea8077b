"""The machines of a tenant and their nodes: as many as asked for, initialised, drained before they go."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from kubeception import names
from kubeception.api.v1alpha1 import NodePool
from kubeception.engine import nodes
from kubeception.engine.apply import prepare, write_one
from kubeception.engine.news import NORMAL, WARNING, News
from kubeception.engine.observe import is_ready
from kubeception.engine.parallel import together
from kubeception.engine.scale import scale
from kubeception.errors import ApiError, ConflictError, KubeceptionError
from kubeception.kube.client import Cluster
from kubeception.plan.bootstrap import TOKEN_NAMESPACE, node_bootstrap, token_secret
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object
from kubeception.providers import PROVIDERS, machines, provider
from kubeception.providers.base import Machine, Phase

TOKEN_LIFE: Final = timedelta(minutes=30)
DRAIN_LIMIT: Final = timedelta(minutes=3)
"""After which a machine goes although pods are left on it."""
DRAIN_RETRY: Final = 2.0
"""Seconds after which an eviction that a PodDisruptionBudget forbade is tried again."""
COMPONENT: Final = "machines"
DRAIN_ENDED: Final = (
    f"pods were left on it {DRAIN_LIMIT.seconds // 60} minutes after it was told to go"
)


@dataclass(frozen=True)
class MachineState:
    """A machine as a person is told of it."""

    machine: Machine
    state: str
    """One word: Starting, Booting, Joined, Ready, Draining, Removing, Replaced."""
    node: Object | None = None

    @property
    def ready(self) -> bool:
        return self.state == "Ready"


@dataclass
class Machines:
    """One pass over all machines of a tenant: what is seen, and the verbs on it."""

    host: Cluster
    tenant: Cluster | None
    ctx: PlanContext
    host_nodes: Mapping[str, Mapping[str, str]]
    """Labels of the host's nodes."""
    again: float | None = None
    """Seconds after which another look is due although nothing was heard."""
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
        self.seen = [self._judged(machine) for machine in machines(mine)]

    def reconcile(self) -> list[MachineState]:
        """Everything that can be done now; how far each machine is after that."""
        if self.tenant is not None:
            for machine in self.seen:
                self._initialise(machine)
            self._approve()
        for pool in self.ctx.pools:
            self._scale(pool)
        if due := [call for each in PROVIDERS.values() for call in each.tend(self.host, self.ctx)]:
            together(due)
            self.again = DRAIN_RETRY
        self._remove_leftovers()
        return self.states()

    def states(self) -> list[MachineState]:
        """How far each machine is."""
        return [MachineState(m, self._state(m), self.by_node.get(m.name)) for m in self.seen]

    def _judged(self, machine: Machine) -> Machine:
        """The machine, ended if it can't become a node any more."""
        if (
            self.tenant is not None
            and machine.phase in (Phase.PENDING, Phase.RUNNING)
            and machine.name not in self.by_node
            and not machine.joined_instance
            and self._expired(machine)
        ):
            return machine.ended("it did not join in time")
        return machine

    def _expired(self, machine: Machine) -> bool:
        token = self.tokens.get(machine.name)
        now = self.ctx.facts.now
        return now - machine.created > (TOKEN_LIFE if token else timedelta(minutes=1))

    def _state(self, machine: Machine) -> str:
        if machine.phase is Phase.REMOVING:
            return "Removing"
        if machine.phase is Phase.ENDED:
            return "Replaced"
        if machine.draining_since:
            return "Draining"
        node = self.by_node.get(machine.name)
        if node is None:
            return "Booting" if machine.phase is Phase.RUNNING else "Starting"
        return "Ready" if machine.joined_instance and is_ready(node) else "Joined"

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
        if patch := nodes.status_patch(node, machine):
            # addresses are a merge list in a strategic patch, which would keep the guest's own
            node = tenant.patch("Node", machine.name, patch, subresource="status") or node
        labels = self.host_nodes.get(machine.host_node, {})
        provider_id = provider(machine.provider).provider_id(self.ctx, machine.name)
        if patch := nodes.node_patch(node, machine, provider_id, labels):
            with suppress(ConflictError):  # it has changed since: seen at the next look
                node = tenant.patch("Node", machine.name, patch) or node
        self.by_node[machine.name] = node
        if machine.joined_instance != machine.instance:
            self._annotate(machine, names.INSTANCE_ANNOTATION, machine.instance)
            self.seen = [m if m.name != machine.name else _joined(m) for m in self.seen]
            self._tell(machine, NORMAL, "NodeJoined", f"node {machine.name} joined")
        if token := self.tokens.pop(machine.name, None):
            tenant.delete("Secret", token["metadata"]["name"], TOKEN_NAMESPACE)

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

    def _scale(self, pool: NodePool) -> None:
        mine = [m for m in self.seen if _is_of(m, pool)]
        plan = scale(pool.spec.replicas, mine, self._ready, self.ctx.facts.now)
        for machine in plan.discard:
            self._delete(machine)
            why = f"machine {machine.name} is beyond use: {machine.message}"
            self._tell(machine, WARNING, "MachineDiscarded", why)
        for machine in plan.drain:
            self._drain(machine)
        if (
            plan.add
            and self._permitted(pool)
            and self.tenant is not None
            and self.ctx.endpoint is not None
        ):
            for _ in range(plan.add):
                self._add(pool, self.tenant)
        if any(m.phase is Phase.ENDED for m in mine):
            self.again = 5.0

    def _permitted(self, pool: NodePool) -> bool:
        try:
            provider(pool.spec.provider).check(self.ctx, pool)
        except KubeceptionError as error:
            self.failures.append(error)
            return False
        return True

    def _ready(self, machine: Machine) -> bool:
        node = self.by_node.get(machine.name)
        return node is not None and is_ready(node)

    def _add(self, pool: NodePool, tenant: Cluster) -> None:
        """Make a machine: its token, its user data, itself. What is left of a half-made one is removed later."""
        ctx = self.ctx
        name = names.machine(pool.name, ctx.keys.random_bytes("machine", 4))
        token = new_token(ctx)
        expires = _time(ctx.facts.now + TOKEN_LIFE)
        tenant.create(token_secret(token, name, expires, {names.MACHINE_LABEL: name}))
        boot = node_bootstrap(ctx, pool, name, token)
        source = provider(pool.spec.provider)
        for obj in source.render(ctx, pool, name, boot):
            ready = prepare(obj, ctx.labels(COMPONENT))
            manager = f"{names.FIELD_MANAGER}/{COMPONENT}"
            made = write_one(self.host, manager, ready, None)
            self.seen += source.machines([made])
            self.ctx = replace(self.ctx, facts=self.ctx.facts.with_objects([made]))

    def _drain(self, machine: Machine) -> None:
        """Empty the node, then remove the machine; one step a pass."""
        node, tenant, now = self.by_node.get(machine.name), self.tenant, self.ctx.facts.now
        since = machine.draining_since
        if since is None:
            since = now
            self._annotate(machine, names.DRAINING_ANNOTATION, _time(now))
            self._tell(machine, NORMAL, "NodeLeaving", f"machine {machine.name} is to go")
        if node is None or tenant is None or now - since > DRAIN_LIMIT:
            if now - since > DRAIN_LIMIT:
                self._tell(machine, WARNING, "DrainEnded", f"{machine.name}: {DRAIN_ENDED}")
            if node is not None or tenant is not None or now - since > DRAIN_LIMIT:
                self._delete(machine)
            return
        if not node["spec"].get("unschedulable"):
            tenant.patch("Node", machine.name, {"spec": {"unschedulable": True}})
        left = tenant.list("Pod", fields=f"spec.nodeName={machine.name}")
        left = [pod for pod in left if nodes.to_evict(pod)]
        if not left or not is_ready(node):
            self._delete(machine)
            return
        for pod in left:
            if "deletionTimestamp" not in pod["metadata"]:
                _evict(tenant, pod)
        self.again = DRAIN_RETRY

    def _delete(self, machine: Machine) -> None:
        """Remove the machine, its user data, its token and its node."""
        namespace = self.ctx.nodes_namespace
        kind = provider(machine.provider).kinds[0]
        self.host.delete(kind, machine.name, namespace, uid=machine.uid)
        self.host.delete("Secret", machine.name, namespace)
        if self.tenant is not None:
            if machine.name in self.by_node:
                self.tenant.delete("Node", machine.name)
            if token := self.tokens.pop(machine.name, None):
                self.tenant.delete("Secret", token["metadata"]["name"], TOKEN_NAMESPACE)

    def _remove_leftovers(self) -> None:
        """Pools that are gone, nodes whose machine is gone, and what a run that was ended had half made."""
        for machine in [m for m in self.seen if m.phase is not Phase.REMOVING]:
            if not any(_is_of(machine, pool) for pool in self.ctx.pools):
                self._drain(machine)
        alive = {machine.name for machine in self.seen}
        for secret in self._seeds():
            if secret["metadata"]["name"] not in alive:
                self.host.delete("Secret", secret["metadata"]["name"], self.ctx.nodes_namespace)
        if self.tenant is None:
            return
        for name, token in self.tokens.items():
            if name not in alive:
                self.tenant.delete("Secret", token["metadata"]["name"], TOKEN_NAMESPACE)
        ours = tuple(each.provider_id(self.ctx, "") for each in PROVIDERS.values())
        for name, node in self.by_node.items():
            if name not in alive and node["spec"].get("providerID", "").startswith(ours):
                self.tenant.delete("Node", name, uid=node["metadata"]["uid"])

    def _seeds(self) -> Iterable[Object]:
        """The Secrets that hold machines' user data."""
        for key, obj in self.ctx.facts.objects.items():
            labels = obj["metadata"].get("labels", {})
            if key[:2] == ("Secret", self.ctx.nodes_namespace) and names.MACHINE_LABEL in labels:
                yield obj

    def _tell(self, machine: Machine, kind: str, reason: str, message: str) -> None:
        self.news.append(News(kind, reason, message, machine.pool))

    def _annotate(self, machine: Machine, key: str, value: str) -> None:
        patch = {"metadata": {"annotations": {key: value}}}
        kind = provider(machine.provider).kinds[0]
        self.host.patch(kind, machine.name, patch, self.ctx.nodes_namespace)


def _evict(tenant: Cluster, pod: Object) -> None:
    try:
        tenant.evict(pod)
    except ConflictError:
        pass  # another pod of that name by now
    except ApiError as error:
        if error.status != 429:  # a PodDisruptionBudget says: not yet
            raise


def _is_of(machine: Machine, pool: NodePool) -> bool:
    return (machine.pool, machine.provider) == (pool.name, pool.spec.provider)


def _joined(machine: Machine) -> Machine:
    return replace(machine, joined_instance=machine.instance)


def new_token(ctx: PlanContext) -> str:
    """A bootstrap token: 6 and 16 characters of [a-z0-9]."""
    digits = ctx.keys.random_bytes("bootstrap-token", 11).hex()
    return f"{digits[:6]}.{digits[6:22]}"


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
