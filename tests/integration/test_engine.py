"""The engine against a real host: what it writes, what it leaves alone, how it goes on."""

import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from kubeception import names
from kubeception.engine.follow import until_gone
from kubeception.engine.install import install
from kubeception.engine.lease import Lease
from kubeception.engine.observe import find_cluster, find_pools
from kubeception.engine.reconcile import Engine, now
from kubeception.errors import ApiError, ConflictError, KubeceptionError, WaitTimeoutError
from kubeception.kube.client import Cluster, Object
from tests.integration.operators import until
from tests.integration.servers import ApiServer
from tests.integration.standins import BALANCED, report_ready

GONE_SECONDS = 60


@pytest.fixture
def name(host: Cluster) -> Iterator[str]:
    """The name of a TenantCluster that exists and has no nodes; deleted after the test."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    host.apply(tenant_cluster(name))
    yield name
    host.delete("TenantCluster", name, "default")
    with engine_of(host, name) as engine:
        until_gone(engine, GONE_SECONDS, lambda _: None)


def tenant_cluster(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TenantCluster",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"datastore": {"storage": "Ephemeral"}, **spec},
    }


def engine_of(host: Cluster, name: str) -> Engine:
    return Engine(host, "default", name)


def space(host: Cluster, name: str) -> str:
    """The control plane's namespace."""
    found = host.get("TenantCluster", name, "default")
    assert found
    return names.control_plane_namespace(found["metadata"]["uid"], name)


def step(host: Cluster, name: str) -> int:
    """One pass of a new engine; how much it wrote."""
    with engine_of(host, name) as engine:
        report = engine.step()
    assert report.failures == []
    return report.writes


def roots(host: Cluster, name: str) -> dict[str, str]:
    """The material that may never change, by Secret."""
    return {
        secret["metadata"]["name"]: str(sorted(secret["data"].items()))
        for secret in host.list("Secret", space(host, name))
        if secret.get("immutable")
    }


def test_a_second_pass_writes_nothing(host: Cluster, host_server: ApiServer, name: str) -> None:
    assert step(host, name) > 20
    step(host, name)  # what the first pass made may have changed what there is to report
    before = host_server.writes()
    assert step(host, name) == 0
    assert host_server.writes() == before


def test_what_somebody_changed_is_put_back_and_nothing_else(host: Cluster, name: str) -> None:
    step(host, name)
    step(host, name)
    namespace = space(host, name)
    host.patch("StatefulSet", "etcd", {"spec": {"replicas": 0}}, namespace)
    host.delete("Service", "etcd", namespace)
    secret = host.get("Secret", "ca-client", namespace)
    assert step(host, name) >= 2
    repaired = host.get("StatefulSet", "etcd", namespace)
    assert repaired
    assert repaired["spec"]["replicas"] == 1
    assert host.get("Service", "etcd", namespace)
    assert host.get("Secret", "ca-client", namespace) == secret


def test_what_a_component_no_longer_declares_is_pruned(host: Cluster, name: str) -> None:
    step(host, name)
    namespace = space(host, name)
    etcd = host.get("Service", "etcd", namespace)
    assert etcd
    meta = {key: etcd["metadata"][key] for key in ("labels", "annotations", "namespace")}
    host.apply(config_map({**meta, "name": "of-an-earlier-release"}))
    host.apply(
        config_map({"labels": meta["labels"], "namespace": namespace, "name": "not-applied"})
    )
    host.apply(config_map({"namespace": namespace, "name": "somebody-elses"}))
    step(host, name)
    left = {obj["metadata"]["name"] for obj in host.list("ConfigMap", namespace)}
    assert "of-an-earlier-release" not in left
    assert {"not-applied", "somebody-elses"} <= left


def config_map(meta: Object) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {}}


def test_a_namespace_of_somebody_else_is_not_touched(host: Cluster, name: str) -> None:
    namespace = space(host, name)
    host.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    with engine_of(host, name) as engine:
        report = engine.step()
    assert [type(failure) for failure in report.failures] == [ConflictError]
    assert namespace in report.failures[0].message
    assert host.list("Secret", namespace) == []
    host.delete("Namespace", namespace)


def conditions(host: Cluster, name: str) -> dict[str, Object]:
    found = host.get("TenantCluster", name, "default")
    assert found
    return {c["type"]: c for c in found["status"]["conditions"]}


def events(host: Cluster, name: str, kind: str = "TenantCluster") -> list[Object]:
    found = host.list("Event", "default", fields=f"involvedObject.name={name}")
    return [event for event in found if event["involvedObject"]["kind"] == kind]


def test_a_paused_cluster_is_left_alone(host: Cluster, name: str) -> None:
    host.apply(tenant_cluster(name, paused=True))
    step(host, name)
    assert step(host, name) == 0
    assert host.get("Namespace", space(host, name)) is None
    found = host.get("TenantCluster", name, "default")
    assert found
    assert found["status"]["phase"] == "Paused"
    assert "finalizers" not in found["metadata"]
    assert conditions(host, name)["Paused"]["status"] == "True"
    assert [event["reason"] for event in events(host, name)] == ["Paused"]


