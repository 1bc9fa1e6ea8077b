"""A tenant fills its etcd, a real one with the flags it is rendered with and a small quota; and how it comes back."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, Final, Self
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from kubeception import names
from kubeception.engine import datastore
from kubeception.engine.diagnose import Level, tenant as diagnosed
from kubeception.engine.reconcile import Engine, now
from kubeception.engine.report import Report
from kubeception.errors import ApiError
from kubeception.kube.client import Cluster
from kubeception.plan.edit import container
from tests.integration.operators import until
from tests.integration.rendered import Rendered
from tests.integration.servers import api_server, binary, free_port, process
from tests.integration.standins import Straight

pytestmark = pytest.mark.timeout(600)

QUOTA: Final = 24 << 20
LARGE: Final = 400_000
"""Octets of an object."""
ENOUGH: Final = 200
"""Writes of such objects that no quota of this size survives."""
TAKEN: Final = ("--etcd-cafile", "--etcd-certfile", "--etcd-keyfile", "--service-cluster-ip-range")
"""Flags of kube-apiserver that are those it is rendered with."""
TURNS: Final = 8
NO_SPACE: Final = "database space exceeded"
OWN: Final = (
    "--advertise-client-urls",
    "--listen-client-urls",
    "--listen-metrics-urls",
    "--listen-peer-urls",
    "--initial-advertise-peer-urls",
    "--initial-cluster",
    "--quota-backend-bytes",
)
"""Flags of etcd that are others on this machine."""


class World:
    """A TenantCluster, its etcd and its API server; no kubelet, but for what this does in its place."""

    def __init__(self, host: Cluster, folder: Path, stack: ExitStack) -> None:
        self.host, self.name = host, f"t-{uuid.uuid4().hex[:8]}"
        self.tenant: Cluster | None = None
        self.random = Random(0)
        self.later = timedelta(minutes=1)
        self.opened = 0
        """Ways to etcd."""
        made = host.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": "TenantCluster",
                "metadata": {"name": self.name, "namespace": "default"},
                "spec": {"datastore": {"storage": "Ephemeral"}},
            }
        )
        self.namespace = names.control_plane_namespace(made["metadata"]["uid"], self.name)
        self.step()
        self.client, self.metrics = free_port(), free_port()
        kinds = ("StatefulSet", "Secret", "Deployment", "ConfigMap")
        objects = [obj for kind in kinds for obj in host.list(kind, self.namespace)]
        rendered = Rendered(folder / "volumes", objects)
        (folder / "etcd").mkdir()
        stack.enter_context(process(folder / "etcd", binary("etcd"), *self._flags(rendered)))
        taken = [f for f in rendered.flags("kube-apiserver") if f.startswith(TAKEN)]
        flags = [*taken, "--allow-privileged=true"]
        etcd = f"https://127.0.0.1:{self.client}"
        server = stack.enter_context(api_server(folder / "api", etcd, "/registry", *flags))
        self.tenant = stack.enter_context(server.cluster("tenant"))
        self.since = now()
        self.probe()
        self.tenant.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "stuff"}})

    def _flags(self, rendered: Rendered) -> list[str]:
        client, peer = (f"https://127.0.0.1:{p}" for p in (self.client, free_port()))
        return [
            *rendered.flags("etcd", without=OWN),
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-metrics-urls=http://127.0.0.1:{self.metrics}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=etcd-0={peer}",
            f"--quota-backend-bytes={QUOTA}",
            "--unsafe-no-fsync",
        ]

    def forward(self) -> type:
        """What stands for the way through the API server of the host, which takes a kubelet."""
        world = self

        class Way:
            def __init__(self, _: Cluster, namespace: str, pod: str, port: int, __: Any) -> None:
                assert (namespace, pod, port) == (world.namespace, "etcd-0", 2379)
                self.address = ("127.0.0.1", world.client)
                world.opened += 1

            def __enter__(self) -> Self:
                return self

            def __exit__(self, *_: object) -> None: ...

        return Way

    def engine(self) -> Engine:
        made = Engine(self.host, "default", self.name, clock=lambda: now() + self.later)
        if self.tenant:
            made.link = Straight(self.tenant)  # type: ignore[assignment]
        return made

    def step(self) -> Report:
        """A pass of an engine that knows nothing of those before it."""
        with self.engine() as engine:
            return engine.step()

    def probe(self) -> bool:
        """What a kubelet and the StatefulSet's controller say of etcd, by its own readiness probe."""
        found = self.host.get("StatefulSet", "etcd", self.namespace)
        assert found
        path = container(found, "etcd")["readinessProbe"]["httpGet"]["path"]
        try:
            with urlopen(f"http://127.0.0.1:{self.metrics}{path}", timeout=10) as answer:
                ready = bool(answer.status == 200)
        except HTTPError:
            ready = False
        template = found["spec"]["template"]
        meta = {"name": "etcd-0", "namespace": self.namespace}
        meta["labels"] = template["metadata"]["labels"]
        spec = {**template["spec"], "priorityClassName": names.PRIORITY_CLASS}
        self.host.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
        running = {"startedAt": self.since.strftime("%Y-%m-%dT%H:%M:%SZ")}
        status = {"name": "etcd", "image": "i", "imageID": "", "restartCount": 0, "started": True}
        status |= {"ready": ready, "state": {"running": running}}
        pod = {"status": {"phase": "Running", "containerStatuses": [status]}}
        self.host.patch("Pod", "etcd-0", pod, self.namespace, subresource="status")
        counts = {"replicas": 1, "readyReplicas": int(ready), "updatedReplicas": 1}
        counts["observedGeneration"] = found["metadata"]["generation"]
        self.host.patch(
            "StatefulSet", "etcd", {"status": counts}, self.namespace, subresource="status"
        )
        return bool(ready)

    def write(self, name: str) -> None:
        assert self.tenant
        self.tenant.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": "stuff"},
                "data": {"value": self.random.randbytes(LARGE // 2).hex()},
            }
        )

    def fill(self, name: str) -> int:
        """Write until there is no room; how often that went well. `name` may have a place for a number."""
        for number in range(ENOUGH):
            try:
                self.write(name.format(number))
            except ApiError as error:
                if NO_SPACE not in error.message:
                    raise
                return number
        pytest.fail("it takes all there is")

    def pack(self) -> None:
        """Write, and have room made, until there is none to be won."""
        for turn in range(TURNS):
            self.fill(f"large-{turn}-{{}}")
            assert not self.probe()
            self.step()
            if self.condition()[1] == "DatastoreFull":
                return
            assert self.condition()[1] == "InProgress"
        pytest.fail("there is always room to be won")

    def mended(self) -> bool:
        """Whether another pass finds room."""
        self.step()
        return self.condition()[1] == "InProgress"

    def condition(self, name: str = "DatastoreReady") -> tuple[str, str, str]:
        found = self.host.get("TenantCluster", self.name, "default")
        assert found
        (made,) = (c for c in found["status"]["conditions"] if c["type"] == name)
        return made["status"], made["reason"], made.get("message", "")

    def events(self) -> list[str]:
        found = self.host.list("Event", "default", fields=f"involvedObject.name={self.name}")
        return [event["reason"] for event in found]

    def metric(self, name: str) -> int:
        """Octets that etcd tells of itself."""
        with urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        (value,) = (line.split()[1] for line in lines if line.startswith(f"{name} "))
        return int(float(value))

    @property
    def size(self) -> int:
        return self.metric("etcd_mvcc_db_total_size_in_bytes")

    @property
    def defragmentations(self) -> int:
        return self.metric("etcd_disk_backend_defrag_duration_seconds_count")


