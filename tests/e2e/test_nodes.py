"""A tenant whose nodes are pods of the host: the quickest whole cluster there is."""

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeception.plan.versions import image
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
from tests.integration.servers import certificate

POD_NODE_SECONDS = 60
BUSYBOX = image("busybox")
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


GATE = """\
import json, ssl
from http.server import BaseHTTPRequestHandler, HTTPServer

class Gate(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        labels = asked["request"]["object"]["metadata"].get("labels") or {}
        said = {"uid": asked["request"]["uid"], "allowed": "refuse" not in labels}
        said["status"] = {"message": "not through this gate"}
        answer = json.dumps({**asked, "request": None, "response": said}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/gate/tls.crt", "/gate/tls.key")
server = HTTPServer(("", 8443), Gate)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def gate(certificate: bytes, key: bytes) -> str:
    """A validating webhook that refuses ConfigMaps with a label, served by a pod."""
    labels, meta = {"app": "gate"}, {"name": "gate"}
    files = {"gate.py": GATE, "tls.crt": certificate.decode(), "tls.key": key.decode()}
    container = {
        "name": "gate",
        "image": image("kubeception"),
        "command": ["python3", "/gate/gate.py"],
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
        "volumeMounts": [{"name": "gate", "mountPath": "/gate"}],
    }
    volume = {"name": "gate", "secret": {"secretName": "gate"}}
    pod: dict[str, Any] = {"containers": [container], "volumes": [volume]}
    pod["terminationGracePeriodSeconds"] = 0
    service = {"name": "gate", "namespace": "default"}
    webhook = {
        "name": "gate.example.com",
        "clientConfig": {"service": service, "caBundle": b64encode(certificate).decode()},
        "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
            | {"resources": ["configmaps"]}
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 10,
    }
    ports = [{"port": 443, "targetPort": 8443}]
    admission = "admissionregistration.k8s.io/v1"
    objects = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": files},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {**meta, "labels": labels}, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta}
        | {"spec": {"selector": labels, "ports": ports}},
        {"apiVersion": admission, "kind": "ValidatingWebhookConfiguration", "metadata": meta}
        | {"webhooks": [webhook]},
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


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

    def test_names_of_the_host_are_the_hosts(self, tenant: Tenant) -> None:
        """The same name in both: a pod gets the tenant's answer, a node none, a pod of the host the host's."""
        name, jsonpath = "kubernetes.default.svc.cluster.local", "jsonpath={.spec.clusterIP}"
        service = ("get", "service", "kubernetes", "-o", jsonpath)
        pod, node, _ = tenant.pods()[0]
        assert tenant.kubectl(*service) in tenant.kubectl("exec", pod, "--", "nslookup", name)
        ask = ("sh", "-c", f"getent hosts {name} || echo unknown")
        found = tenant.lab.kubectl("exec", "-n", namespace_of(tenant.lab, node), node, "--", *ask)
        assert found == "unknown\n"
        run = ("run", "names", "--rm", "-i", "--quiet", "--restart=Never", f"--image={BUSYBOX}")
        assert tenant.lab.kubectl(*service) in tenant.lab.kubectl(*run, "--", "nslookup", name)

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

    def test_a_webhook_and_an_aggregated_api_are_reached_in_the_tenants_pods(
        self, tenant: Tenant, tmp_path: Path
    ) -> None:
        made = certificate(tmp_path, "gate.default.svc")
        tenant.kubectl(
            "apply", "-f", "-", stdin=gate(made, (tmp_path / "serving.key").read_bytes())
        )
        tenant.kubectl("wait", "pod/gate", "--for=condition=Ready", "--timeout=120s")
        eventually("a good one", lambda: tenant.kubectl("create", "cm", "good", check=False))
        bad: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap"}
        bad["metadata"] = {"name": "bad", "labels": {"refuse": "yes"}}
        tenant.kubectl("create", "-f", "-", stdin=json.dumps(bad), check=False)
        names = tenant.kubectl("get", "cm", "-o", "name").split()
        assert "configmap/good" in names
        assert "configmap/bad" not in names
        tenant.kubectl("delete", "validatingwebhookconfiguration,secret,svc,pod", "gate")
        metrics = "/apis/metrics.k8s.io/v1beta1/nodes"
        eventually("figures", lambda: tenant.kubectl("get", "--raw", metrics, check=False))

    def test_without_the_tunnel_logs_and_exec_stop_and_nothing_else(self, tenant: Tenant) -> None:
        name = tenant.pods()[0][0]

        def logs() -> str:
            return tenant.kubectl("logs", name, check=False)

        def executed() -> str:
            return tenant.kubectl("exec", name, "--", "hostname", check=False)

        assert logs() == "started\n"
        assert executed() == f"{name}\n"
        tenant.kubectl("delete", "daemonset", "konnectivity-agent", "-n", "kube-system")
        eventually("no logs", lambda: not logs(), 60)
        assert executed() == ""
        tenant.kubectl("scale", "deployment/echo", "--replicas=3")
        tenant.kubectl("rollout", "status", "deployment/echo", "--timeout=60s")
        tenant.kubectl("scale", "deployment/echo", "--replicas=2")
        assert len(tenant.nodes()) == 2
        assert (logs(), executed()) == ("", "")
        tenant.run("create", tenant.name, "--wait", "120s")
        kept = tenant.pods()[0][0]
        eventually("logs", lambda: tenant.kubectl("logs", kept, check=False), 60)

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