def test_a_pause_by_annotation_holds_changes_and_the_end_off(host: Cluster, name: str) -> None:
    step(host, name)
    namespace = space(host, name)
    pause = {"metadata": {"annotations": {names.PAUSED_ANNOTATION: "true"}}}
    host.patch("TenantCluster", name, pause, "default")
    host.delete("Service", "etcd", namespace)
    step(host, name)
    assert host.get("Service", "etcd", namespace) is None
    assert conditions(host, name)["DatastoreReady"]["status"] == "False"
    host.delete("TenantCluster", name, "default")
    with engine_of(host, name) as engine, pytest.raises(KubeceptionError, match="is paused"):
        until_gone(engine, GONE_SECONDS, lambda _: None)
    left = host.get("Namespace", namespace)
    assert left
    assert "deletionTimestamp" not in left["metadata"]
    host.patch(
        "TenantCluster",
        name,
        {"metadata": {"annotations": {names.PAUSED_ANNOTATION: None}}},
        "default",
    )


def test_status_says_what_is_waited_for(host: Cluster, name: str) -> None:
    step(host, name)
    found = host.get("TenantCluster", name, "default")
    assert found
    status = found["status"]
    assert status["phase"] == "Progressing"
    assert status["observedGeneration"] == found["metadata"]["generation"]
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")
    assert ready["status"] == "False"
    assert "0/1 replicas ready" in ready["message"]


def test_waiting_ends_with_what_it_waits_for(host: Cluster, name: str) -> None:
    from kubeception.engine.follow import until_ready

    with engine_of(host, name) as engine, pytest.raises(WaitTimeoutError, match="replicas ready"):
        until_ready(engine, 1.0, lambda _: None)
    assert host.list("Lease", "default") == []


def report_all_ready(host: Cluster, namespace: str) -> None:
    """Of the control plane's workloads, and that its Service has an address."""
    for kind in ("StatefulSet", "Deployment"):
        for found in host.list(kind, namespace):
            report_ready(host, found)
    host.patch("Service", "kube-apiserver", {"status": BALANCED}, namespace, subresource="status")


def test_a_silent_api_server_is_awaited_once_in_a_pass_and_its_search_asks_the_host_nothing(
    host: Cluster, host_server: ApiServer, name: str
) -> None:
    exposed = {"spec": {"exposure": {"type": "LoadBalancer"}}}
    host.patch("TenantCluster", name, exposed, "default")
    with Engine(host, "default", name, patience=1.5) as engine:
        for _ in range(4):
            report = engine.step()
            report_all_ready(host, space(host, name))
        began = time.monotonic()
        report = engine.step()
        took = time.monotonic() - began
        assert report.ok("control-plane")
        assert not report.api_answers
        assert 1.5 <= took < 4.5  # eight components would have a look
        before = host_server.audit.read_text().count(space(host, name))
        time.sleep(1.5)
        assert host_server.audit.read_text().count(space(host, name)) == before


def test_pools_are_found_where_the_host_selects_by_no_field_too(host: Cluster, name: str) -> None:
    meta = {"name": f"{name}-pool", "namespace": "default"}
    pool = {"apiVersion": names.API_VERSION, "kind": "NodePool", "metadata": meta}
    host.apply({**pool, "spec": {"clusterRef": {"name": name}, "replicas": 0}})
    cluster = find_cluster(host, "default", name)
    assert cluster
    mine = f"{names.CLUSTER_FIELD}={name}"

    def selects() -> bool:
        try:
            return len(host.list("NodePool", "default", fields=mine)) == 1
        except ApiError as error:
            return error.status != 400

    until(selects)
    assert [p.name for p in find_pools(host, cluster)] == [meta["name"]]
    definition = "nodepools.kubeception.io"
    found = host.get("CustomResourceDefinition", definition)
    assert found
    (version,) = found["spec"]["versions"]
    del version["selectableFields"]
    try:
        host.patch("CustomResourceDefinition", definition, {"spec": {"versions": [version]}})
        until(lambda: not selects())
        assert [p.name for p in find_pools(host, cluster)] == [meta["name"]]
    finally:
        install(host)
        host.delete("NodePool", meta["name"], "default")


class Killed(BaseException):
    """The end of a process, as far as its own code can tell."""


def killed_at(write: int, original: Callable[..., Any], *, answered: bool) -> Callable[..., Any]:
    """A client's way out that ends the run at the n-th write, before or after the server heard of it."""
    count = itertools.count(1)

    def opened(self: Cluster, method: str, *args: Any, **options: Any) -> Any:
        last = method != "GET" and next(count) >= write
        if last and not answered:
            raise Killed
        response = original(self, method, *args, **options)
        if last:
            response.close()
            raise Killed
        return response

    return opened


