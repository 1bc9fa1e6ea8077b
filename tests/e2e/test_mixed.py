"""One tenant with a node of each kind: a virtual machine, a pod, and a machine of its user's own by SSH."""

from base64 import b64encode
from collections.abc import Iterator

import pytest
import yaml

from kubeception import names
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


def documents(machine: Owned, *, joined: bool = True) -> str:
    """The cluster, its pools, and the key to the machine."""
    head = {"apiVersion": names.API_VERSION, "kind": "NodePool"}
    block = {
        "keySecretRef": {"name": NAME},
        "machines": [{"address": machine.address, "hostKey": machine.host_key}],
    }
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
                "replicas": replicas,
                "labels": {"kind": provider},
                **({"ssh": block} if provider == "ssh" else {}),
            },
        }
        for provider, replicas in (("kubevirt", 1), ("pod", 1), ("ssh", int(joined)))
    ]
    return yaml.safe_dump_all([cluster, *pools])


@pytest.fixture(scope="module")
def machine(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owned]:
    with owned(lab, tmp_path_factory.mktemp("owned")) as made:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/ssh-auth",
            "metadata": {"name": NAME, "namespace": "default"},
            "data": {"ssh-privatekey": b64encode(made.key.encode()).decode()},
        }
        lab.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(secret))
        lab.kubectl("label", "namespace", "default", f"{names.ALLOW_SSH_NODES}=true", "--overwrite")
        yield made
        lab.kubectl("label", "namespace", "default", f"{names.ALLOW_SSH_NODES}-")
        lab.kubectl("delete", "secret", NAME)


@pytest.fixture(scope="module")
def tenant(lab: Lab, machine: Owned, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    folder = tmp_path_factory.mktemp("mixed")
    made = tenant_in(lab, folder, NAME)
    (folder / "mixed.yaml").write_text(documents(machine))
    machine.wait()
    made.run("apply", "-f", str(folder / "mixed.yaml"), "--wait", "600s")
    made.run("kubeconfig", NAME, "--merge")
    made.kubectl(
        "apply", "-f", "-", stdin=ECHO.replace("replicas: 2", "replicas: 3") + ECHO_SERVICE
    )
    eventually("three pods on three nodes", lambda: len({node for _, node, _ in made.pods()}) == 3)
    yield made
    made.run("delete", NAME, check=False)


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
            lambda: machine.run("ls /var/lib/kubelet /etc/kubernetes/pki 2>/dev/null; true") == "",
        )
        # Its owner's own programs and keys are still there.
        assert machine.run("ls /usr/local/bin/kubelet /root/.ssh/authorized_keys")
        pods = eventually("two pods", lambda: len(tenant.pods()) == 2)
        assert pods

    def test_delete_leaves_nothing(self, tenant: Tenant) -> None:
        uid = uid_of(tenant.lab, NAME)
        tenant.run("delete", NAME)
        assert leftovers(tenant.lab, uid, NAME) == ""
