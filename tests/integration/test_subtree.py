"""Commands and clusters in clusters: a host and a tenant of it are real API servers; the way between them is given."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kubeception import names
from kubeception.cli import host as cli_host
from kubeception.cli.create import write
from kubeception.cli.host import Host
from kubeception.cli.pause import pause, resume
from kubeception.cli.progress import Progress
from kubeception.cli.spec import SpecArgs
from kubeception.engine.install import install
from kubeception.errors import BudgetError, HostUnreachableError
from kubeception.kube.client import Cluster
from kubeception.plan import budget, lineage

OUTER, INNER, SILENT = "cascade-outer", "cascade-inner", "cascade-silent"
PATHS = {OUTER: OUTER, INNER: f"{OUTER}/{INNER}", SILENT: f"{OUTER}/{SILENT}"}


def make(cluster: Cluster, name: str, nodes: int, **spec: Any) -> None:
    kind = {"apiVersion": names.API_VERSION, "kind": "TenantCluster"}
    cluster.apply({**kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec})
    status = {"status": {"nodes": nodes}}
    cluster.patch("TenantCluster", name, status, "default", subresource="status")


class Tree:
    """A cluster, one in it that has none itself, and one in it that doesn't answer."""

    def __init__(self, host: Cluster, tenant: Cluster) -> None:
        self.host, self.tenant = Host(host, "", "host"), tenant
        make(host, OUTER, 1)
        make(tenant, INNER, 0)
        make(tenant, SILENT, 1)

    def connect(self, _: Any) -> Host:
        return self.host

    def enter(self, host: Host, namespace: str, name: str, _: float) -> Host:
        if name != OUTER:
            raise HostUnreachableError(f"{name} does not answer")
        return Host(self.tenant, "", "", host, namespace, name)

    def paused(self) -> set[str]:
        """Which of them are."""
        found = [
            *self.host.cluster.list("TenantCluster", "default"),
            *self.tenant.list("TenantCluster", "default"),
        ]
        return {o["metadata"]["name"] for o in found if o["spec"].get("paused")} & PATHS.keys()


@pytest.fixture
def tree(host: Cluster, tenant: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tree]:
    install(tenant)
    made = Tree(host, tenant)
    monkeypatch.setattr(cli_host, "connect", made.connect)
    monkeypatch.setattr(cli_host, "enter", made.enter)
    yield made
    for cluster, name in ((host, OUTER), (tenant, INNER), (tenant, SILENT)):
        cluster.delete("TenantCluster", name, "default")


def run(command: Any, *words: str) -> Result:
    done = CliRunner().invoke(command, [OUTER, *words], catch_exceptions=False)
    assert done.exit_code == 0
    return done


def order(done: Result) -> list[str]:
    """Whom something was done to, one after the other."""
    lines = [line.split(" is ") for line in done.stderr.splitlines()]
    return [who for who, *what in lines if what and "paused" in what[0]]


def test_a_control_plane_in_machines_is_nodes_that_others_may_run_on(tree: Tree) -> None:
    tree.host.cluster.delete("TenantCluster", OUTER, "default")
    make(tree.host.cluster, OUTER, 0, controlPlane={"provider": "kubevirt"})
    run(pause, "--cascade")
    assert INNER in tree.paused()


def test_a_pause_is_of_one_unless_it_shall_cascade(tree: Tree) -> None:
    run(pause)
    assert tree.paused() == {OUTER}
    run(resume)
    assert tree.paused() == set()


def test_the_innermost_is_paused_first_and_resumed_last_and_who_is_silent_is_named(
    tree: Tree,
) -> None:
    done = run(pause, "--cascade")
    assert tree.paused() == {OUTER, INNER, SILENT}
    assert order(done) == [PATHS[INNER], PATHS[SILENT], OUTER]
    silent = f"{PATHS[SILENT]}: its API server does not answer: what is in it stays as it is."
    assert silent in done.stderr
    assert f"kubeception resume {OUTER} --cascade" in done.stderr
    done = run(resume, "--cascade")
    assert tree.paused() == set()
    assert order(done) == [OUTER, PATHS[SILENT], PATHS[INNER]]
    assert silent in done.stderr


def test_create_refuses_a_cluster_too_many_before_anything_is_written(tree: Tree) -> None:
    meta = {"name": lineage.NAME, "namespace": lineage.NAMESPACE}
    data = {budget.KEY: json.dumps([{"name": OUTER, "clusters": 0}])}
    tree.tenant.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
    inside, before = tree.enter(tree.host, "default", OUTER, 0), tree.tenant.writes.count
    args = SpecArgs("cascade-new", "default", provider="pod")
    try:
        with Progress() as progress, pytest.raises(BudgetError) as caught:
            write(inside, args, None, progress)
        assert tree.tenant.writes.count == before
    finally:
        tree.tenant.delete("ConfigMap", lineage.NAME, lineage.NAMESPACE)
    assert f"budget of {OUTER}: clusters 0, and 0 are in it" in caught.value.message
    assert f"ask whoever made {OUTER} to raise spec.budget" in caught.value.hint
