"""What a machine of ours boots with, held against what `kubeadm join` writes, and taken by a real kubelet."""

import json
import os
import shlex
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeception.components.kubeadm import Kubeadm
from kubeception.kube.client import Cluster
from kubeception.plan.bootstrap import (
    BOOTSTRAP,
    CERTIFICATE,
    CONTAINERD,
    JOIN,
    File,
    kubeadm_bootstrap,
    node_bootstrap,
    token_secret,
)
from kubeception.plan.context import PlanContext
from tests.integration.operators import until
from tests.integration.servers import ApiServer, api_server, binary, free_port, process
from tests.plans import plan, pool

TOKEN = "abcdef.0123456789abcdef"
POOL = pool(
    1,
    labels={"tier": "front", "example.com/gpu": "no"},
    taints=[
        {"key": "a", "value": "b", "effect": "NoSchedule"},
        {"key": "c", "effect": "NoExecute"},
    ],
    kubelet={"maxPods": 20, "systemReserved": {"cpu": "100m"}, "cpuManagerPolicy": "static"},
)
CONFIG = "var/lib/kubelet/config.yaml"
FLAGS = "var/lib/kubelet/kubeadm-flags.env"
NODE = socket.gethostname()
"""kubeadm and the kubelet ask the machine they run on for its name."""


@dataclass(frozen=True)
class Tenant:
    """A tenant's API server, which signs what kubelets ask for."""

    ctx: PlanContext
    server: ApiServer
    cluster: Cluster

    def booted(self, root: Path, files: Iterable[File]) -> Path:
        """The root folder of a machine with these files, to which this server is the tenant's."""
        endpoint = self.ctx.endpoint
        assert endpoint
        mine = self.server.kubeconfig["clusters"][0]["cluster"]
        authority = self.ctx.pki.ca("serving").cert
        own = (self.server.folder / "serving.crt").read_text()
        for file in files:
            text = file.content.replace(endpoint.internal_url, mine["server"])
            text = text.replace(
                b64encode(authority).decode(), mine["certificate-authority-data"]
            ).replace(authority.decode(), own)
            path = root / file.path.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory, etcd: str) -> Iterator[Tenant]:
    if os.geteuid() != 0:
        pytest.skip("kubeadm changes its root folder to the test's, and a kubelet is root's")
    ctx = plan()
    folder = tmp_path_factory.mktemp("kubelet")
    client = ctx.pki.ca("client")
    certificate, key = folder / "client.crt", folder / "client.key"
    certificate.write_bytes(client.cert)
    key.write_bytes(client.key)
    flags = (f"--client-ca-file={certificate}", "--enable-bootstrap-token-auth=true")
    with api_server(folder / "api", etcd, "/kubelet", *flags) as server:
        (folder / "kubeconfig").write_text(json.dumps(server.kubeconfig))
        signer = (
            binary("kube-controller-manager"),
            f"--kubeconfig={folder / 'kubeconfig'}",
            "--controllers=csrapproving,csrsigning",
            "--leader-elect=false",
            f"--secure-port={free_port()}",
            "--bind-address=127.0.0.1",
            f"--cluster-signing-cert-file={certificate}",
            f"--cluster-signing-key-file={key}",
        )
        with process(folder, *signer), server.cluster("tenant") as cluster:
            cluster.create(token_secret(TOKEN, NODE, "2036-01-01T00:00:00Z", {}))
            yield Tenant(ctx, server, cluster)


@pytest.fixture
def machine(tenant: Tenant, tmp_path: Path) -> Path:
    """The root folder of a machine as ours boot, to a tenant that lets it in whatever an earlier test took away."""
    for obj in Kubeadm().objects(tenant.ctx):
        tenant.cluster.apply(obj)
    files = node_bootstrap(tenant.ctx, POOL, NODE, TOKEN).files
    return tenant.booted(tmp_path / "ours", files)


