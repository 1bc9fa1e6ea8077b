"""What every pod we make must be, in the host and in the tenant; exceptions are few, and said here."""

from collections.abc import Iterator
from typing import Any

import pytest

from kubeception import names
from kubeception.components.base import Side
from kubeception.plan.facts import Object
from tests.plans import CASES, applied, case, everything, find, in_pods

WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet"}
NETWORK_OF_THE_NODE = {"kube-proxy", "kube-flannel-ds", "konnectivity-agent", "node-local-dns"}
"""In the node's own network, because they make the pod network, must not need it, or serve all of the node."""
ROOT = {
    "kube-proxy": "sets up the node's packet filter",
    "kube-flannel-ds": "sets up routes",
    "node-local-dns": "gives the node an address",
    "kubevirt-csi-node": "formats disks and mounts them for the kubelet",
}
OWN_USER = {"coredns": "its image names the user"}
LOW_PORTS = {
    "kube-apiserver": "the upstream binary has this file capability and can't start without",
    "coredns": "serves port 53",
}


ACCOUNTS = {"storage-controller": "storage-controller"}
"""Pods of the host that have an account there."""


def workloads() -> Iterator[Any]:
    for name in CASES:
        for _, objects in applied(case(name)):
            for obj in objects:
                if obj["kind"] in WORKLOADS:
                    title = f"{name}-{obj['metadata']['name']}"
                    yield pytest.param(obj, id=title)


def containers(workload: Object) -> list[dict[str, Any]]:
    spec = workload["spec"]["template"]["spec"]
    return [*spec.get("initContainers", ()), *spec["containers"]]


each_workload = pytest.mark.parametrize("workload", list(workloads()))


@each_workload
def test_pod(workload: Object) -> None:
    name = workload["metadata"]["name"]
    spec = workload["spec"]["template"]["spec"]
    assert spec["priorityClassName"]
    assert spec.get("hostNetwork", False) is (name in NETWORK_OF_THE_NODE)
    assert not any(spec.get(key) for key in ("hostPID", "hostIPC", "shareProcessNamespace"))
    if name not in ROOT:
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any("hostPath" in volume for volume in spec["volumes"])
    if name not in ROOT.keys() | OWN_USER:
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 65532


def test_pods_of_the_host_have_no_account_and_one_priority() -> None:
    found = 0
    for name in CASES:
        for component, objects in applied(case(name)):
            for obj in objects:
                if component.side is Side.HOST and obj["kind"] in WORKLOADS:
                    spec = obj["spec"]["template"]["spec"]
                    assert spec["priorityClassName"] == names.PRIORITY_CLASS
                    assert spec["automountServiceAccountToken"] is False
                    assert spec["enableServiceLinks"] is False
                    account = spec.get("serviceAccountName")
                    assert account == ACCOUNTS.get(obj["metadata"]["name"])
                    found += 1
    assert found == 2 * len(in_pods()) + len(ACCOUNTS)


def test_the_one_token_of_the_host_is_in_the_one_container_that_needs_it() -> None:
    spec = find(everything(case("everything")), "Deployment", names.STORAGE_ACCOUNT)["spec"]
    (token,) = (
        volume["name"]
        for volume in spec["template"]["spec"]["volumes"]
        if any("serviceAccountToken" in s for s in volume.get("projected", {}).get("sources", ()))
    )
    containers = spec["template"]["spec"]["containers"]
    holders = [c["name"] for c in containers if token in [m["name"] for m in c["volumeMounts"]]]
    assert holders == ["csi-driver"]


@each_workload
def test_containers(workload: Object) -> None:
    for container in containers(workload):
        name = container["name"]
        assert container["imagePullPolicy"] == "IfNotPresent"
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert set(container["resources"]["limits"]) == {"memory"}, "a CPU limit slows the start"
        assert not any(port.get("hostPort") for port in container.get("ports", ()))
        if workload["metadata"]["name"] in ROOT:
            continue
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert not context.get("privileged", False)
        assert context["capabilities"]["drop"] == ["ALL"]
        added = context["capabilities"].get("add", [])
        assert added == (["NET_BIND_SERVICE"] if name in LOW_PORTS else [])


@each_workload
def test_selector_and_labels_agree(workload: Object) -> None:
    selector = workload["spec"]["selector"]["matchLabels"]
    assert selector.items() <= workload["spec"]["template"]["metadata"]["labels"].items()


@each_workload
def test_every_mount_has_a_volume_and_every_volume_a_mount(workload: Object) -> None:
    spec = workload["spec"]["template"]["spec"]
    volumes = {volume["name"] for volume in spec["volumes"]}
    claims = workload["spec"].get("volumeClaimTemplates", ())
    volumes |= {claim["metadata"]["name"] for claim in claims}
    mounts = {m["name"] for container in containers(workload) for m in container["volumeMounts"]}
    assert mounts == volumes


@each_workload
def test_no_key_is_in_a_pod(workload: Object) -> None:
    assert "PRIVATE KEY" not in str(workload)
    assert not any(
        "token" in str(env).lower() for c in containers(workload) for env in c.get("env", ())
    )
