"""How many workers the pods of a tenant ask for, and which nodes none of them needs: pure.

The scheduler says which pods fit nowhere. They are placed, the largest first, on machines that are on
their way, and for what is left new ones are counted: of the pool with the smallest machines that take
the pod by its requests, node selector, required node affinity and tolerations. What else may keep a pod
from a node (ports, volumes, other pods) is not looked at: where that matters, nodes come one by one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from kubeception.api.lifecycle import Autoscaling, duration
from kubeception.api.v1alpha1 import KubeVirtOptions, NodePool
from kubeception.engine.nodes import NETWORK_UNAVAILABLE, is_open
from kubeception.engine.observe import is_ready
from kubeception.engine.pods import ended, of_daemonset, stays, tolerates
from kubeception.kube.conditions import condition
from kubeception.plan.facts import Object
from kubeception.plan.quantity import number
from kubeception.providers.base import Machine, Phase
from kubeception.providers.kubevirt import CPUS, MEMORY

Amounts = dict[str, float]
"""Of resources, by name: CPUs, octets, pods …"""

SYSTEM: Final = frozenset({"kube-flannel", "kube-system", "local-path-storage"})
"""Namespaces of what is installed in every tenant: it asks for no node, and holds none."""
KEEP: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict"
"""The cluster-autoscaler's annotation of pods; `false`: the node stays."""
YOUNG: Final = timedelta(seconds=60)
"""The scheduler takes a moment to find a new node."""
UNDERUSED: Final = 0.5
"""Share of CPU and memory below which a node goes if its pods have room elsewhere."""
PODS: Final = 110.0
"""The kubelet's own limit."""
KERNEL: Final = 0.1
EVICTION: Final = float(100 << 20)
"""What a guest's memory loses to its kernel (a share) and to the kubelet's threshold, where no node can be asked."""
ARCH: Final = "kubernetes.io/arch"


@dataclass
class Place:
    """A node that is there or may be, and what is free on it."""

    labels: Mapping[str, str]
    taints: Sequence[Object]
    free: Amounts

    def takes(self, pod: Object) -> bool:
        """Whether a pod may run there and has room."""
        requests = requested(pod)
        room = all(self.free.get(key, 0.0) >= amount for key, amount in requests.items() if amount)
        return room and wants(pod, self.labels) and tolerates(pod, self.taints)

    def put(self, pod: Object) -> None:
        """The pod is there now."""
        for key, amount in requested(pod).items():
            self.free[key] = self.free.get(key, 0.0) - amount


@dataclass
class Sizes:
    """What the pools are to be."""

    replicas: dict[str, int] = field(default_factory=dict)
    """By autoscaled pool."""
    idle: frozenset[str] = frozenset()
    """Machines nobody needs now."""


def autoscale(
    pools: Sequence[NodePool],
    machines: Sequence[Machine],
    nodes: Mapping[str, Object],
    pods: Sequence[Object],
    now: datetime,
) -> Sizes:
    """The sizes of the pools that have `autoscaling`, from all pools, machines, nodes and pods of a tenant."""
    state = _State(pools, machines, nodes, pods, now)
    grown = state.grow()
    return Sizes({**grown, **state.shrink(grown)}, frozenset(state.idle))


def starved(pod: Object) -> bool:
    """Whether a pod asks for a node: the scheduler has found none for it."""
    meta, said = pod["metadata"], condition(pod, "PodScheduled")
    return (
        said.get("reason") == "Unschedulable"
        and not pod.get("spec", {}).get("nodeName")
        and not pod.get("status", {}).get("nominatedNodeName")
        and "deletionTimestamp" not in meta
        and meta.get("namespace") not in SYSTEM
        and not of_daemonset(pod)
    )


