import pytest

from kubeception.api.v1alpha1 import parse_cluster, parse_pool
from kubeception.errors import SpecError
from tests.plans import pool, tenant


def problems(**document: object) -> tuple[str, ...]:
    with pytest.raises(SpecError) as caught:
        parse_cluster({"metadata": {"name": "demo"}, **document})
    return caught.value.problems


def test_every_problem_is_told_at_once_with_its_path() -> None:
    spec = {
        "version": "latest",
        "networking": {"podCIDR": "10.0.0.1/16", "cni": "other"},
        "exposure": {"extraSANs": ["ok.example", "not ok"]},
        "controlPlane": {"size": 3},
    }
    paths = [problem.partition(": ")[0] for problem in problems(spec=spec)]
    assert paths == [
        "spec.version",
        "spec.controlPlane.size",
        "spec.networking.podCIDR",
        "spec.networking.cni",
        "spec.exposure.extraSANs[1]",
    ]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"x": 1}, "spec.x: unknown key"),
        ({"networking": {"podCIDR": "fd00::/64"}}, "is not an IPv4 range such as"),
        ({"networking": {"serviceCIDR": "10.0.0.0/25"}}, "has a prefix of /25"),
        ({"networking": {"podCIDR": "0.0.0.0/0"}}, "has a prefix of /0"),
        (
            {"networking": {"podCIDR": "10.0.0.0/8", "serviceCIDR": "10.9.0.0/16"}},
            "podCIDR 10.0.0.0/8 overlaps serviceCIDR 10.9.0.0/16",
        ),
        (
            {"controlPlane": {"apiServer": {"extraArgs": {"etcd-servers": "x"}}}},
            "etcd-servers: may not be set here; allowed are",
        ),
        ({"controlPlane": {"replicas": 3}}, "replicas: is for provider kubevirt"),
        ({"controlPlane": {"kubevirt": {"cpus": 4}}}, "options of another one mean nothing"),
        ({"controlPlane": {"provider": "kubevirt", "replicas": 2}}, "replicas: 1 or 3"),
        ({"controlPlane": {"provider": "ssh"}}, "spec.controlPlane.provider"),
        ({"datastore": {"size": "0"}}, "spec.datastore.size"),
        ({"datastore": {"size": 1}}, "spec.datastore.size"),
        ({"budget": {"clusters": 2, "depth": 0}}, "spec.budget: clusters: 2, and with depth 0"),
        ({"budget": {"cpu": "0"}}, "spec.budget.cpu: "),
        ({"budget": {"memory": "much"}}, "spec.budget.memory: "),
        ({"budget": {"loadBalancers": -1}}, "spec.budget.loadBalancers: "),
        ({"budget": {"pods": 3}}, "spec.budget.pods: unknown key"),
    ],
)
def test_what_is_wrong_is_said(spec: dict[str, object], problem: str) -> None:
    (found,) = problems(spec=spec)
    assert problem in found


def test_all_that_a_control_plane_in_machines_cannot_give_is_said_at_once() -> None:
    machines = {"controlPlane": {"provider": "kubevirt", "replicas": 3}}
    assert tenant(machines).spec.control_plane.in_machines
    more = {
        "datastore": {"size": "2Gi"},
        "deletionPolicy": "Retain",
        "networking": {"ipv6": {}},
        "storage": {"classes": [{"name": "fast", "hostStorageClass": "nvme"}]},
        "encryption": {"rotation": "2026-01"},
    }
    (found,) = problems(spec={**machines, **more})
    fields = ("datastore", "deletionPolicy", "networking.ipv6", "storage.classes")
    for field in (*fields, "encryption.rotation"):
        assert field in found
    assert tenant(more).spec.datastore.size == "2Gi"


@pytest.mark.parametrize(("provider", "block"), [("pod", "kubevirt"), ("kubevirt", "pod")])
def test_options_of_another_provider_than_the_pools_are_refused(provider: str, block: str) -> None:
    assert pool(1, provider=provider, **{provider: {}})
    with pytest.raises(SpecError) as caught:
        pool(1, provider=provider, **{block: {}})
    (problem,) = caught.value.problems
    assert problem.startswith(f"spec.{block}: the provider is {provider}")


def test_a_document_that_is_none() -> None:
    assert problems(metadata=None)
    with pytest.raises(SpecError, match=r"NodePool [?] has 1 problem"):
        parse_pool({"spec": {"clusterRef": {"name": "demo"}}})


def test_only_what_was_set_is_written() -> None:
    assert tenant({"datastore": {"size": "2Gi"}}).manifest()["spec"] == {
        "datastore": {"size": "2Gi"}
    }
    assert pool(2).manifest() == {
        "apiVersion": "kubeception.io/v1alpha1",
        "kind": "NodePool",
        "metadata": {"name": "demo", "namespace": "default"},
        "spec": {"clusterRef": {"name": "demo"}, "replicas": 2},
    }


def test_labels_and_annotations_are_written_too() -> None:
    meta = {"name": "demo", "annotations": {"kubeception.io/paused": "true"}, "labels": {"a": "b"}}
    cluster = parse_cluster({"metadata": meta})
    assert cluster.paused
    assert cluster.manifest()["metadata"] == {**meta, "namespace": "default"}
    assert not parse_cluster({"metadata": {**meta, "annotations": {}}}).paused
