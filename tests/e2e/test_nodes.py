"""A tenant whose nodes are pods of the host: the quickest whole cluster there is."""

import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import ECHO_SERVICE, Lab
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

POD_NODE_SECONDS = 60
LIMITED = """\
apiVersion: kubeception.io/v1alpha1
kind: NodePool
metadata: {name: e2e-pods-workers}
spec:
  clusterRef: {name: e2e-pods}
  replicas: 2
  provider: pod
  kubelet: {maxPods: 30}
  userData:
    files: [{path: /etc/sysctl.d/99-mine.conf, content: "mine"}]
    commands: [[touch, /root/done]]
"""


@pytest.fixture(scope="module")
def tenant(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """A tenant with two pods as nodes, the Deployment on both."""
    folder = tmp_path_factory.mktemp("nodes")
    made = tenant_in(lab, folder, "e2e-pods")
    (folder / "pool.yaml").write_text(
        "apiVersion: kubeception.io/v1alpha1\nkind: TenantCluster\n"
        f"metadata: {{name: e2e-pods}}\nspec: {{datastore: {{storage: Ephemeral}}}}\n---\n{LIMITED}"
    )
    made.run("create", made.name, "-f", str(folder / "pool.yaml"), "--wait", "300s")
    made.kubectl("apply", "-f", "-", stdin=ECHO + ECHO_SERVICE)
    eventually("two pods on two nodes", lambda: len({node for _, node, _ in made.pods()}) == 2)
    yield made
    made.run("delete", made.name, check=False)


@pytest.mark.timeout(400)
class TestPods:
    """In this order: each uses what the one before left."""

    def test_each_node_is_a_pod_of_the_host(self, tenant: Tenant) -> None:
        nodes = tenant.nodes()
        assert len(nodes) == 2
        selector = "kubeception.io/provider=pod"
        pods = tenant.lab.kubectl("get", "pods", "-A", "-l", selector, "-o", "name").split()
        assert {f"pod/{node}" for node in nodes} <= set(pods)

    def test_pods_of_two_nodes_exchange_64_kib_each_way(self, tenant: Tenant) -> None:
        assert_pods_exchange_64_kib(tenant)

    def test_a_service_reaches_both_by_its_name(self, tenant: Tenant) -> None:
        assert_the_service_reaches_all(tenant)

    def test_logs_and_console(self, tenant: Tenant) -> None:
        for name, _, _ in tenant.pods():
            assert tenant.kubectl("logs", name) == "started\n"
        assert "starting kubelet" in tenant.run("console", tenant.nodes()[0]).stdout

    def test_what_the_pool_says_of_its_machines_is_so(self, tenant: Tenant) -> None:
        node = tenant.nodes()[0]
        capacity = tenant.kubectl("get", "node", node, "-o", "jsonpath={.status.capacity.pods}")
        assert capacity == "30"
        space = namespace_of(tenant.lab, node)
        inside = tenant.lab.kubectl(
            "exec", "-n", space, node, "--", "ls", "/root/done", "/etc/sysctl.d/99-mine.conf"
        )
        assert set(inside.split()) == {"/root/done", "/etc/sysctl.d/99-mine.conf"}

    def test_a_pod_that_is_gone_is_another_node(self, tenant: Tenant) -> None:
        before = tenant.nodes()
        space = namespace_of(tenant.lab, before[0])
        tenant.lab.kubectl("delete", "pod", "-n", space, before[0])
        began = time.monotonic()
        tenant.run("create", tenant.name, "--wait", "120s")
        assert time.monotonic() - began < POD_NODE_SECONDS
        after = tenant.nodes()
        assert len(after) == 2
        assert before[0] not in after
        assert before[0] not in tenant.kubectl("get", "nodes", "-o", "name")
        assert before[1] in after

    def test_delete_leaves_nothing(self, tenant: Tenant) -> None:
        uid = uid_of(tenant.lab, tenant.name)
        tenant.run("delete", tenant.name)
        assert leftovers(tenant.lab, uid, tenant.name) == ""


def namespace_of(lab: Lab, node: str) -> str:
    """The namespace of a node's pod."""
    selector = f"kubeception.io/machine={node}"
    path = "jsonpath={.items[0].metadata.namespace}"
    return lab.kubectl("get", "pods", "-A", "-l", selector, "-o", path)
