"""An operator in the lab's host, and kubectl alone: a cluster with a node is made, made smaller and ended.

The last file of its tier: while an operator is installed, commands give way to it.
"""

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kubeception import names
from tests.e2e.conftest import Lab, programs
from tests.e2e.outside import WHO, Asking, asked, balanced, own_address
from tests.e2e.tenant import Tenant, eventually, leftovers, roots, tenant_in, uid_of

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "manifests" / "install" / "kubeception.yaml"
NAME = "e2e-operator"
READY_SECONDS = 900
OUTAGE_SECONDS = float(os.environ.get("KUBECEPTION_OUTAGE", "20"))
"""How long the host is without its API."""
KILLS = 3
"""Of one operation: a pod that is never left alone for as long as it takes to start gets nothing done."""
SYSTEM = ("-n", names.SYSTEM_NAMESPACE)
ASKED = f"""\
apiVersion: {names.API_VERSION}
kind: TenantCluster
metadata: {{name: {NAME}}}
---
apiVersion: {names.API_VERSION}
kind: NodePool
metadata: {{name: {NAME}}}
spec:
  clusterRef: {{name: {NAME}}}
  replicas: 1
"""


@dataclass
class Killer:
    """Ends the operator again and again at random moments: its process by SIGKILL, or its pod without grace."""

    lab: Lab
    kills: int = 0

    def run(self, over: threading.Event) -> None:
        chance = random.Random()  # where it strikes is said by the operator's log
        for _ in range(KILLS):
            if over.wait(chance.uniform(0.5, 8)):
                return
            if chance.random() < 0.5 and (found := processes(self.lab)):
                for pid in found:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        self.kills += 1
            else:
                gone = self.lab.kubectl(
                    "delete", "pods", "--all", "--force", "--grace-period=0", *SYSTEM
                )
                self.kills += gone.count("deleted")


def processes(lab: Lab) -> list[int]:
    """The operator's processes in a lab's pods."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            ours = f"kubeception-{lab.name}/" in (process / "cgroup").read_text()
            if b"kubeception.operator" in words and ours:
                found.append(int(process.name))
    return found


@contextmanager
def killed_at_random(lab: Lab) -> Iterator[Killer]:
    """While this lasts, no operator lives long."""
    killer, over = Killer(lab), threading.Event()
    thread = threading.Thread(target=killer.run, args=(over,))
    thread.start()
    try:
        yield killer
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def operated(lab: Lab) -> Iterator[Lab]:
    """The lab with an operator, by kubectl."""
    said = lab.kubectl("apply", "-f", str(INSTALL))
    assert f"deployment.apps/{names.OPERATOR} created" in said
    lab.kubectl("rollout", "status", f"deployment/{names.OPERATOR}", *SYSTEM, "--timeout=300s")
    yield lab
    command(lab, "uninstall", "--with-tenants")


def command(lab: Lab, *words: str, code: int = 0) -> str:
    """What a command of ours prints, to whatever."""
    done = Tenant(lab, NAME, lab.kubeconfig).run(*words, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def tenant_of(lab: Lab, folder: Path) -> Tenant:
    """The tenant's kubectl, as its administrator."""
    tenant = tenant_in(lab, folder, NAME)
    tenant.run("kubeconfig", NAME, "--merge")
    return tenant


def wait_for(lab: Lab, resource: str, condition: str) -> None:
    lab.kubectl("wait", resource, f"--for={condition}", f"--timeout={READY_SECONDS}s")


def spaces(lab: Lab) -> tuple[str, str]:
    uid = uid_of(lab, NAME)
    return names.control_plane_namespace(uid, NAME), names.nodes_namespace(uid, NAME)


def services(lab: Lab, namespace: str) -> str:
    return lab.kubectl("get", "services,endpointslices", "-n", namespace, "-o", "name")


def replaced(tenant: Tenant, old: str) -> bool:
    """Whether the node is gone, and another is there."""
    nodes = tenant.nodes()
    return bool(nodes) and old not in nodes


def policies(lab: Lab, namespace: str) -> str:
    return lab.kubectl("get", "networkpolicies", "-n", namespace, "-o", "name")