def test_its_files_are_those_that_kubeadm_would_write(
    tenant: Tenant, machine: Path, tmp_path: Path
) -> None:
    files = kubeadm_bootstrap(tenant.ctx, POOL, NODE, TOKEN).files
    theirs = tenant.booted(tmp_path / "theirs", files)
    phase = ("join", "phase", "kubelet-start", f"--config={JOIN}", f"--rootfs={theirs}")
    done = subprocess.run(
        [binary("kubeadm"), *phase], capture_output=True, text=True, check=False, timeout=60
    )
    assert not done.returncode, done.stderr
    for same in ("etc/kubernetes/pki/ca.crt", FLAGS):
        assert (machine / same).read_text() == (theirs / same).read_text()
    assert said(machine / CONFIG) == without_zeros(said(theirs / CONFIG))
    assert way_in(said(machine / BOOTSTRAP[1:])) == way_in(said(theirs / BOOTSTRAP[1:]))
    written = {str(path.relative_to(theirs)) for path in theirs.rglob("*") if path.is_file()}
    here = {str(path.relative_to(machine)) for path in machine.rglob("*") if path.is_file()}
    given = {file.path[1:] for file in files}
    assert written - given - here == {"var/lib/kubelet/instance-config.yaml"}
    assert here <= written


def said(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def without_zeros(config: Any) -> Any:
    """A KubeletConfiguration without what kubeadm fills in where nothing is said: zeros, which mean the default."""
    if isinstance(config, dict):
        kept = {key: without_zeros(value) for key, value in config.items()}
        zeros: tuple[Any, ...] = ("0s", "0", 0, {}, None)
        return {k: v for k, v in kept.items() if v is False or v not in zeros}
    return config


def way_in(config: Any) -> Any:
    """(server and its CA, credentials) of a kubeconfig."""
    (cluster,), (user,) = config["clusters"], config["users"]
    return cluster["cluster"], user["user"]


def test_a_kubelet_gets_a_certificate_by_them_and_then_needs_its_token_no_more(
    tenant: Tenant, machine: Path
) -> None:
    certificate = machine / CERTIFICATE[1:]
    came = time.monotonic()
    while not certificate.exists():  # no runtime answers: it ends, and systemd starts it again
        with kubelet(machine) as (running, _):
            while not certificate.exists() and running.poll() is None:
                assert time.monotonic() - came < 120, said_by_kubelet(machine)
                time.sleep(0.1)
    assert (machine / "etc/kubernetes/kubelet.conf").exists()
    requests = tenant.cluster.list("CertificateSigningRequest")
    (user,) = {request["spec"]["username"] for request in requests}
    assert user == "system:bootstrap:abcdef"
    # What the units of the machine do then; and it starts again.
    (machine / BOOTSTRAP[1:]).unlink()
    with kubelet(machine) as (_, has_come_to_its_runtime):
        has_come_to_its_runtime()
    assert len(tenant.cluster.list("CertificateSigningRequest")) == len(requests)


def test_its_kubeconfig_names_the_certificate_before_there_is_one(
    tenant: Tenant, machine: Path
) -> None:
    """So the end of the token is the certificate, not that file."""
    tenant.cluster.delete("ClusterRoleBinding", "kubeadm:node-autoapprove-bootstrap")
    with kubelet(machine) as (_, has_come_to_its_runtime):
        has_come_to_its_runtime()
        until((machine / "etc/kubernetes/kubelet.conf").exists, 60)
        assert not (machine / CERTIFICATE[1:]).exists()


@contextmanager
def kubelet(root: Path) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], None]]]:
    """A kubelet with the files below `root`, whose container runtime takes calls and answers none: no pod is run.

    With it comes what waits until it calls that, with its flags, configuration and credentials behind it.
    """
    config, flags = root / CONFIG, (root / FLAGS).read_text()
    runtime = root / "containerd.sock"
    runtime.unlink(missing_ok=True)
    text = config.read_text().replace(CONTAINERD, f"unix://{runtime}")
    there = root / "config-here.yaml"
    text = text.replace("/etc/kubernetes", f"{root}/etc/kubernetes")
    there.write_text(f"{text}failCgroupV1: false\nfailSwapOn: false\n")
    (arguments,) = shlex.split(flags.partition("=")[2])
    argv = (
        binary("kubelet"),
        f"--bootstrap-kubeconfig={root}{BOOTSTRAP}",
        f"--kubeconfig={root}/etc/kubernetes/kubelet.conf",
        f"--config={there}",
        f"--root-dir={root}/var/lib/kubelet",
        f"--cert-dir={root}/var/lib/kubelet/pki",
        *arguments.split(),
    )
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(runtime))
        listening.listen()
        listening.settimeout(60)

        def called() -> None:
            try:
                listening.accept()[0].close()
            except TimeoutError:
                pytest.fail(said_by_kubelet(root))

        with process(root, *argv) as running:
            yield running, called


def said_by_kubelet(root: Path) -> str:
    return (root / "kubelet.log").read_text()[-3000:]
