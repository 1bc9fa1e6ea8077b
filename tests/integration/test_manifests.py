"""Everything that is rendered, as a real API server takes it: every field known, pods within `restricted`."""

import copy
from typing import Any

import pytest

from kubeception.components.base import Side
from kubeception.errors import ApiError
from kubeception.kube.client import Cluster
from kubeception.plan.facts import Object
from tests.plans import CASES, applied, case

WORKLOADS = {"Deployment", "StatefulSet"}


def objects(name: str, side: Side) -> list[Object]:
    return [
        obj for component, found in applied(case(name)) if component.side is side for obj in found
    ]


def acceptable(obj: Object) -> Object:
    """The object with what only this test's API servers lack: addresses of another range."""
    obj = copy.deepcopy(obj)
    if obj["kind"] == "Service":
        obj["spec"].pop("clusterIP", None)
    return obj


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("side", list(Side))
def test_every_object_is_accepted(host: Cluster, tenant: Cluster, name: str, side: Side) -> None:
    cluster = host if side is Side.HOST else tenant
    found = objects(name, side)
    for obj in found:
        if obj["kind"] == "Namespace":
            cluster.apply(obj)
    for obj in found:
        cluster.apply(acceptable(obj), dry_run=True)


def pod_of(workload: Object) -> Object:
    template = copy.deepcopy(workload["spec"]["template"])
    name, namespace = "trial", workload["metadata"]["namespace"]
    metadata = {**template["metadata"], "name": name, "namespace": namespace}
    volumes = template["spec"].setdefault("volumes", [])
    for claim in workload["spec"].get("volumeClaimTemplates", ()):
        volumes.append({"name": claim["metadata"]["name"], "emptyDir": {}})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@pytest.fixture
def namespaced(host: Cluster) -> Cluster:
    for name in CASES:
        for obj in objects(name, Side.HOST):
            if obj["kind"] == "Namespace":
                host.apply(obj)
    return host


def pods() -> list[Any]:
    return [
        pytest.param(pod_of(obj), id=f"{name}-{obj['metadata']['name']}")
        for name in CASES
        for obj in objects(name, Side.HOST)
        if obj["kind"] in WORKLOADS
    ]


@pytest.mark.parametrize("pod", pods())
def test_pods_of_the_host_are_within_restricted(namespaced: Cluster, pod: Object) -> None:
    if account := pod["spec"].get("serviceAccountName"):
        meta = {"name": account, "namespace": pod["metadata"]["namespace"]}
        namespaced.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    namespaced.apply(pod, dry_run=True)


@pytest.mark.attack("A21", control="within")
@pytest.mark.parametrize(
    "change",
    [
        {"hostNetwork": True},
        {"securityContext": {}},
        {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]},
    ],
    ids=["network", "user", "path"],
)
def test_a_pod_beyond_restricted_is_refused(namespaced: Cluster, change: Object) -> None:
    pod = copy.deepcopy(pods()[0].values[0])
    for field, value in change.items():
        before = pod["spec"].get(field)
        pod["spec"][field] = [*before, *value] if isinstance(value, list) else value
    with pytest.raises(ApiError, match="violates PodSecurity"):
        namespaced.apply(pod, dry_run=True)
    elsewhere = {**pod, "metadata": {**pod["metadata"], "namespace": "default"}}
    assert namespaced.apply(elsewhere, dry_run=True), "where no standard is asked for"
