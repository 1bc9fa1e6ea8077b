"""Somebody types what the pages beyond the tutorial show, on clusters whose nodes are pods."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml

from kubeception import names
from tests.blocks import blocks_of
from tests.e2e.conftest import Lab
from tests.e2e.reader import Reader
from tests.e2e.tenant import eventually, uid_of

SECONDS: Final = 600
WEB: Final = """\
apiVersion: kubeception.io/v1alpha1
kind: NodePool
metadata: {name: acme-web}
spec: {clusterRef: {name: acme}, replicas: 1, provider: pod, labels: {example.com/tier: web}}
"""
METAL: Final = """\
apiVersion: kubeception.io/v1alpha1
kind: NodePool
metadata: {name: acme-metal}
spec: {clusterRef: {name: acme}, replicas: 1, provider: ssh, ssh: {machines: [{address: 198.51.100.8}]}}
"""
IMAGE: Final = "docker.io/library/busybox:1.36"
API: Final = "kubernetes.default.svc.cluster.local"
GIVEN: Final = "secret/acme-key role/acme-key rolebinding/acme-key"
"""What the pages have somebody make in the host."""


@dataclass
class Owner(Reader):
    """Whose clusters have these names, and machines those that they came to have."""

    def own(self, command: str) -> str:
        command = re.sub(r"\bNODE\b", lambda _: self.node("try"), command)
        command = re.sub(r"\bacme-workers-[0-9a-f]{8}\b", lambda _: self.node("acme"), command)
        return super().own(command)

    def node(self, cluster: str) -> str:
        """One of a cluster's nodes."""
        printed = self.must(f"kubeception nodes {cluster} -o name")
        return printed[0].split("/")[-1]

    def must(self, command: str) -> list[str]:
        """What a command prints that isn't on a page."""
        code, printed = self.type(command)
        assert code == 0, (command, printed)
        return printed

    def follow_page(self, name: str, *headings: str) -> str:
        """Type these sections of a page; what they printed."""
        before = len(self.said)
        for block in blocks_of(__file__):
            if block.path.name == name and (not headings or block.heading in headings):
                self.follow(block)
        assert len(self.said) > before
        return "\n".join(self.said[before:])


@pytest.fixture(scope="module")
def owner(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    made = Owner(lab, tmp_path_factory.mktemp("owner"))
    made.must("pip install .")
    made.must(f"kubeception lab kubeconfig --merge --name {lab.name}")
    made.must(f"kubectl delete --ignore-not-found {GIVEN}")
    yield made
    made.type("kubectl label namespace default kubeception.io/allow-ssh-nodes-")
    made.type(f"kubectl delete {GIVEN}; kubeception delete acme; kubeception delete try")
    made.type("kubeception uninstall --with-tenants")
    made.close()


@pytest.mark.timeout(SECONDS)
class TestPages:
    """In this order: each uses what the one before left."""

    def test_nodes_that_are_pods(self, owner: Owner) -> None:
        said = owner.follow_page("nodes.md", "Pods")
        assert "starting kubelet" in said

    def test_pools(self, owner: Owner) -> None:
        owner.must("kubeception create acme --provider pod --workers 1 --no-merge")
        owner.must(f"kubectl apply --filename - <<'END'\n{WEB}END")
        said = owner.follow_page("node-pools.md")
        assert "acme-web" in said
        spec = yaml.safe_load(owner.lab.kubectl("get", "np", "acme-web", "-o", "yaml"))["spec"]
        assert (spec["replicas"], spec["paused"]) == (3, True)
        ready = owner.must("kubeception nodes acme")
        assert sum("Ready" in line.split() for line in ready) == 3  # 1 and 2: nobody worked since
        for name in ("try", "acme"):  # whose nodes are on the same node of the host
            kubectl = f"kubeception connect {name} -- kubectl"
            owner.must(f"{kubectl} run probe --image {IMAGE} -- busybox sleep 600")
            owner.must(f"{kubectl} wait pod/probe --for condition=Ready --timeout 60s")
            owner.must(f"{kubectl} exec probe -- busybox nslookup {API}")
        owner.must("kubeception delete try")

    def test_what_ended_and_a_machine(self, owner: Owner) -> None:
        os.kill(etcd_of(owner.lab, "acme"), signal.SIGKILL)
        restarts = "jsonpath={.status.containerStatuses[0].restartCount}"
        space = names.control_plane_namespace(uid_of(owner.lab, "acme"), "acme")
        eventually(
            "etcd starts again",
            lambda: owner.lab.kubectl("get", "pod", "etcd-0", "-n", space, "-o", restarts) == "1",
        )
        said = owner.follow_page("howto.md", "Find out what is wrong")
        assert "etcd-version" in said
        assert "starting kubelet" in said

    def test_machines_of_ones_own(self, owner: Owner) -> None:
        """One of which nobody but its owner reaches; a pool that is paused doesn't keep it from joining."""
        owner.must(f"kubectl apply --filename - <<'END'\n{METAL}END")
        said = owner.follow_page("nodes.md", "Machines of your own, by SSH")
        assert "secret/acme-key created" in said
        assert "| base64 -d | gunzip | sh" in said

    def test_an_operator_comes_and_goes(self, owner: Owner) -> None:
        uid = uid_of(owner.lab, "acme")
        said = owner.follow_page("install.md")
        assert "default/acme" in said
        kinds = "namespaces,clusterroles,clusterrolebindings,crds"
        left = owner.lab.kubectl("get", kinds, "-o", "name")
        assert names.control_plane_namespace(uid, "acme") not in left
        assert names.SYSTEM_NAMESPACE not in left
        assert names.GROUP not in left
        assert names.OPERATOR not in left


def etcd_of(lab: Lab, tenant: str) -> int:
    """The process that is a tenant's etcd."""
    space = names.control_plane_namespace(uid_of(lab, tenant), tenant)
    uid = lab.kubectl("get", "pod", "etcd-0", "-n", space, "-o", "jsonpath={.metadata.uid}")
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"etcd") and uid in (folder / "cgroup").read_text():
                return int(folder.name)
    pytest.fail(f"no etcd of {tenant} runs")