@pytest.mark.parametrize("answered", [False, True], ids=["before", "after"])
def test_a_run_killed_at_every_write_resumes_with_the_same_keys(
    host: Cluster, name: str, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    original = Cluster._open
    seen: dict[str, str] = {}
    kills, report = 0, None
    while report is None:
        with monkeypatch.context() as patched:
            write = 1 if answered else 2
            patched.setattr(Cluster, "_open", killed_at(write, original, answered=answered))
            with suppress(Killed), engine_of(host, name) as engine:
                report = engine.step()
        kills += report is None
        found = roots(host, name)
        assert {key: found[key] for key in seen} == seen
        seen = found
        assert kills < 100
    assert report.failures == []
    assert kills >= 8
    assert {"ca-client", "ca-serving", "ca-etcd", "service-account"} <= set(seen)
    step(host, name)
    assert roots(host, name) == seen
    assert step(host, name) == 0


def test_two_runs_at_once_agree_on_one_set_of_keys(
    host: Cluster, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second saw nothing of the first: it planned with keys of its own, and gives way."""
    with engine_of(host, name) as first, engine_of(host, name) as second:
        planned = second.observe(first.context().cluster)
        first.step()
        before = roots(host, name)
        monkeypatch.setattr(second, "observe", lambda *_: planned)
        report = second.step()
        assert [type(failure) for failure in report.failures] == [ConflictError]
        assert roots(host, name) == before
    step(host, name)
    assert roots(host, name) == before


def test_delete_leaves_nothing(host: Cluster) -> None:
    name = f"t-{uuid.uuid4().hex[:8]}"
    host.apply(tenant_cluster(name))
    pool = {
        "apiVersion": names.API_VERSION,
        "kind": "NodePool",
        "metadata": {"name": f"{name}-workers", "namespace": "default"},
        "spec": {"clusterRef": {"name": name}, "replicas": 0},
    }
    host.apply(pool)
    step(host, name)
    found = host.get("TenantCluster", name, "default")
    assert found
    uid = found["metadata"]["uid"]
    label = f"{names.CLUSTER_LABEL}={names.cluster_id(uid, name)}"
    assert host.list("Namespace", labels=label)
    host.delete("TenantCluster", name, "default")
    with engine_of(host, name) as engine:
        until_gone(engine, GONE_SECONDS, lambda _: None)
    assert host.get("TenantCluster", name, "default") is None
    assert host.get("NodePool", f"{name}-workers", "default") is None
    for kind in ("Namespace", "Secret", "Service", "ConfigMap", "Deployment", "StatefulSet"):
        assert host.list(kind, labels=label) == []
    assert host.list("Lease", "default") == []


def test_delete_of_a_half_made_cluster_leaves_nothing(
    host: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"t-{uuid.uuid4().hex[:8]}"
    host.apply(tenant_cluster(name))
    namespace = space(host, name)
    with monkeypatch.context() as patched:
        patched.setattr(Cluster, "_open", killed_at(9, Cluster._open, answered=True))
        with pytest.raises(Killed), engine_of(host, name) as engine:
            engine.step()
    host.delete("TenantCluster", name, "default")
    with engine_of(host, name) as engine:
        until_gone(engine, GONE_SECONDS, lambda _: None)
    assert host.get("Namespace", namespace) is None


def test_a_namespace_of_somebody_else_survives_delete(host: Cluster) -> None:
    name = f"t-{uuid.uuid4().hex[:8]}"
    host.apply(tenant_cluster(name))
    namespace = space(host, name)
    host.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    with engine_of(host, name) as engine:
        engine.step()
        host.delete("TenantCluster", name, "default")
        until_gone(engine, GONE_SECONDS, lambda _: None)
    assert host.get("Namespace", namespace)
    host.delete("Namespace", namespace)


def test_only_one_run_works_on_a_tenant(host: Cluster, name: str) -> None:
    mine = Lease.of_tenant(host, "default", name, now, "a/1/2/3")
    other = Lease.of_tenant(host, "default", name, now, "b/1/2/3")
    assert mine.hold()
    assert mine.hold()
    assert not other.hold()
    assert other.holder() == "process 2 on a"
    mine.release()
    assert other.hold()
    other.release()
    assert host.list("Lease", "default") == []


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"version": "1.36"}, "spec.version"),
        ({"networking": {"podCIDR": 7}}, "spec.networking.podCIDR"),
        ({"exposure": {"type": "Magic"}}, "spec.exposure.type"),
        ({"vresion": "v1.36.3"}, "spec.vresion"),
    ],
)
def test_the_host_refuses_a_bad_spec_by_itself(
    host: Cluster, spec: dict[str, Any], path: str
) -> None:
    with pytest.raises(ApiError, match=path.replace(".", r"\.")):
        host.apply({**tenant_cluster("bad"), "spec": spec})
    assert host.get("TenantCluster", "bad", "default") is None


def test_what_a_running_cluster_stands_on_cannot_be_changed(host: Cluster, name: str) -> None:
    with pytest.raises(ApiError, match="datastore"):
        host.apply(tenant_cluster(name, datastore={"storage": "Persistent"}))
    changed = tenant_cluster(name, networking={"serviceCIDR": "10.99.0.0/20"})
    with pytest.raises(ApiError, match="networking"):
        host.apply(changed)
