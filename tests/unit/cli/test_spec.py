from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeception import names
from kubeception.api.v1alpha1 import DEFAULT_VERSION, KubeVirtOptions, PodOptions
from kubeception.cli.spec import SpecArgs, load, read
from kubeception.errors import SpecError, UsageError

FILE = """
apiVersion: kubeception.io/v1alpha1
kind: TenantCluster
metadata: {name: demo}
spec: {version: v1.35.4, datastore: {storage: Ephemeral}}
---
apiVersion: kubeception.io/v1alpha1
kind: NodePool
metadata: {name: small}
spec: {clusterRef: {name: demo}, replicas: 3}
"""


def args(name: str | None = "demo", **options: Any) -> SpecArgs:
    return SpecArgs(name, options.pop("namespace", "default"), **options)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "spec.yaml"
    path.write_text(FILE)
    return str(path)


def test_a_name_is_enough() -> None:
    wanted = load(args())
    assert wanted.cluster.spec.version == DEFAULT_VERSION
    assert [(p.name, p.spec.replicas) for p in wanted.pools] == [("demo-workers", 1)]
    assert wanted.cluster.manifest()["spec"] == {"version": DEFAULT_VERSION}


def test_options_say_what_the_cluster_shall_be() -> None:
    wanted = load(
        args(
            workers=2,
            version="1.35.4",
            cpus=2,
            memory="4Gi",
            exposure="LoadBalancer",
            sets=("networking.podCIDR=10.128.0.0/16", "spec.addons.metricsServer=false"),
        )
    )
    spec = wanted.cluster.spec
    assert spec.version == "v1.35.4"
    assert spec.exposure.type == "LoadBalancer"
    assert spec.networking.pod_cidr == "10.128.0.0/16"
    assert spec.addons.metrics_server is False
    (pool,) = wanted.pools
    assert pool.spec.replicas == 2
    assert pool.spec.kubevirt == KubeVirtOptions(cpus=2, memory="4Gi")


def test_a_control_plane_may_be_machines() -> None:
    wanted = load(args(control_plane="vm"))
    assert wanted.cluster.manifest()["spec"]["controlPlane"] == {"provider": "kubevirt"}
    assert not load(args(control_plane="pod")).cluster.spec.control_plane.in_machines


def test_a_pool_with_the_name_of_the_control_planes_machines_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(FILE.replace("name: small", "name: demo-control-plane"))
    assert len(load(args(file=str(path))).pools) == 1
    path.write_text(path.read_text().replace(", datastore: {storage: Ephemeral}", ""))
    with pytest.raises(SpecError) as caught:
        load(args(file=str(path), control_plane="vm"))
    assert "the name is that of the control plane's machines" in caught.value.problems[0]


def test_options_of_machines_are_those_of_the_provider() -> None:
    (pool,) = load(args(provider="pod", cpus=2)).pools
    assert (pool.spec.provider, pool.spec.pod) == ("pod", PodOptions(cpus=2))


def test_a_file_says_all_of_it(file: str) -> None:
    wanted = load(args(file=file))
    assert wanted.cluster.spec.version == "v1.35.4"
    assert [(p.name, p.namespace, p.spec.replicas) for p in wanted.pools] == [
        ("small", "default", 3)
    ]


def test_an_option_beats_the_file(file: str) -> None:
    wanted = load(args(file=file, version="v1.36.3", workers=1))
    assert wanted.cluster.spec.version == "v1.36.3"
    assert [(p.name, p.spec.replicas) for p in wanted.pools] == [("small", 1)]


def test_what_exists_is_kept_where_nothing_else_is_said() -> None:
    meta = {"name": "demo", "namespace": "default", "uid": "u"}
    cluster = {
        "apiVersion": names.API_VERSION,
        "kind": "TenantCluster",
        "metadata": meta,
        "spec": {"version": "v1.35.4", "datastore": {"size": "2Gi"}},
        "status": {"phase": "Ready"},
    }
    pool = {
        "apiVersion": names.API_VERSION,
        "kind": "NodePool",
        "metadata": {**meta, "name": "demo-workers"},
        "spec": {"clusterRef": {"name": "demo"}, "replicas": 5},
    }
    wanted = load(args(cpus=2), cluster, [pool])
    assert wanted.cluster.spec.version == "v1.35.4"
    assert wanted.cluster.spec.datastore.size == "2Gi"
    assert [(p.spec.replicas, p.spec.kubevirt) for p in wanted.pools] == [
        (5, KubeVirtOptions(cpus=2))
    ]
    assert load(args(), cluster, []).pools == ()


def test_every_problem_of_every_document_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        FILE.replace("storage: Ephemeral", "storage: Tape, colour: blue")
        .replace("replicas: 3", "replicas: -1")
        .replace("clusterRef: {name: demo}", "clusterRef: {name: other}")
        + "---\nkind: Pod\n"
    )
    with pytest.raises(SpecError) as caught:
        load(args(file=str(path), sets=("networking.podCIDR=10.0.0.1/16",)))
    problems = "\n".join(caught.value.problems)
    for expected in (
        "spec.datastore.storage",
        "spec.datastore.colour: unknown key",
        "spec.networking.podCIDR",
        "NodePool small: spec.replicas",
        "'Pod' is not TenantCluster or NodePool",
    ):
        assert expected in problems


def test_a_pool_of_another_cluster_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(FILE.replace("clusterRef: {name: demo}", "clusterRef: {name: other}"))
    with pytest.raises(SpecError, match="is other, not demo"):
        load(args(file=str(path)))


def test_a_version_nobody_makes_is_a_problem() -> None:
    with pytest.raises(SpecError, match=r"v1\.2\.3 is not supported"):
        load(args(version="v1.2.3"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sets": ("networking",)}, "is not path=value"),
        ({"sets": ("a..b=1",)}, "is not path=value"),
        ({"file": "/nowhere/spec.yaml"}, "can't be read"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(args(**options))


def test_a_path_through_a_value_is_a_problem() -> None:
    with pytest.raises(SpecError, match=r"spec\.version\.major: leads through"):
        load(args(sets=("version.major=1",)))


def test_a_file_of_another_cluster_is_refused(file: str) -> None:
    with pytest.raises(UsageError, match="is of 'demo', not of 'other'"):
        load(args("other", file=file))


def test_one_command_makes_one_cluster(tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(FILE + "---\n" + FILE)
    with pytest.raises(UsageError, match="2 TenantClusters"):
        load(args(file=str(path)))


@pytest.mark.parametrize("text", ["- a", "7", "metadata: 7", "a: [", "\x00"])
def test_a_file_that_is_no_object(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(UsageError):
        load(args(file=str(path)))


@pytest.mark.parametrize("name", ["a", "x" * 32, "x" * 33, "x" * 40])
def test_the_pool_of_any_name_fits(name: str) -> None:
    (pool,) = load(args(name)).pools
    assert len(pool.name) <= names.CLUSTER_NAME_LIMIT


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a.b", "x" * 41, "ü", "a b"])
def test_a_name_that_cannot_be_used_is_a_problem(name: str) -> None:
    with pytest.raises(SpecError, match=r"metadata\.name"):
        load(args(name))


def test_a_list_is_its_items(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    items = [{"kind": "TenantCluster", "metadata": {"name": "acme"}}, {"kind": "NodePool"}]
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items}))
    assert list(read(str(path))) == items
