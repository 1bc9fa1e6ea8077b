"""Whatever was rendered comes back within seconds when somebody changes or deletes it: watches alone see to that."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from kubeception import names
from kubeception.engine import observe
from kubeception.engine.follow import until_gone
from kubeception.engine.reconcile import Engine
from kubeception.errors import KubeceptionError
from kubeception.kube.client import Cluster, Object
from kubeception.plan import encryption
from kubeception.plan.facts import Key, key_of
from tests.integration.servers import ApiServer, api_server
from tests.integration.standins import Straight

REPAIR_SECONDS = 5.0
"""Within which everything must be back, on a machine that isn't busy: where a pass takes less than a second."""
REPAIR_PASSES = 5
"""How many passes that is elsewhere."""
QUIET_SECONDS = 1.5
SETTLE_SECONDS = 180.0
SERVICES = "192.168.64.0/20"
"""Of the tenant: apart from the host's, and from what is planned for others."""

Rendered = dict[Key, Object]


class Kept:
    """A tenant that an engine keeps true: a pass whenever a watch says so, and at no other time."""

    def __init__(self, host: Cluster, tenant: Cluster, name: str) -> None:
        self.host, self.tenant, self.name = host, tenant, name
        self.engine = Engine(host, "default", name)
        self.engine.link = Straight(tenant)  # type: ignore[assignment]
        self.passes, self.pass_seconds = 0, 0.0
        self.resting_since: float | None = None
        self.failures: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.engine.changes.wake()
        self._thread.join(SETTLE_SECONDS)
        self.engine.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                report = self.engine.step()
                self.failures += [failure.message for failure in report.failures]
            except KubeceptionError as error:
                self.failures.append(error.message)
            self.passes, self.pass_seconds = self.passes + 1, time.monotonic() - began
            self.resting_since = time.monotonic()
            self.engine.changes.wait(600)
            self.resting_since = None

    def settle(self) -> None:
        """Wait until nothing moves."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            since = self.resting_since
            if since is not None and time.monotonic() - since > QUIET_SECONDS:
                return
            time.sleep(0.05)
        pytest.fail("it doesn't come to rest")

    @property
    def patience(self) -> float:
        """Seconds within which everything must be back."""
        return max(REPAIR_SECONDS, REPAIR_PASSES * self.pass_seconds)

    def rendered(self) -> tuple[Rendered, Rendered]:
        """What was applied, in the host and in the tenant."""
        ctx = self.engine.context()
        inside = observe.observe_tenant(self.tenant)
        return (
            {key: obj for key, obj in ctx.facts.objects.items() if applied(obj)},
            {key_of(obj): obj for obj in inside if applied(obj)},
        )


def applied(obj: Object) -> bool:
    return names.APPLIED_ANNOTATION in obj["metadata"].get("annotations", {})


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory, etcd: str) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("drift")
    flags = ("--allow-privileged=true", f"--service-cluster-ip-range={SERVICES}")
    with api_server(folder / "api", etcd, f"/drift-{Path(folder).name}", *flags) as server:
        yield server


@pytest.fixture
def kept(host: Cluster, drifting: ApiServer) -> Iterator[Kept]:
    name = f"d-{uuid.uuid4().hex[:8]}"
    host.apply(
        {
            "apiVersion": names.API_VERSION,
            "kind": "TenantCluster",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "datastore": {"storage": "Ephemeral"},
                "networking": {"serviceCIDR": SERVICES},
            },
        }
    )
    with drifting.cluster("tenant") as tenant:
        with Kept(host, tenant, name) as kept:
            kept.settle()
            assert kept.failures == []
            yield kept
        host.delete("TenantCluster", name, "default")
        with Engine(host, "default", name) as engine:
            until_gone(engine, 60, lambda _: None)


# what somebody does to an object, and how its repair is seen: None when it can't be done to it

Repaired = Callable[[Object], bool]


def delete(cluster: Cluster, obj: Object) -> Repaired | None:
    """Not of a Namespace, whose end takes everything in it along, nor of a key that what is stored depends on."""
    kind, namespace, name = key_of(obj)
    if kind == "Namespace" or (kind == "Secret" and name.startswith(encryption.SECRET)):
        return None
    cluster.delete(kind, name, namespace, uid=obj["metadata"]["uid"])
    return lambda found: bool(found["metadata"]["uid"] != obj["metadata"]["uid"])


def unlabel(cluster: Cluster, obj: Object) -> Repaired:
    kind, namespace, name = key_of(obj)
    ours = {
        key: value
        for key, value in obj["metadata"]["labels"].items()
        if key.startswith(names.GROUP)
    }
    cluster.patch(kind, name, {"metadata": {"labels": dict.fromkeys(ours)}}, namespace)
    return lambda found: ours.items() <= found["metadata"].get("labels", {}).items()


def change(cluster: Cluster, obj: Object) -> Repaired | None:
    """Another value in a field that is ours to say."""
    kind, namespace, name = key_of(obj)
    path = changed_path(obj)
    if path is None:
        return None
    *parents, last = path
    before = at(obj, path)
    body: Any = {last: other(before)}
    for key in reversed(parents):
        body = {key: body}
    changed = cluster.patch(kind, name, body, namespace)
    assert changed is not None
    assert at(changed, path) != before, f"nothing was changed in {kind} {name}"
    if kind == "Secret":  # what can't be read any more is issued anew
        return lambda found: at(found, path) != at(changed, path)
    return lambda found: at(found, path) == before


FIELDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "APIService": (("spec", "groupPriorityMinimum"),),
    "ClusterRole": (("rules",),),
    "ConfigMap": (("data", "*"),),
    "DaemonSet": (
        ("spec", "template", "spec", "priorityClassName"),
        ("spec", "template", "spec", "terminationGracePeriodSeconds"),
    ),
    "Deployment": (("spec", "replicas"),),
    "NetworkPolicy": (("spec", "podSelector"),),
    "Role": (("rules",),),
    "ClusterRoleBinding": (("subjects",),),
    "RoleBinding": (("subjects",),),
    "Secret": (("data", "*"),),
    "Service": (("spec", "selector", "*"),),
    "StatefulSet": (("spec", "replicas"),),
    "StorageClass": (("metadata", "annotations", "*"),),
}
"""Where each kind is changed: the first of these paths that the object has; the star is any key."""


def changed_path(obj: Object) -> tuple[str, ...] | None:
    if obj.get("immutable"):
        return None
    for path in FIELDS.get(obj["kind"], ()):
        *parents, last = path
        parent = at(obj, parents)
        if last == "*" and parent:
            keys = sorted(set(parent) - {names.APPLIED_ANNOTATION})
            return (*parents, keys[0]) if keys else None
        if parent and last in parent:
            return path
    return None


def at(obj: Any, path: Any) -> Any:
    for key in path:
        obj = (obj or {}).get(key)
    return obj


def other(value: Any) -> Any:
    match value:
        case int():
            return value + 1
        case list():
            return []
        case dict():
            return {"matchLabels": {"drift": "drift"}}
    return "driftsss"  # base64 too


@pytest.mark.attack("A20")
@pytest.mark.parametrize("harm", [change, unlabel, delete])
def test_what_was_rendered_comes_back(kept: Kept, harm: Any) -> None:
    sides = kept.rendered()
    assert len(sides[0]) >= 20
    assert len(sides[1]) >= 90
    late: list[str] = []
    done = 0
    for cluster, rendered in zip((kept.host, kept.tenant), sides, strict=True):
        for batch in batches(list(rendered)):
            expected: dict[Key, Repaired] = {}
            for key in batch:
                kind, namespace, name = key
                obj = cluster.get(kind, name, namespace)
                if obj is not None and (repaired := harm(cluster, obj)) is not None:
                    expected[key] = repaired
            done += len(expected)
            late += await_repair(cluster, expected, kept.patience)
    assert not late, late
    assert done >= {change: 50, unlabel: 110, delete: 100}[harm]
    kept.settle()
    assert kept.failures == []


def batches(keys: list[Key]) -> Iterator[list[Key]]:
    """A few at a time, so that each repair is one of its own."""
    for start in range(0, len(keys), 8):
        yield keys[start : start + 8]


def await_repair(cluster: Cluster, expected: dict[Key, Repaired], patience: float) -> list[str]:
    """What isn't back in time."""
    deadline = time.monotonic() + patience
    while expected:
        for (kind, namespace, name), repaired in list(expected.items()):
            found = cluster.get(kind, name, namespace)
            if (
                found is not None
                and "deletionTimestamp" not in found["metadata"]
                and repaired(found)
            ):
                del expected[kind, namespace, name]
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return [" ".join(key) for key in expected]


@pytest.mark.attack("A09")
def test_a_tenants_own_objects_wake_nobody(kept: Kept) -> None:
    before = kept.passes
    assert before
    for number in range(20):
        meta = {"name": f"own-{number}", "namespace": "default"}
        kept.tenant.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": "b"}}
        )
    time.sleep(1.5)
    assert kept.passes == before
