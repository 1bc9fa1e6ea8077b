"""A whole cluster in virtual machines: its control plane, which kubeadm makes, and its workers."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.conftest import Lab
from tests.e2e.tenant import Tenant, eventually, leftovers, tenant_in, uid_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

NAME = "e2e-whole"
WAIT = "--wait=30m"
"""Under emulation a control plane takes minutes to start, and others run beside it."""


@pytest.fixture(scope="module")
def whole(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    made = tenant_in(lab, tmp_path_factory.mktemp("whole"), NAME)
    made.run("create", NAME, "--control-plane=vm", "--workers=1", WAIT)
    yield made
    made.run("delete", NAME, check=False)


def test_the_control_plane_is_a_node_of_its_own_cluster(lab: Lab, whole: Tenant) -> None:
    (worker,) = [name for name in whole.nodes() if "control-plane" not in name]
    assert sorted(whole.nodes()) == sorted([f"{NAME}-control-plane-0", worker])
    role = "node-role.kubernetes.io/control-plane"
    assert whole.kubectl("get", "nodes", "-l", role, "-o", "name").split() == [
        f"node/{NAME}-control-plane-0"
    ]
    space = lab.kubectl("get", "tc", NAME, "-o", "jsonpath={.status.controlPlaneNamespace}")
    assert lab.kubectl("get", "pods", "-n", space, "-o", "name") == ""


def test_a_pod_runs_and_is_reached_through_the_api_server(whole: Tenant) -> None:
    image = "--image=docker.io/library/busybox:1.36"
    whole.kubectl("run", "hello", image, "--", "sh", "-c", "echo hello; sleep 1d")
    eventually("the pod's log", lambda: whole.kubectl("logs", "hello", check=False) == "hello\n")
    assert whole.kubectl("exec", "hello", "--", "echo", "there") == "there\n"
    ask = ("exec", "hello", "--", "nslookup", "kubernetes.default.svc.cluster.local")
    assert "Address" in whole.kubectl(*ask)


def test_the_commands_work_as_with_any_other(whole: Tenant) -> None:
    assert f"name: {NAME}" in whole.run("kubeconfig", NAME).stdout
    said = whole.run("tree", NAME).stdout
    assert f"{NAME}-control-plane-0" in said
    doctor = partial(whole.run, "doctor", NAME, check=False)
    eventually("all requests answered in time", lambda: doctor().returncode == 0)
    assert "virtual machines" in whole.run("logs", NAME, "etcd", check=False).stderr


def test_workers_are_scaled(whole: Tenant) -> None:
    whole.run("scale", NAME, "--workers=2", WAIT)
    assert len(whole.nodes()) == 3


def test_nothing_is_left(lab: Lab, whole: Tenant) -> None:
    uid = uid_of(lab, NAME)
    whole.run("delete", NAME)
    assert leftovers(lab, uid, NAME) == ""