@contextmanager
def without_api(lab: Lab) -> Iterator[None]:
    """While this lasts, the host has no kube-apiserver: its kubelet is told of none."""
    state = Path(lab.status()["kubeconfig"]).parent
    told = state / "nodes" / "1" / "etc" / "kubernetes" / "manifests" / "kube-apiserver.yaml"
    apart = told.parent.with_name("kube-apiserver.yaml")
    told.rename(apart)
    try:
        eventually("no API of the host", lambda: not answers(lab))
        yield
    finally:
        apart.rename(told)
        eventually("the API of the host", lambda: answers(lab), READY_SECONDS)


def answers(lab: Lab) -> bool:
    """Whether the host's API server does."""
    kubectl = [str(programs() / "kubectl"), f"--kubeconfig={lab.kubeconfig}"]
    asked = [*kubectl, "get", "--raw=/readyz", "--request-timeout=2s"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def pods(lab: Lab, *namespaces: str) -> dict[str, tuple[Any, ...]]:
    """uid → name, node and restarts of each container."""
    found = {}
    for namespace in namespaces:
        for pod in json.loads(lab.kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]:
            status = pod["status"]
            containers = (
                *status.get("initContainerStatuses", ()),
                *status.get("containerStatuses", ()),
            )
            restarts = tuple((c["name"], c["restartCount"]) for c in containers)
            found[pod["metadata"]["uid"]] = (pod["metadata"]["name"], restarts)
    return found


class TestOperator:
    """In this order: each uses what the one before left."""

    def test_kubectl_alone_makes_a_cluster_with_a_node_however_often_the_operator_is_killed(
        self, operated: Lab, tmp_path: Path
    ) -> None:
        with killed_at_random(operated) as killer:
            operated.kubectl("apply", "-f", "-", stdin=ASKED)
            own, nodes = spaces(operated)
            first = eventually("keys", lambda: roots(operated, own))
            eventually(
                "a machine",
                lambda: operated.kubectl("get", "vm", "-n", nodes, "-o", "name").split(),
            )
            eventually("a kill", lambda: killer.kills)
        wait_for(operated, f"tc/{NAME}", "condition=Ready")
        wait_for(operated, f"np/{NAME}", "condition=Ready")
        tenant = tenant_of(operated, tmp_path)
        assert len(tenant.nodes()) == 1
        assert len(operated.kubectl("get", "vm", "-n", nodes, "-o", "name").split()) == 1
        kept = roots(operated, own)
        assert {key: kept[key] for key in first} == first
        secrets = tenant.kubectl("get", "secrets", "-n", "kube-system", "-o", "name")
        assert "bootstrap-token" not in secrets

    def test_a_host_that_enforces_no_policies_is_told(self, operated: Lab) -> None:
        """The lab is on flannel."""
        wait_for(operated, f"tc/{NAME}", "condition=NetworkPolicyEnforced=False")
        assert "! Network:" in command(operated, "doctor")

    def test_a_command_gives_way_to_the_operator(self, operated: Lab) -> None:
        said = command(operated, "create", NAME, "--no-merge")
        assert "✓ Nodes  1/1 nodes ready" in said
        leases = operated.kubectl("get", "leases", "-n", "default", "-o", "name")
        assert NAME not in leases

    def test_a_load_balancer_reaches_a_virtual_machine_and_goes_on_while_that_is_replaced(
        self, operated: Lab, tmp_path: Path
    ) -> None:
        tenant = tenant_of(operated, tmp_path)
        tenant.kubectl("apply", "-f", "-", stdin=WHO)
        for name, policy in (("everywhere", "Cluster"), ("local", "Local")):
            tenant.kubectl("apply", "-f", "-", stdin=balanced(name, policy))
        ingress = "jsonpath={.status.loadBalancer.ingress[0].ip}"

        def address(name: str) -> str:
            said = eventually("address", lambda: tenant.kubectl("get", "svc", name, "-o", ingress))
            return str(said)

        everywhere, local = address("everywhere"), address("local")
        tenant.kubectl("rollout", "status", "deployment/who", "--timeout=120s")
        outside = eventually("an answer", lambda: asked(local), 60)
        assert outside.strip("[]").removeprefix("::ffff:") == own_address(local)
        assert eventually("an answer", lambda: asked(everywhere), 60)

        (old,) = tenant.nodes()
        changed = {"spec": {"userData": {"commands": [["true"]]}}}
        with Asking(everywhere) as asking:
            operated.kubectl("patch", f"np/{NAME}", "--type=merge", "-p", json.dumps(changed))
            eventually("another node", lambda: replaced(tenant, old), READY_SECONDS)
            eventually("more answers", lambda: asked(local), 60)
        assert asking.good > 50, asking
        assert asking.bad <= 3, asking
        tenant.kubectl("delete", "svc", "everywhere", "local")
        own, machines = spaces(operated)
        eventually("no load balancer", lambda: "/lb-" not in services(operated, own), 60)
        eventually("the old machine's end", lambda: len(pods(operated, machines)) == 1)

    def test_an_upgrade_restarts_no_pod_of_the_tenant(self, operated: Lab) -> None:
        before, operators = pods(operated, *spaces(operated)), pods(operated, SYSTEM[1])
        said = command(operated, "upgrade")
        assert "✓ Operator" in said
        assert pods(operated, *spaces(operated)) == before
        assert before
        gone = eventually(
            "the earlier pods", lambda: not {*operators} & {*pods(operated, SYSTEM[1])}
        )
        assert gone
        assert "nothing changed" in command(operated, "upgrade")
        wait_for(operated, f"tc/{NAME}", "condition=Ready")
        assert pods(operated, *spaces(operated)) == before

    def test_tenants_serve_on_while_the_host_has_no_api_and_the_operator_comes_back(
        self, operated: Lab, tmp_path: Path
    ) -> None:
        tenant = tenant_of(operated, tmp_path)
        own, _ = spaces(operated)
        before = pods(operated, *spaces(operated))
        with without_api(operated):
            gone = time.monotonic()
            while time.monotonic() - gone < OUTAGE_SECONDS:
                tenant.kubectl("create", "configmap", f"at-{time.monotonic_ns()}")
                assert len(tenant.nodes()) == 1
                time.sleep(1)
        kept = policies(operated, own)
        operated.kubectl("delete", "networkpolicies", "--all", "-n", own)
        eventually("a repair", lambda: policies(operated, own) == kept)
        assert kept
        wait_for(operated, f"tc/{NAME}", "condition=Ready")
        assert pods(operated, *spaces(operated)) == before
        assert len(tenant.nodes()) == 1

    def test_uninstall_refuses_while_there_is_a_tenant(self, operated: Lab) -> None:
        said = command(operated, "uninstall", code=1)
        assert f"default/{NAME}" in said
        assert operated.kubectl("get", "deployment", names.OPERATOR, *SYSTEM, "-o", "name")

    def test_a_pool_shrinks_however_often_the_operator_is_killed(self, operated: Lab) -> None:
        _, nodes = spaces(operated)
        with killed_at_random(operated) as killer:
            operated.kubectl("scale", f"np/{NAME}", "--replicas=0")
            eventually(
                "no machine",
                lambda: not operated.kubectl("get", "vm", "-n", nodes, "-o", "name").split(),
            )
            eventually("a kill", lambda: killer.kills)
        wait_for(operated, f"np/{NAME}", "jsonpath={.status.replicas}=0")
        wait_for(operated, f"tc/{NAME}", "condition=Ready")
        secrets = operated.kubectl("get", "secrets", "-n", nodes, "-o", "name").split()
        assert secrets == []

    def test_nothing_is_left_however_often_the_operator_is_killed(self, operated: Lab) -> None:
        uid = uid_of(operated, NAME)
        with killed_at_random(operated):
            operated.kubectl("delete", "tc", NAME, "--wait=false")
            eventually(
                "the end", lambda: NAME not in operated.kubectl("get", "tc,np", "-o", "name")
            )
        assert leftovers(operated, uid, NAME) == ""

    def test_uninstall_leaves_nothing(self, operated: Lab) -> None:
        command(operated, "uninstall")
        label = names.COMPONENT_LABEL
        kinds = "namespaces,clusterroles,clusterrolebindings,roles,rolebindings,crds"
        assert operated.kubectl("get", kinds, "-A", "-l", label, "-o", "name") == ""
        assert names.GROUP not in operated.kubectl("api-resources", "-o", "name")
