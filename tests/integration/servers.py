"""Real etcd, kube-apiserver and kube-controller-manager processes, without nodes."""

import json
import os
import shutil
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubeception import names
from kubeception.kube.client import Cluster

START_SECONDS = 180
TOKEN = "integration-admin"
OPERATOR_TOKEN = "integration-operator"
CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
)


def binary(name: str) -> str:
    """A part of the lab: from the folder $KUBECEPTION_BIN, the cache or PATH."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubeception" / "bin"
    for folder in filter(None, (os.environ.get("KUBECEPTION_BIN"), str(cache), os.environ["PATH"])):
        if found := shutil.which(name, path=folder):
            return found
    pytest.fail(f"{name} is not there: `kubeception lab up` makes it, or set KUBECEPTION_BIN")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def process(folder: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its output in a file, ended at the end."""
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as output:
        running = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def certificate(folder: Path, *hosts: str) -> bytes:
    """A self-signed certificate for 127.0.0.1 and these names in `serving.{crt,key}`; its PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "integration")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.IPAddress(ip_address("127.0.0.1")),
                    *map(x509.DNSName, ("localhost", *hosts)),
                ]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    data = built.public_bytes(serialization.Encoding.PEM)
    (folder / "serving.crt").write_bytes(data)
    (folder / "serving.key").write_bytes(pem(key))
    return data


@dataclass(frozen=True)
class ApiServer:
    """A running API server and its administrator's kubeconfig."""

    folder: Path
    kubeconfig: dict[str, Any]
    audit: Path
    command: tuple[str, ...]
    pid: int

    def cluster(self, title: str = "host") -> Cluster:
        return Cluster(self.kubeconfig, title)

    def as_operator(self) -> Cluster:
        """The same server for one who has the token of the operator's ServiceAccount."""
        return Cluster(self.operator_kubeconfig(), "host")

    def operator_kubeconfig(self) -> dict[str, Any]:
        """For the operator, with the rights it is installed with and no others."""
        user = {"name": "it", "user": {"token": OPERATOR_TOKEN}}
        return {**self.kubeconfig, "users": [user]}

    def writes(self) -> list[str]:
        """`verb resource namespace/name` of every request of kubeception that could have changed something."""
        found = []
        lines = self.audit.read_text().splitlines(keepends=True)
        for line in (each for each in lines if each.endswith("\n")):  # the last may be half written
            event = json.loads(line)
            if event.get("userAgent", "").startswith("kubeception") and event["verb"] not in (
                "get",
                "list",
                "watch",
            ):
                where = event.get("objectRef", {})
                found.append(
                    f"{event['verb']} {where.get('resource')} "
                    f"{where.get('namespace', '')}/{where.get('name', '')}"
                )
        return found


@contextmanager
def api_server(folder: Path, etcd: str, prefix: str, *flags: str) -> Iterator[ApiServer]:
    """An API server with data of its own below `prefix` in etcd; of two flags of one name the one given counts."""
    folder.mkdir()
    port, authority = free_port(), certificate(folder)
    (folder / "sa.key").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    groups = f"system:serviceaccounts,system:serviceaccounts:{names.SYSTEM_NAMESPACE}"
    (folder / "tokens.csv").write_text(
        f'{TOKEN},admin,admin,"system:masters"\n'
        f'{OPERATOR_TOKEN},{names.OPERATOR_USER},operator,"{groups}"\n'
    )
    policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"]}
    (folder / "audit.json").write_text(json.dumps({**policy, "rules": [{"level": "Metadata"}]}))
    audit = folder / "audit.log"
    given = {flag.partition("=")[0] for flag in flags}
    own = (
        f"--etcd-servers={etcd}",
        f"--etcd-prefix={prefix}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--tls-cert-file=serving.crt",
        "--tls-private-key-file=serving.key",
        "--token-auth-file=tokens.csv",
        "--service-account-issuer=https://integration",
        "--service-account-key-file=sa.key",
        "--service-account-signing-key-file=sa.key",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--authorization-mode=Node,RBAC",
        "--audit-policy-file=audit.json",
        f"--audit-log-path={audit}",
        "--audit-log-mode=blocking",
    )
    kept = [flag for flag in own if flag.partition("=")[0] not in given]
    command = (binary("kube-apiserver"), *kept, *flags)
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [
            {
                "name": "it",
                "cluster": {
                    "server": f"https://127.0.0.1:{port}",
                    "certificate-authority-data": b64encode(authority).decode(),
                },
            }
        ],
        "users": [{"name": "it", "user": {"token": TOKEN}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }
    with process(folder, *command) as running:
        server = ApiServer(folder, kubeconfig, audit, command, running.pid)
        until_ready(server, running)
        yield server


def until_ready(server: ApiServer, running: subprocess.Popen[bytes]) -> None:
    from kubeception.errors import ApiError

    deadline = time.monotonic() + START_SECONDS
    with server.cluster() as cluster:
        while time.monotonic() < deadline and running.poll() is None:
            try:
                if cluster.raw("/readyz") == "ok":
                    return
            except ApiError:
                time.sleep(0.1)
    log = (server.folder / "kube-apiserver.log").read_text()
    pytest.fail(f"kube-apiserver is not ready:\n{log[-2000:]}")


@contextmanager
def controllers(server: ApiServer) -> Iterator[None]:
    """The controllers that deletion needs."""
    (server.folder / "kubeconfig").write_text(json.dumps(server.kubeconfig))
    with process(
        server.folder,
        binary("kube-controller-manager"),
        "--kubeconfig=kubeconfig",
        f"--controllers={','.join(CONTROLLERS)}",
        "--leader-elect=false",
        f"--secure-port={free_port()}",
        "--bind-address=127.0.0.1",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ):
        yield
