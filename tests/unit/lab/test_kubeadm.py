from pathlib import Path
from typing import Any

import pytest

from kubeception.lab import kubeadm
from kubeception.lab.cgroup import Cgroups
from kubeception.lab.state import Lab

LAB = Lab("lab", 2, Path("/state/lab"))


def documents(version: int) -> dict[str, dict[str, Any]]:
    made = kubeadm.init_documents(LAB, "lab-1", Cgroups(version, ()))
    return {document["kind"]: document for document in made}


@pytest.fixture(params=[True, False])
def raises(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(kubeadm, "may_raise_limits", lambda: request.param)
    return bool(request.param)


def test_the_cluster_has_the_labs_ranges_and_our_images() -> None:
    cluster = documents(2)["ClusterConfiguration"]
    assert cluster["controlPlaneEndpoint"] == "10.200.2.2:6443"
    networking = {"podSubnet": "10.210.0.0/16", "serviceSubnet": "10.201.32.0/20"}
    assert cluster["networking"] == networking
    assert cluster["etcd"]["local"]["imageTag"] == "3.6.16-0"
    assert cluster["dns"]["imageTag"] == "v1.14.0"


def test_cgroup_v1_is_allowed_only_where_it_is() -> None:
    assert documents(1)["KubeletConfiguration"]["failCgroupV1"] is False
    assert "failCgroupV1" not in documents(2)["KubeletConfiguration"]


def test_scores_are_left_alone_without_the_capability(raises: bool) -> None:
    made = documents(2)
    for kind in ("KubeletConfiguration", "KubeProxyConfiguration"):
        assert ("oomScoreAdj" in made[kind]) is not raises


def test_the_first_node_takes_pods() -> None:
    assert documents(2)["InitConfiguration"]["nodeRegistration"]["taints"] == []


def test_what_kubeadm_prints_is_understood() -> None:
    printed = (
        "kubeadm join 10.200.2.2:6443 --token abcdef.0123456789abcdef"
        " --discovery-token-ca-cert-hash sha256:00ff \n"
    )
    found = kubeadm.JOIN.search(printed)
    assert found is not None
    assert found.groups() == ("abcdef.0123456789abcdef", "sha256:00ff")


def test_what_an_operator_asks_for_is_logged() -> None:
    server = documents(2)["ClusterConfiguration"]["apiServer"]
    flags = {flag["name"]: flag["value"] for flag in server["extraArgs"]}
    mounted = [volume["mountPath"] for volume in server["extraVolumes"]]
    assert flags["audit-policy-file"] in mounted
    assert any(flags["audit-log-path"].startswith(f"{folder}/") for folder in mounted)