@pytest.fixture
def world(host: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with ExitStack() as stack:
        made = World(host, tmp_path, stack)
        monkeypatch.setattr(datastore, "PortForward", made.forward())
        yield made
        host.patch("TenantCluster", made.name, {"metadata": {"finalizers": []}}, "default")
        host.delete("TenantCluster", made.name, "default")
        host.delete("Pod", "etcd-0", made.namespace, grace=0)
        for space in (made.namespace, made.namespace.replace("kc-", names.NODES_PREFIX)):
            host.delete("Namespace", space)


@pytest.mark.attack("A08")
def test_a_full_etcd_is_told_and_mended_once_objects_were_deleted(world: World) -> None:
    world.step()
    assert world.condition()[0] == "True"
    assert world.opened == 0, "a datastore that is well is asked nothing"
    world.pack()
    tenant = world.tenant
    assert tenant
    written = len(tenant.list("ConfigMap", "stuff"))

    # The tenant reads, and its API server stays ready: nothing restarts it.
    assert tenant.raw("/readyz") == "ok"
    with pytest.raises(ApiError, match=NO_SPACE):
        tenant.patch("Namespace", "stuff", {"metadata": {"labels": {"a": "b"}}})

    report = world.step()
    status, reason, message = world.condition()
    assert (status, reason) == ("False", "DatastoreFull")
    assert "of 24 MiB are in use" in message
    assert world.condition("Ready")[:2] == ("False", "DatastoreFull")
    assert report.due == datastore.LOOK_SECONDS, "nobody hears of what is deleted in the tenant"
    assert world.events().count("DatastoreFull") == 1
    with world.engine() as engine:
        problems = [f for f in diagnosed(engine) if f.level is Level.PROBLEM]
    assert any("Delete objects in the tenant" in finding.fix for finding in problems)

    # There is nothing to win: it is looked at, and etcd isn't interrupted for it.
    before = world.defragmentations
    for _ in range(3):
        assert world.step().writes == 0
    assert world.defragmentations == before
    assert not world.probe()

    size = world.size
    for found in tenant.list("ConfigMap", "stuff")[: written // 2]:
        assert tenant.delete("ConfigMap", found["metadata"]["name"], "stuff")
    until(world.mended, pause=1)  # etcd may still count pages that are free
    assert "DatastoreMended" in world.events()
    assert world.size < size * 3 // 4
    assert world.defragmentations == before + 1
    world.write("again")
    assert world.probe()
    world.step()
    assert world.condition()[0] == "True"
    assert world.step().writes == 0


@pytest.mark.attack("A08")
def test_history_alone_costs_nobody_anything(world: World) -> None:
    """One object, written again and again: the first pass that hears of it has room."""
    assert world.fill("one") > 1
    assert not world.probe()
    world.step()
    assert world.condition()[1] == "InProgress"
    assert world.probe()
    world.write("one")


@pytest.mark.attack("A08", control=True)
def test_without_a_pass_a_full_etcd_stays_full(world: World) -> None:
    world.fill("large-{}")
    assert world.tenant
    for found in world.tenant.list("ConfigMap", "stuff"):
        world.tenant.delete("ConfigMap", found["metadata"]["name"], "stuff")
    with pytest.raises(ApiError, match=NO_SPACE):
        world.write("again")
