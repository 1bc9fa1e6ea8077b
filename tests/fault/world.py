"""A tenant that is created, scaled, changed and deleted, on real API servers; KubeVirt and kubelets are played here."""

import json
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from threading import Event
from typing import Any

from kubeception import names
from kubeception.engine import nodes, observe
from kubeception.engine.changes import Changes
from kubeception.engine.parallel import together
from kubeception.engine.reconcile import Engine, now
from kubeception.errors import KubeceptionError, NotFoundError
from kubeception.kube.client import Cluster, Object
from kubeception.plan.facts import Key, key_of
from tests.fault.tap import Call, Killed, Strike, Tap, tapped
from tests.integration.servers import ApiServer
from tests.integration.standins import Straight, report_ready

NAMESPACE = "default"
BARE: Object = {
    "datastore": {"storage": "Ephemeral"},
    "networking": {"cni": "none"},
    "addons": {"coreDNS": False, "kubeProxy": False, "localPath": False, "metricsServer": False},
}
"""A tenant with nothing in it that its nodes don't need."""
CHANGED: Object = {
    **BARE,
    "addons": {**BARE["addons"], "kubeProxy": True},
    "controlPlane": {"audit": {"level": "Request"}},
}
"""Something to add to the tenant, something to write anew in the host."""

PASSES = 40
"""After which an operation that hasn't come to its end never will."""
DELETE_PASSES = 600
ENDING_SECONDS = 0.2
MACHINES = ("VirtualMachine", "VirtualMachineInstance")
HOST_KINDS = (*observe.CONTROL_PLANE_KINDS, *MACHINES)
TENANT_KINDS = (*observe.TENANT_KINDS, "Node", "CertificateSigningRequest", "Lease")
WORKLOADS = ("DaemonSet", "Deployment", "StatefulSet")

State = dict[str, Any]
"""Normalised objects by `side kind namespace/name`."""

