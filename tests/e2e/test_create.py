"""A tenant cluster with two virtual machines as nodes: made, used, made smaller, deleted, as its own kubectl shows."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
import yaml

from kubeception import names
from tests.e2e.conftest import ECHO_SERVICE, Lab, programs

CREATE_SECONDS = 900
SOON_SECONDS = 300

ECHO = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  replicas: 2
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      terminationGracePeriodSeconds: 0
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: DoNotSchedule
          labelSelector: {matchLabels: {app: echo}}
      containers:
        - name: echo
          image: docker.io/library/busybox:1.36
          command:
            - sh
            - -c
            - |
              mkdir /tmp/www && cd /tmp/www && hostname > index.html && echo started
              dd if=/dev/urandom of=blob bs=1024 count=64 2>/dev/null
              exec httpd -f -p 8080 -h /tmp/www
          readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
"""


@dataclass(frozen=True)
class Tenant:
    """A tenant cluster of the lab, by the commands a person has."""

    lab: Lab
    name: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Whose kubeconfig is a file of the test, which begins with the lab's context."""
        return {**self.lab.environment, "KUBECONFIG": str(self.folder / "kubeconfig")}

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "kubeception", *words]

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`kubeception WORDS`."""
        done = subprocess.run(
            self.argv(*words), env=self.environment, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            pytest.fail(
                f"kubeception {' '.join(words)} ended with {done.returncode}:\n{done.stderr}"
            )
        return done

    def kubectl(self, *words: str, stdin: str = "", check: bool = True) -> str:
        """What the tenant's kubectl prints."""
        argv = [str(programs() / "kubectl"), "--context", self.name, *words]
        done = subprocess.run(
            argv, env=self.environment, input=stdin, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            pytest.fail(f"kubectl {' '.join(words)}: {done.stderr}")
        return done.stdout

    def pods(self) -> list[tuple[str, str, str]]:
        """(name, node, address) of the Deployment's ready pods."""
        ready = ".status.containerStatuses[0].ready"
        columns = f"custom-columns=N:.metadata.name,D:.spec.nodeName,I:.status.podIP,R:{ready}"
        lines = self.kubectl("get", "pods", "-l", "app=echo", "--no-headers", "-o", columns)
        rows = [line.split() for line in lines.splitlines()]
        return [(row[0], row[1], row[2]) for row in rows if row[3] == "true"]

    def nodes(self) -> list[str]:
        """The names of the ready nodes."""
        lines = self.kubectl("get", "nodes", "--no-headers").splitlines()
        return [line.split()[0] for line in lines if line.split()[1] == "Ready"]


def eventually(what: str, found: Callable[[], Any], seconds: float = SOON_SECONDS) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {seconds:.0f} s")
        time.sleep(1)
    return answer


def tenant_in(lab: Lab, folder: Path, name: str) -> Tenant:
    (folder / "kubeconfig").write_text(lab.kubeconfig.read_text())
    return Tenant(lab, name, folder)


def leftovers(lab: Lab, uid: str, name: str) -> str:
    """Everything in the host that belongs to a tenant."""
    label = f"{names.CLUSTER_LABEL}={names.cluster_id(uid, name)}"
    kinds = "namespaces,secrets,services,deployments,statefulsets,pods,pvc,vm,vmi,configmaps"
    found = lab.kubectl("get", kinds, "-A", "-l", label, "-o", "name")
    spaces = (names.control_plane_namespace(uid, name), names.nodes_namespace(uid, name))
    volumes = lab.kubectl("get", "pv", "-o", "jsonpath={.items[*].spec.claimRef.namespace}")
    ours = lab.kubectl("get", "tc,np,lease", "-n", "default", "-o", "name")
    rest = [line for line in ours.splitlines() if name in line]
    return "\n".join([*found.split(), *rest, *(s for s in spaces if s in volumes.split())])


def uid_of(lab: Lab, name: str) -> str:
    return lab.kubectl("get", "tc", name, "-o", "jsonpath={.metadata.uid}")


@pytest.fixture(scope="module")
def tenant(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """A tenant with two nodes, the Deployment on both."""
    made = tenant_in(lab, tmp_path_factory.mktemp("create"), "e2e-create")
    made.run("create", made.name, "--workers", "2", "--wait", f"{CREATE_SECONDS}s")
    made.kubectl("apply", "-f", "-", stdin=ECHO + ECHO_SERVICE)
    eventually("two pods on two nodes", lambda: len({node for _, node, _ in made.pods()}) == 2)
    yield made
    made.run("delete", made.name, check=False)


@pytest.mark.timeout(2 * CREATE_SECONDS)
class TestTwoNodes:
    """In this order: each uses what the one before left."""

    def test_both_machines_are_ready_nodes(self, tenant: Tenant) -> None:
        nodes = tenant.nodes()
        assert len(nodes) == 2
        addresses = tenant.kubectl(
            "get",
            "nodes",
            "-o",
            'jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}',
        ).split()
        assert len(set(addresses)) == 2
        assert "10.0.2.2" not in addresses
        shown = tenant.run("nodes", tenant.name).stdout
        assert all(node in shown for node in nodes)
        secrets = tenant.kubectl("get", "secrets", "-n", "kube-system", "-o", "name")
        assert "bootstrap-token" not in secrets

    def test_pods_of_two_nodes_exchange_64_kib_each_way(self, tenant: Tenant) -> None:
        (one, _, at_one), (two, _, at_two) = tenant.pods()
        for here, there, address in ((one, two, at_two), (two, one, at_one)):
            fetch = f"wget -qO- http://{address}:8080/blob | sha256sum"
            got = tenant.kubectl("exec", here, "--", "sh", "-c", fetch)
            assert got == tenant.kubectl(
                "exec", there, "--", "sh", "-c", "sha256sum < /tmp/www/blob"
            )

    def test_a_service_reaches_both_by_its_name(self, tenant: Tenant) -> None:
        names_of_pods = {name for name, _, _ in tenant.pods()}
        one = min(names_of_pods)
        ask = "for i in $(seq 20); do wget -qO- http://echo.default.svc.cluster.local; done"
        answers = tenant.kubectl("exec", one, "--", "sh", "-c", ask)
        assert set(answers.split()) == names_of_pods

    def test_logs_and_top(self, tenant: Tenant) -> None:
        for name, _, _ in tenant.pods():
            assert tenant.kubectl("logs", name) == "started\n"
        top = eventually("kubectl top nodes", lambda: tenant.kubectl("top", "nodes", check=False))
        assert all(node in top for node in tenant.nodes())

    def test_port_forward(self, tenant: Tenant) -> None:
        name, _, _ = tenant.pods()[0]
        with closing(create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        argv = [
            str(programs() / "kubectl"),
            "--context",
            tenant.name,
            "port-forward",
            name,
            f"{port}:8080",
        ]
        with subprocess.Popen(argv, env=tenant.environment, stdout=subprocess.PIPE) as forward:
            try:
                assert forward.stdout
                forward.stdout.readline()
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
                    assert answer.read().decode().strip() == name
            finally:
                forward.terminate()

    def test_the_console_is_the_machines(self, tenant: Tenant) -> None:
        node = tenant.nodes()[0]
        assert "kubeadm-join.service" in tenant.run("console", node).stdout

    def test_create_again_changes_nothing(self, tenant: Tenant) -> None:
        before = tenant.kubectl("get", "nodes", "-o", "name")
        generation = tenant.lab.kubectl(
            "get", "tc,np", "-o", "jsonpath={.items[*].metadata.generation}"
        )
        tenant.run("create", tenant.name)
        assert tenant.kubectl("get", "nodes", "-o", "name") == before
        after = tenant.lab.kubectl("get", "tc,np", "-o", "jsonpath={.items[*].metadata.generation}")
        assert after == generation

    def test_scaling_down_leaves_one_node(self, tenant: Tenant) -> None:
        tenant.run("scale", tenant.name, "--workers", "1")
        assert len(tenant.nodes()) == 1
        (kept,) = tenant.kubectl("get", "nodes", "-o", "name").split()
        listed = tenant.run("list").stdout
        assert "1/1" in listed
        assert kept.removeprefix("node/") in tenant.run("nodes", tenant.name).stdout

    def test_delete_leaves_nothing(self, tenant: Tenant) -> None:
        uid = uid_of(tenant.lab, tenant.name)
        tenant.run("delete", tenant.name)
        assert leftovers(tenant.lab, uid, tenant.name) == ""
        config = yaml.safe_load((tenant.folder / "kubeconfig").read_text())
        lab_context = yaml.safe_load(tenant.lab.kubeconfig.read_text())["current-context"]
        assert [c["name"] for c in config["contexts"]] == [lab_context]
        assert config["current-context"] == lab_context


@pytest.mark.timeout(CREATE_SECONDS)
@pytest.mark.parametrize("seconds", [1.0, 2.5])
def test_a_create_that_is_killed_goes_on_with_the_same_keys(
    lab: Lab, tmp_path: Path, seconds: float
) -> None:
    """And its end doesn't need an API server that answers."""
    tenant = tenant_in(lab, tmp_path, f"e2e-killed-{int(seconds * 10)}")
    words = ("create", tenant.name, "--workers", "0")
    killed = subprocess.Popen(
        tenant.argv(*words),
        env=tenant.environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        ours = eventually("the TenantCluster", lambda: name_in(lab, tenant.name))
        assert ours
        time.sleep(seconds)
    finally:
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
    uid = uid_of(lab, tenant.name)
    space = names.control_plane_namespace(uid, tenant.name)
    before = roots(lab, space)
    tenant.run(*words)
    after = roots(lab, space)
    assert {key: after[key] for key in before} == before
    assert "kube-system" in tenant.kubectl("get", "namespaces", "-o", "name")
    lab.kubectl("delete", "statefulset", "etcd", "-n", space)
    tenant.run("delete", tenant.name)
    assert leftovers(lab, uid, tenant.name) == ""


def name_in(lab: Lab, name: str) -> bool:
    found = lab.kubectl("get", "tc", "--ignore-not-found", "-o", "name") if served(lab) else ""
    return name in found


def served(lab: Lab) -> bool:
    return "tenantclusters" in lab.kubectl("get", "crd", "-o", "name")


def roots(lab: Lab, namespace: str) -> dict[str, Any]:
    """What may never change, by the name of its Secret."""
    found = yaml.safe_load(
        lab.kubectl("get", "secrets", "-n", namespace, "-o", "yaml", "--ignore-not-found") or "{}"
    )
    items = found.get("items", ())
    return {s["metadata"]["name"]: s["data"] for s in items if s.get("immutable")}


def test_a_bad_spec_is_refused_with_all_its_problems(lab: Lab, tmp_path: Path) -> None:
    tenant = tenant_in(lab, tmp_path, "e2e-bad")
    file = tmp_path / "bad.yaml"
    file.write_text(
        "kind: TenantCluster\nmetadata: {name: e2e-bad}\n"
        "spec: {version: v1.2.3, colour: blue, datastore: {size: much}}\n"
    )
    refused = tenant.run("create", "e2e-bad", "-f", str(file), check=False)
    assert refused.returncode == 2
    for problem in ("spec.colour: unknown key", "spec.datastore.size"):
        assert problem in refused.stderr
    assert "e2e-bad" not in tenant.run("list").stdout