class _State:
    """A tenant at one moment."""

    def __init__(
        self,
        pools: Sequence[NodePool],
        machines: Sequence[Machine],
        nodes: Mapping[str, Object],
        pods: Sequence[Object],
        now: datetime,
    ) -> None:
        self.pools, self.nodes, self.now = pools, nodes, now
        alive = (Phase.PENDING, Phase.RUNNING)
        self.machines = [m for m in machines if m.phase in alive and m.draining_since is None]
        self.starved = sorted(filter(starved, pods), key=_size, reverse=True)
        self.on: dict[str, list[Object]] = {}
        for pod in pods:
            if _runs(pod):
                self.on.setdefault(pod.get("spec", {}).get("nodeName", ""), []).append(pod)
        self.idle: set[str] = set()

    def of(self, pool: NodePool) -> list[Machine]:
        return [m for m in self.machines if m.pool == pool.name]

    def grow(self) -> dict[str, int]:
        """The pools' sizes with as many machines more as the starved pods need."""
        sizes = {p.name: scaling.clamp(p.spec.replicas) for p, scaling in self._scaled()}
        coming = [place for pool in self.pools for place in self._coming(pool, sizes)]
        by_size = sorted(
            self._scaled(), key=lambda scaled: (_size_of(self.new(scaled[0])), scaled[0].name)
        )
        for pod in self.starved:
            place = next((place for place in coming if place.takes(pod)), None)
            for pool, scaling in by_size if place is None else ():
                if sizes[pool.name] < scaling.max and (made := self.new(pool)).takes(pod):
                    sizes[pool.name] += 1
                    coming.append(place := made)
                    break
            if place is not None:
                place.put(pod)
        return sizes

    def shrink(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """The sizes of pools that can do with fewer; none while pods are starved."""
        result: dict[str, int] = {}
        for pool, scaling in self._scaled():
            if sizes[pool.name] > pool.spec.replicas:
                continue
            empty = [m for m in self.of(pool) if self._ready(m) and not self._holding(m)]
            spare = [m for m in self.of(pool) if self._ready(m) and self._has_room_elsewhere(m)]
            self.idle |= {m.name for m in (*empty, *spare)}
            if self.starved:
                continue
            after = duration(scaling.scale_down_after)
            gone = sum(1 for m in empty if m.idle_since and self.now - m.idle_since >= after)
            gone = gone or any(m.idle_since and self.now - m.idle_since >= after for m in spare)
            if gone:
                result[pool.name] = max(scaling.min, sizes[pool.name] - gone)
        return result

    def new(self, pool: NodePool) -> Place:
        """An empty node of the pool: like one it has, else as its spec and other nodes let one expect."""
        known = [self.nodes[m.name] for m in self.of(pool) if m.name in self.nodes]
        if known:
            labels = dict(known[0]["metadata"].get("labels", {}))
            labels.pop("kubernetes.io/hostname", None)
            free = _amounts(known[0].get("status", {}).get("allocatable", {}))
        else:
            others = [node["metadata"].get("labels", {}) for node in self.nodes.values()]
            arch = next((o[ARCH] for o in others if ARCH in o), "amd64")
            labels, free = {"kubernetes.io/os": "linux", ARCH: arch}, _expected(pool)
        taints = [taint.model_dump(mode="json") for taint in pool.spec.taints]
        place = Place({**labels, **pool.spec.labels}, taints, free)
        for key, amount in self._daemons().items():
            place.free[key] = place.free.get(key, 0.0) - amount
        return place

    def _scaled(self) -> list[tuple[NodePool, Autoscaling]]:
        known = [(p, p.spec.autoscaling) for p in self.pools if not p.spec.paused]
        return [(pool, scaling) for pool, scaling in known if scaling is not None]

    def _coming(self, pool: NodePool, sizes: Mapping[str, int]) -> list[Place]:
        """Places the scheduler doesn't know yet: machines asked for, on their way, or just ready."""
        known = self.of(pool)
        missing = max(0, sizes.get(pool.name, pool.spec.replicas) - len(known))
        places = [self.new(pool) for _ in range(missing)]
        for machine in known:
            if not self._ready(machine):
                places.append(self.new(pool))
            elif self._young(machine):
                places.append(self._there(machine))
        return places

    def _there(self, machine: Machine) -> Place:
        node = self.nodes[machine.name]
        free = _amounts(node.get("status", {}).get("allocatable", {}))
        place = Place(
            node["metadata"].get("labels", {}), node.get("spec", {}).get("taints") or (), free
        )
        for pod in self.on.get(machine.name, ()):
            place.put(pod)
        return place

    def _ready(self, machine: Machine) -> bool:
        node = self.nodes.get(machine.name)
        return (
            node is not None
            and bool(machine.joined_instance)
            and is_ready(node)
            and is_open(node)
            and not node.get("spec", {}).get("unschedulable")
        )

    def _young(self, machine: Machine) -> bool:
        node = self.nodes[machine.name]
        turned = (condition(node, name) for name in ("Ready", NETWORK_UNAVAILABLE))
        moments = [
            str(found["lastTransitionTime"]) for found in turned if found.get("lastTransitionTime")
        ]
        return any(self.now - datetime.fromisoformat(moment) < YOUNG for moment in moments)

    def _holding(self, machine: Machine) -> list[Object]:
        """The pods for which a node stays."""
        return [
            pod
            for pod in self.on.get(machine.name, ())
            if pod["metadata"].get("namespace") not in SYSTEM and not stays(pod)
        ]

    def _has_room_elsewhere(self, machine: Machine) -> bool:
        """Whether a node is little used, and others have room for all of its pods."""
        holding, node = self._holding(machine), self.nodes[machine.name]
        if not holding or any(_must_stay(pod) for pod in holding):
            return False
        whole = _amounts(node.get("status", {}).get("allocatable", {}))
        used: Amounts = {}
        for pod in holding:
            for key, amount in requested(pod).items():
                used[key] = used.get(key, 0.0) + amount
        if any(used.get(key, 0.0) > whole.get(key, 0.0) * UNDERUSED for key in ("cpu", "memory")):
            return False
        others = [m for m in self.machines if m.name != machine.name and m.name not in self.idle]
        places = [self._there(m) for m in others if self._ready(m)]
        for pod in sorted(holding, key=_size, reverse=True):
            place = next((place for place in places if place.takes(pod)), None)
            if place is None:
                return False
            place.put(pod)
        return True

    def _daemons(self) -> Amounts:
        """What DaemonSets take of a node: the most they take of any."""
        most: Amounts = {}
        for pods in self.on.values():
            here: Amounts = {}
            for pod in filter(of_daemonset, pods):
                for key, amount in requested(pod).items():
                    here[key] = here.get(key, 0.0) + amount
            most = {key: max(most.get(key, 0.0), here.get(key, 0.0)) for key in {*most, *here}}
        return most


def requested(pod: Object) -> Amounts:
    """What a pod asks for, itself counted as one: KEP-753 says how init containers and sidecars count."""
    spec = pod.get("spec", {})
    steady = _sum(spec.get("containers", ()))
    peak: Amounts = {}
    for container in spec.get("initContainers", ()):
        asks = _requests(container)
        if container.get("restartPolicy") == "Always":
            steady = _plus(steady, asks)
        else:
            sidecars = _sum(c for c in spec["initContainers"] if c.get("restartPolicy") == "Always")
            peak = {
                k: max(peak.get(k, 0.0), v) for k, v in {**peak, **_plus(asks, sidecars)}.items()
            }
    most = {key: max(steady.get(key, 0.0), peak.get(key, 0.0)) for key in {*steady, *peak}}
    most |= _requests(spec)
    return {**_plus(most, _amounts(spec.get("overhead") or {})), "pods": 1.0}


def _requests(part: Mapping[str, Any]) -> Amounts:
    return _amounts((part.get("resources") or {}).get("requests") or {})


def _sum(containers: Iterable[Mapping[str, Any]]) -> Amounts:
    total: Amounts = {}
    for container in containers:
        total = _plus(total, _requests(container))
    return total


def _plus(one: Amounts, other: Amounts) -> Amounts:
    return {key: one.get(key, 0.0) + other.get(key, 0.0) for key in {*one, *other}}


def _amounts(quantities: Mapping[str, Any]) -> Amounts:
    return {key: number(str(value)) for key, value in quantities.items()}


def _expected(pool: NodePool) -> Amounts:
    """What a node of the pool will probably have to give."""
    options = pool.spec.kubevirt or KubeVirtOptions()
    if pool.spec.provider != "kubevirt" or options.instancetype:
        return {"cpu": 1e6, "memory": 1e18, "pods": PODS}
    memory = number(options.memory or MEMORY) * (1 - KERNEL) - EVICTION
    return {"cpu": float(options.cpus or CPUS), "memory": memory, "pods": PODS}


def _size(pod: Object) -> tuple[float, float, str]:
    asks, meta = requested(pod), pod["metadata"]
    name = f"{meta.get('namespace')}/{meta['name']}"
    return (asks.get("memory", 0.0), asks.get("cpu", 0.0), name)


def _size_of(place: Place) -> tuple[float, float]:
    return (place.free.get("memory", 0.0), place.free.get("cpu", 0.0))


def _runs(pod: Object) -> bool:
    return bool(pod.get("spec", {}).get("nodeName")) and not ended(pod)


def _must_stay(pod: Object) -> bool:
    """Whether nobody would make it anew, or its owner says so."""
    meta = pod["metadata"]
    return not meta.get("ownerReferences") or meta.get("annotations", {}).get(KEEP) == "false"


def wants(pod: Object, labels: Mapping[str, str]) -> bool:
    """Whether a node with these labels is one that a pod's selector and required affinity allow."""
    spec = pod.get("spec", {})
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(_term(term, labels) for term in required.get("nodeSelectorTerms") or ())


def _term(term: Object, labels: Mapping[str, str]) -> bool:
    expressions = term.get("matchExpressions") or ()
    if term.get("matchFields") or not expressions:
        return False  # of one node by its name, or of none
    return all(_matches(expression, labels) for expression in expressions)


def _matches(expression: Object, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    values: Sequence[str] = expression.get("values") or []
    operator = expression["operator"]
    if operator in ("In", "NotIn"):
        return (value in values) == bool(operator == "In")
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) == bool(operator == "Exists")
    if value is None or not value.lstrip("-").isdigit():
        return False
    return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
