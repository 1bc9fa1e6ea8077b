import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import V1DaemonSet, V1Deployment

from kubeception.errors import ApiError, WaitTimeoutError
from kubeception.kube.kinds import KINDS
from kubeception.lab import addons
from kubeception.lab.addons import Wait, is_up, runs_since
from kubeception.lab.parts import KUBEVIRT
from kubeception.lab.state import Lab
from tests.reports import Recorder

LAB = Lab("lab", 1, Path("/state/lab"))
MODELS: dict[str, Any] = {"DaemonSet": V1DaemonSet, "Deployment": V1Deployment}


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    """A bin folder beside which KubeVirt's objects have been generated."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "resource-generator").touch()
    (tmp_path / "share").mkdir()
    kept = tmp_path / "share" / f"kubevirt-{KUBEVIRT}.json"
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    kept.write_text(json.dumps([{**crd, "metadata": {"name": "kubevirts.kubevirt.io"}}]))
    workload = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "controller"}}
    pools = {**crd, "metadata": {"name": "ipaddresspools.metallb.io"}}
    (tmp_path / "share" / "metallb.yaml").write_text(yaml.safe_dump_all([pools, workload, None]))
    return programs


def everything(programs: Path) -> list[dict[str, Any]]:
    host = [*addons.flannel_objects(LAB), *addons.host_objects(LAB)]
    host += addons.metallb_objects(LAB, programs)
    return [*host, *addons.kubevirt_objects(programs, Recorder(), emulation=True)]


def test_every_object_is_of_a_kind_the_client_knows(generated: Path) -> None:
    for obj in everything(generated):
        assert KINDS[obj["kind"]].api_version == obj["apiVersion"], obj["metadata"]["name"]


def test_every_workload_is_valid(generated: Path) -> None:
    workloads = [obj for obj in everything(generated) if obj["kind"] in MODELS]
    assert len(workloads) == 6
    for obj in workloads:
        MODELS[obj["kind"]].model_validate(obj)
        labels = obj["spec"]["template"]["metadata"]["labels"]
        assert obj["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_load_balancers_have_addresses_of_the_nodes_network(generated: Path) -> None:
    objects = addons.metallb_objects(LAB, generated)
    assert objects == addons.metallb_objects(LAB, generated)  # the second time as it was kept
    assert found(objects, "IPAddressPool", "lab")["spec"]["addresses"] == [
        "10.200.1.200-10.200.1.250"
    ]
    assert [o["metadata"]["name"] for o in objects if o["kind"] == "Deployment"] == ["controller"]


def test_flannel_routes_the_labs_own_pods() -> None:
    config = found(addons.flannel_objects(LAB), "ConfigMap", "kube-flannel")["data"][
        "net-conf.json"
    ]
    assert json.loads(config)["Network"] == "10.209.0.0/16"


def test_the_registry_is_announced_to_nodes_and_pods() -> None:
    hosting = found(addons.host_objects(LAB), "ConfigMap", "local-registry-hosting")["data"]
    said = yaml.safe_load(hosting["localRegistryHosting.v1"])
    assert said["hostFromClusterNetwork"] == said["hostFromContainerRuntime"] == "10.200.1.1:5000"


def test_one_storage_class_is_the_default() -> None:
    storage = found(addons.host_objects(LAB), "StorageClass", "local-path")
    annotations = storage["metadata"]["annotations"]
    assert annotations["storageclass.kubernetes.io/is-default-class"] == "true"


@pytest.mark.parametrize("emulation", [True, False])
def test_kubevirt_emulates_only_where_it_must(generated: Path, emulation: bool) -> None:
    objects = addons.kubevirt_objects(generated, Recorder(), emulation=emulation)
    configuration = found(objects, "KubeVirt", "kubevirt")["spec"]["configuration"]
    assert configuration["developerConfiguration"]["useEmulation"] is emulation


def found(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)


def workload(wanted: int, ready: int | None, *, seen: int = 2) -> dict[str, Any]:
    status = {"observedGeneration": seen} | ({"readyReplicas": ready} if ready is not None else {})
    return {"metadata": {"generation": 2}, "spec": {"replicas": wanted}, "status": status}


@pytest.mark.parametrize(
    ("obj", "up"),
    [
        (workload(2, 2), True),
        (workload(2, 1), False),
        (workload(1, None), False),
        (workload(1, 1, seen=1), False),
        ({"metadata": {"generation": 1}, "spec": {}}, False),
        (
            {
                "metadata": {"generation": 1},
                "spec": {},
                "status": {
                    "observedGeneration": 1,
                    "desiredNumberScheduled": 3,
                    "numberReady": 3,
                },
            },
            True,
        ),
    ],
)
def test_a_workload_is_up_when_all_of_its_present_shape_is_ready(
    obj: dict[str, Any], up: bool
) -> None:
    assert is_up(obj) is up


@pytest.mark.parametrize(
    ("state", "since"),
    [
        ({"running": {"startedAt": "2026-01-02T03:04:05Z"}}, True),
        ({"running": {"startedAt": "2026-01-02T03:04:04Z"}}, False),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, False),
    ],
)
def test_only_containers_started_since_then_count(state: dict[str, Any], since: bool) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert runs_since({"status": {"containerStatuses": [{"state": state}]}}, moment) is since


def test_a_pod_without_containers_does_not_run() -> None:
    assert not runs_since({"status": {}}, datetime(2026, 1, 1, tzinfo=UTC))


def waiting(answers: Iterator[list[str]], seconds: float) -> tuple[Wait, Recorder]:
    return Wait("the pods", seconds, lambda: next(answers), "look"), Recorder()


def test_waiting_ends_when_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    wait, report = waiting(iter([["a", "b"], ["a", "b"], ["b"], []]), 60)
    wait.wait(report)
    assert report.lines == ["the pods: waiting for a; b", "the pods: waiting for b"]
    assert report.waited == ["a; b", "a; b", "b"]


def test_waiting_too_long_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr("time.monotonic", chain([0.0], repeat(61.0)).__next__)
    wait, report = waiting(repeat(["pod x"]), 60)
    with pytest.raises(WaitTimeoutError, match="pod x") as caught:
        wait.wait(report)
    assert caught.value.hint == "look"


def test_an_api_server_that_does_not_answer_is_waited_for() -> None:
    def missing() -> list[str]:
        raise ApiError("no answer")

    assert Wait("the pods", 1, missing, "").look() == ["no answer"]
