"""The CustomResourceDefinitions, as a real API server understands them: each rule from both sides."""

from collections.abc import Iterator
from typing import Any

import pytest

from kubeception.errors import ApiError
from kubeception.kube.client import Cluster
from tests.plans import pool, tenant

NAMESPACE = "crd-rules"
Spec = dict[str, Any]


@pytest.fixture(scope="module")
def namespace(host_server: Any) -> Iterator[str]:
    with host_server.cluster() as host:
        host.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        yield NAMESPACE


def cluster(name: str, spec: Spec) -> Spec:
    return {**tenant(spec).manifest(), "metadata": {"name": name, "namespace": NAMESPACE}}


def workers(name: str, cluster_name: str, replicas: int = 1) -> Spec:
    manifest = pool(replicas).manifest()
    manifest["spec"]["clusterRef"] = {"name": cluster_name}
    return {**manifest, "metadata": {"name": name, "namespace": NAMESPACE}}


@pytest.mark.usefixtures("namespace")
def test_defaults_are_filled_in(host: Cluster) -> None:
    spec = host.apply(cluster("defaults", {}))["spec"]
    assert spec["networking"] == {"cni": "flannel", "dnsDomain": "cluster.local"}
    assert spec["datastore"] == {"size": "1Gi", "storage": "Auto"}
    assert spec["exposure"] == {"extraSANs": [], "type": "NodePort"}
    assert spec["addons"]["coreDNS"] is True


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({"networking": {"cni": "none"}}, {"networking": {"cni": "flannel"}}, "networking"),
        ({}, {"networking": {"podCIDR": "10.9.0.0/16"}}, "networking"),
        ({"datastore": {"size": "1Gi"}}, {"datastore": {"size": "2Gi"}}, "the datastore"),
        ({}, {"datastore": {"storage": "Ephemeral"}}, "the datastore"),
    ],
)
def test_what_a_running_cluster_hangs_on_cannot_be_changed(
    host: Cluster, before: Spec, after: Spec, message: str
) -> None:
    name = "immutable"
    host.delete("TenantCluster", name, NAMESPACE)
    host.apply(cluster(name, before))
    with pytest.raises(ApiError, match=f"{message} of a cluster that runs can't be changed"):
        host.apply(cluster(name, after))


@pytest.mark.usefixtures("namespace")
def test_the_rest_can_be_changed(host: Cluster) -> None:
    host.apply(cluster("mutable", {"networking": {"cni": "none"}}))
    later = {"networking": {"cni": "none"}, "exposure": {"type": "ClusterIP"}, "paused": True}
    assert host.apply(cluster("mutable", later))["spec"]["paused"] is True


@pytest.mark.usefixtures("namespace")
def test_a_pool_stays_with_its_cluster_and_can_be_scaled(host: Cluster) -> None:
    host.apply(workers("pool", "one"))
    with pytest.raises(ApiError, match="can't move to another cluster"):
        host.apply(workers("pool", "two"))
    scale = {"spec": {"replicas": 5}}
    host.patch("NodePool", "pool", scale, NAMESPACE, subresource="scale")
    found = host.get("NodePool", "pool", NAMESPACE)
    assert found is not None
    assert found["spec"]["replicas"] == 5


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("name", ["a" * 40, "x", "a-1"])
def test_names_that_are_taken(host: Cluster, name: str) -> None:
    host.apply(cluster(name, {}), dry_run=True)


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("name", ["a" * 41, "a.b"])
def test_names_that_are_refused(host: Cluster, name: str) -> None:
    with pytest.raises(ApiError, match="the name"):
        host.apply(cluster(name, {}), dry_run=True)


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize(
    "spec",
    [
        {"version": "latest"},
        {"networking": {"cni": "calico"}},
        {"datastore": {"size": "big"}},
        {"exposure": {"extraSANs": ["not ok"]}},
        {"exposure": "NodePort"},
    ],
)
def test_bad_specs_are_refused_by_the_server_too(host: Cluster, spec: Spec) -> None:
    bad = {**cluster("bad", {}), "spec": spec}
    with pytest.raises(ApiError, match=r"spec\."):
        host.apply(bad, dry_run=True)