VOLATILE = (
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r"\b(\d+\.){3}\d+(/\d+)?\b"), "ADDRESS"),
    (re.compile(r"\bbootstrap-token-[a-z0-9]{6}\b"), "bootstrap-token-ID"),
    (re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b[0-9a-f]{16,64}\b|(?<=\")[0-9a-f]{8}(?=\")"), "HASH"),
    (re.compile(r"\b[3-6]\d{4}\b"), "30000"),
    (re.compile(r"[A-Za-z0-9+/]{60,}=*"), "DATA"),
)
PASSING = frozenset(
    {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"}
    | {"observedGeneration"}
)
STATUS_PASSING = frozenset({"lastOperation"})


class WrongError(AssertionError):
    """What became of a tenant isn't what should have."""


class Deaf(Changes):
    """Passes follow upon each other here: nothing needs to be heard."""

    def watch_all(self, *_: object, **__: object) -> None:
        """Nothing."""


class World:
    """One tenant, from before its creation until after its end."""

    def __init__(self, host: ApiServer, tenant: ApiServer) -> None:
        self.name = f"f-{uuid.uuid4().hex[:8]}"
        self.pool = f"{self.name}-w"
        self.host, self.tenant = host.cluster(), tenant.cluster("tenant")
        self._engine_host, self._engine_tenant = host.cluster(), tenant.cluster("tenant")
        self.uid = ""
        self.size: Object = {}
        self.ahead = timedelta()
        """Of the engine's clock: nobody waits here for what comes with time only."""
        self._kept: dict[str, str] = {}
        self.tap = Tap(
            {id(self._engine_host._api): "host", id(self._engine_tenant._api): "tenant"},
            self.normal,
        )

    def close(self) -> None:
        """Remove what is in the tenant, and close all connections."""
        self.tap.settle()
        self.wipe()
        for cluster in (self.host, self.tenant, self._engine_host, self._engine_tenant):
            cluster.close()

    # what a user does

    def create(self) -> None:
        """A tenant with one machine."""
        self._cluster(BARE)
        self._scale(1)

    def scale_up(self) -> None:
        self._scale(2)

    def roll(self) -> None:
        """Other machines than there are."""
        self.size = {"cpus": 2}
        self._scale(2)

    def change(self) -> None:
        self._cluster(CHANGED)

    def change_back(self) -> None:
        self._cluster(BARE)

    def scale_down(self) -> None:
        self._scale(1)

    def delete(self) -> None:
        self.host.delete("TenantCluster", self.name, NAMESPACE)

    def _cluster(self, spec: Object) -> None:
        meta = {"name": self.name, "namespace": NAMESPACE}
        body = {"apiVersion": names.API_VERSION, "kind": "TenantCluster", "metadata": meta}
        self.uid = self.host.apply({**body, "spec": spec})["metadata"]["uid"]

    def _scale(self, replicas: int) -> None:
        meta = {"name": self.pool, "namespace": NAMESPACE}
        spec = {"clusterRef": {"name": self.name}, "replicas": replicas, "kubevirt": self.size}
        body = {"apiVersion": names.API_VERSION, "kind": "NodePool", "metadata": meta}
        self.host.apply({**body, "spec": spec})

    # how an operation is brought to its end

    def run(self, operation: str, strike: Strike | None = None) -> list[Call]:
        """Do it, with at most one fault on the way; the calls that it took. Raises WrongError.

        `tap.struck` says whether the fault was met: what is awaited or told may take other requests each time.
        """
        getattr(self, operation)()
        self.tap.begin(strike)
        deleting = operation == "delete"
        try:
            self._follow(deleting=deleting)
        finally:
            self.tap.settle()
        if self.tap.struck:  # what came late has to be cleared away too
            self._follow(deleting=deleting)
        return self.tap.calls

    def _follow(self, *, deleting: bool) -> None:
        said = ""
        for _ in range(DELETE_PASSES if deleting else PASSES):
            with tapped(self.tap):
                done, said, due = self._pass()
            self.tap.dead = False
            if deleting:
                if done:
                    return
                Event().wait(ENDING_SECONDS)
                continue
            moved = self.tend()
            self.check()
            if done and not moved:
                return
            if not moved:
                self.ahead += timedelta(seconds=due)
        raise WrongError(f"it doesn't come to an end: {said}")

    def _pass(self) -> tuple[bool, str, float]:
        """One pass of an engine that knows nothing of earlier ones.

        Whether nothing is left to do, what is, and in how many seconds it wants to look again.
        """
        clock = lambda: now() + self.ahead  # noqa: E731  # a method would be one of the world
        engine = Engine(self._engine_host, NAMESPACE, self.name, changes=Deaf(), clock=clock)
        engine.link = Straight(self._engine_tenant)  # type: ignore[assignment]
        try:
            report = engine.step()
        except NotFoundError:
            gone = self.host.get("TenantCluster", self.name, NAMESPACE) is None
            return gone, "it is gone", 0
        except Killed:
            return False, "killed", 0
        except KubeceptionError as error:
            return False, error.message, 0
        if report.failures:
            return False, report.failures[0].message, 0
        said = f"{report.waits_for}, {report.writes} writes"
        return report.ready and report.writes == 0, said, report.soon or 0

    # what the rest of the world does

    def tend(self) -> bool:
        """What controllers, KubeVirt and kubelets would do; whether there was anything to do."""
        moved = [self._report_ready(self.host, kind, self.control_plane) for kind in WORKLOADS[1:]]
        moved += [self._report_ready(self.tenant, kind, "kube-system") for kind in WORKLOADS]
        asked = {o["metadata"]["name"] for o in self.host.list(MACHINES[0], self.machines)}
        running = {o["metadata"]["name"] for o in self.host.list(MACHINES[1], self.machines)}
        joined = {o["metadata"]["name"] for o in self.tenant.list("Node")}
        seeded = {o["metadata"]["name"] for o in self.host.list("Secret", self.machines)}
        machines = asked & (running | seeded)  # a machine whose disk isn't there doesn't start
        for machine in machines - running:
            self._boot(machine)
        for machine in running - asked:
            self.host.delete(MACHINES[1], machine, self.machines)
        tokens = self.tenant.list("Secret", "kube-system", labels=names.MACHINE_LABEL)
        invited = {o["metadata"]["labels"][names.MACHINE_LABEL] for o in tokens}
        joining = (machines & invited) - joined
        for machine in joining:
            self._join(machine)
        return any((*moved, machines - running, running - asked, joining))

    def _report_ready(self, cluster: Cluster, kind: str, namespace: str) -> bool:
        return sum(report_ready(cluster, found) for found in cluster.list(kind, namespace)) > 0

    def _boot(self, machine: str) -> None:
        meta = {"name": machine, "namespace": self.machines}
        body = {"apiVersion": "kubevirt.io/v1", "kind": MACHINES[1], "metadata": meta, "spec": {}}
        self.host.apply(body, manager="kubevirt")
        interfaces = [{"name": "default", "ipAddress": "10.244.0.9"}]
        status = {"phase": "Running", "nodeName": "host-1", "interfaces": interfaces}
        self.host.patch(
            MACHINES[1], machine, {"status": status}, self.machines, subresource="status"
        )

    def _join(self, machine: str) -> None:
        taint = {"key": nodes.UNINITIALIZED, "value": "true", "effect": "NoSchedule"}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": machine}}
        self.tenant.apply({**body, "spec": {"taints": [taint]}}, manager="kubelet")
        status = {
            "addresses": [{"type": "InternalIP", "address": "10.0.2.2"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        self.tenant.patch("Node", machine, {"status": status}, subresource="status")

    # what is looked at

    @property
    def control_plane(self) -> str:
        return names.control_plane_namespace(self.uid, self.name)

    @property
    def machines(self) -> str:
        return names.nodes_namespace(self.uid, self.name)

    def normal(self, text: str) -> str:
        """The text without what differs from run to run."""
        if self.uid:
            text = text.replace(self.control_plane, "CONTROL-PLANE").replace(
                self.machines, "MACHINES"
            )
            text = text.replace(names.cluster_id(self.uid, self.name), "CLUSTER").replace(
                self.uid, "UID"
            )
        text = re.sub(rf"\b{self.pool}-[a-z0-9]+\b", "MACHINE", text)
        text = text.replace(self.name, "NAME")
        for pattern, word in VOLATILE:
            text = pattern.sub(word, text)
        return text

    def check(self) -> None:
        """Raise WrongError when something changed that never may: keys, and what etcd's data hangs on."""
        found = {
            f"Secret {secret['metadata']['name']}": json.dumps(secret["data"], sort_keys=True)
            for secret in self.host.list("Secret", self.control_plane)
            if secret.get("immutable")
        }
        lasting = (
            ("Namespace", self.control_plane, ""),
            ("Namespace", self.machines, ""),
            ("StatefulSet", "etcd", self.control_plane),
        )
        for kind, name, namespace in lasting:
            if obj := self.host.get(kind, name, namespace):
                found[f"{kind} {self.normal(name)}"] = obj["metadata"]["uid"]
        if lost := [what for what, value in self._kept.items() if found.get(what) != value]:
            raise WrongError(f"another than before, or gone: {', '.join(lost)}")
        self._kept |= found

    def state(self) -> State:
        """All there is of the tenant, on both sides."""
        spaces = (self.control_plane, self.machines)
        calls = [_list(self.host, kind, space) for kind in HOST_KINDS for space in spaces]
        calls += [_list(self.tenant, kind, "") for kind in TENANT_KINDS]
        found = together(calls)
        label = f"{names.CLUSTER_LABEL}={names.cluster_id(self.uid, self.name)}"
        own = self.host.list("Namespace", labels=label)
        for kind in ("TenantCluster", "NodePool", "Lease"):
            listed = self.host.list(kind, NAMESPACE)
            own += [obj for obj in listed if self.name in obj["metadata"]["name"]]
        host = [obj for part in found[: len(HOST_KINDS) * 2] for obj in part] + own
        tenant = [obj for part in found[len(HOST_KINDS) * 2 :] for obj in part]
        return {**self._described("host", host), **self._described("tenant", tenant)}

    def _described(self, side: str, objects: Iterable[Object]) -> State:
        result: State = {}
        times: Counter[str] = Counter()
        for obj in sorted(objects, key=lambda o: str(o["metadata"]["creationTimestamp"])):
            where = self.normal(f"{side} {' '.join(filter(None, key_of(obj)))}")
            times[where] += 1
            result[f"{where} #{times[where]}"] = json.loads(
                self.normal(json.dumps(_plain(obj), sort_keys=True))
            )
        return result

    def wipe(self) -> None:
        """Remove from the tenant what was put into it."""
        left = observe.observe_tenant(self.tenant)
        together(
            [_remove(self.tenant, key_of(obj), obj) for obj in left if obj["kind"] != "Namespace"]
        )


def _list(cluster: Cluster, kind: str, namespace: str) -> Callable[[], list[Object]]:
    return lambda: cluster.list(kind, namespace)


def _remove(cluster: Cluster, key: Key, obj: Object) -> Callable[[], None]:
    kind, namespace, name = key

    def remove() -> None:
        with suppress(KubeceptionError):
            cluster.delete(kind, name, namespace, uid=obj["metadata"]["uid"])

    return remove


def _plain(obj: Object) -> Object:
    """The object without what no two runs have in common; of Secrets only which keys they have."""
    result: Object = _without(obj, PASSING)
    if obj["kind"] == "Secret":
        result["data"] = sorted(obj.get("data") or {})
    if "status" in result:
        result["status"] = _without(result["status"], STATUS_PASSING)
    annotations = result["metadata"].get("annotations", {})
    annotations.pop(names.APPLIED_ANNOTATION, None)
    return result


def _without(value: Any, keys: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, keys) for key, item in value.items() if key not in keys}
    if isinstance(value, list):
        return [_without(item, keys) for item in value]
    return value
