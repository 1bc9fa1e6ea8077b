"""One tenant with a node of each kind: a virtual machine, a pod, and a machine of its user's own by SSH."""

import json
from collections.abc import Iterator

import pytest
import yaml

from kubeception import names
from kubeception.plan.facts import Object
from tests.e2e.conftest import ECHO_SERVICE, Lab
from tests.e2e.owned import Owned, owned
from tests.e2e.tenant import (
    ECHO,
    Tenant,
    assert_pods_exchange_64_kib,
    assert_the_service_reaches_all,
    eventually,
    leftovers,
    tenant_in,
    uid_of,
)

NAME = "e2e-mixed"
SECONDS = 900
PODS = 3


def documents(lent: Object) -> str:
    """The cluster and its pools, one of them of a machine that is lent."""
    head = {"apiVersion": names.API_VERSION, "kind": "NodePool"}
    cluster = {
        "apiVersion": names.API_VERSION,
        "kind": "TenantCluster",
        "metadata": {"name": NAME},
        "spec": {"datastore": {"storage": "Ephemeral"}},
    }
    pools = [
        {
            **head,
            "metadata": {"name": f"{NAME}-{provider}"},
            "spec": {
                "clusterRef": {"name": NAME},
                "provider": provider,
                "replicas": 1,
                "labels": {"kind": provider},
                **({"ssh": lent} if provider == "ssh" else {}),
            },
        }
        for provider in ("kubevirt", "pod", "ssh")
    ]
    return yaml.safe_dump_all([cluster, *pools])


def virtual(tenant: Tenant, besides: str = "") -> list[str]:
    """The nodes that are virtual machines; nothing as long as one of them is `besides`."""
    found = tenant.kubectl("get", "nodes", "-l", "kind=kubevirt", "-o", "name").split()
    nodes = [each.removeprefix("node/") for each in found]
    return [] if besides in nodes else nodes


def evict(lab: Lab, uid: str, machine: str) -> str:
    """What the host answers whoever drains the node on which a machine runs."""
    space = names.nodes_namespace(uid, NAME)
    at = ("-n", space, "-l", f"{names.MACHINE_LABEL}={machine}", "-o", "name")
    (pod,) = lab.kubectl("get", "pods", *at).split()
    name = pod.removeprefix("pod/")
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": space},
    }
    path = f"/api/v1/namespaces/{space}/pods/{name}/eviction"
    return lab.refused("create", "--raw", path, "-f", "-", stdin=json.dumps(body))


@pytest.fixture(scope="module")
def machine(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owned]:
    with owned(lab, tmp_path_factory.mktemp("owned")) as made:
        yield made


@pytest.fixture(scope="module")
def tenant(lab: Lab, machine: Owned, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    folder = tmp_path_factory.mktemp("mixed")
    made = tenant_in(lab, folder, NAME)
    with machine.lent(lab, NAME) as lent:
        (folder / "mixed.yaml").write_text(documents(lent))
        machine.wait()
        made.run("apply", "-f", str(folder / "mixed.yaml"), "--wait", "600s")
        made.run("kubeconfig", NAME, "--merge")
        made.kubectl(
            "apply",
            "-f",
            "-",
            stdin=ECHO.replace("replicas: 2", f"replicas: {PODS}") + ECHO_SERVICE,
        )
        eventually(
            "three pods on three nodes", lambda: len({at for _, at, _ in made.pods()}) == PODS
        )
        yield made
        made.run("delete", NAME, check=False)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS)
class TestMixed:
    """In this order: each uses what the one before left."""

    def test_there_is_a_ready_node_of_each_kind(self, tenant: Tenant) -> None:
        columns = "custom-columns=I:.spec.providerID"
        found = tenant.kubectl("get", "nodes", "--no-headers", "-o", columns).split()
        assert {each.split(":")[0] for each in found} == {"kubevirt", "pod", "ssh"}
        assert len(tenant.nodes()) == 3

    def test_their_pods_exchange_64_kib_each_way(self, tenant: Tenant) -> None:
        assert_pods_exchange_64_kib(tenant)

    def test_a_service_reaches_all_by_its_name(self, tenant: Tenant) -> None:
        assert_the_service_reaches_all(tenant)

    def test_logs_come_from_each(self, tenant: Tenant) -> None:
        for name, _, _ in tenant.pods():
            assert tenant.kubectl("logs", name) == "started\n"

    def test_what_the_machine_said_is_kept(self, tenant: Tenant, machine: Owned) -> None:
        (node,) = tenant.kubectl("get", "nodes", "-l", "kind=ssh", "-o", "name").split()
        said = tenant.run("console", node.removeprefix("node/")).stdout
        assert "This node has joined the cluster" in said
        assert machine.run("systemctl is-active kubelet").strip() == "active"

    def test_a_machine_that_leaves_is_reset(self, tenant: Tenant, machine: Owned) -> None:
        tenant.run("scale", NAME, "--pool", f"{NAME}-ssh", "--workers", "0", "--wait", "300s")
        assert tenant.kubectl("get", "nodes", "-l", "kind=ssh", "-o", "name") == ""
        eventually(
            "reset",
            lambda: (
                machine.run("find /var/lib/kubelet /etc/kubernetes/pki -type f 2>/dev/null; true")
                == ""
            ),
        )
        # Its owner's own programs and keys are still there.
        assert machine.run("ls /usr/local/bin/kubelet /root/.ssh/authorized_keys")
        eventually("its pod elsewhere", lambda: len(tenant.pods()) == PODS)

    def test_a_machine_its_host_is_to_lose_is_drained_and_made_elsewhere(
        self, tenant: Tenant
    ) -> None:
        pool, lab = f"{NAME}-kubevirt", tenant.lab
        (before,) = virtual(tenant)
        assert "evacuation" in evict(lab, uid_of(lab, NAME), before)
        tenant.run("scale", NAME, "--pool", pool, "--workers", "1", "--wait", "600s")
        (after,) = eventually("the other one alone", lambda: virtual(tenant, besides=before))
        assert after in tenant.nodes()
        told = ("--field-selector", f"involvedObject.name={pool},reason=NodeLeaving", "-o", "name")
        assert lab.kubectl("get", "events", *told)
        eventually("its pod elsewhere", lambda: len(tenant.pods()) == PODS)

    def test_delete_leaves_nothing(self, tenant: Tenant) -> None:
        uid = uid_of(tenant.lab, NAME)
        tenant.run("delete", NAME)
        assert leftovers(tenant.lab, uid, NAME) == ""
