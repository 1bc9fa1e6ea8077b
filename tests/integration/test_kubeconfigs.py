"""How people get into a tenant: for hours, by kubectl, and with a word to others where it is for longer."""

import base64
import json
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from kubeception import names
from kubeception.engine.follow import until_gone
from kubeception.engine.reconcile import Engine
from kubeception.kube.client import Cluster, Object
from kubeception.kube.kubeconfig import load
from tests.integration.command import Cli
from tests.integration.servers import ApiServer, api_server, binary


@dataclass(frozen=True)
class Tenant:
    """A tenant in the host, and an API server that trusts the CA of its clients."""

    cli: Cli
    host: Cluster
    name: str
    server: ApiServer

    def kubectl(self, config: Path, *words: str, code: int = 0, folder: Path | None = None) -> str:
        """What kubectl says, by the current context of this file, in this folder."""
        server = self.server.kubeconfig["clusters"][0]["cluster"]["server"]
        authority = self.server.folder / "serving.crt"
        done = subprocess.run(
            (
                binary("kubectl"),
                f"--kubeconfig={config}",
                f"--server={server}",
                f"--certificate-authority={authority}",
                *words,
            ),
            env=self.cli.environment,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def take(self, *words: str) -> Object:
        """The kubeconfig that is printed."""
        printed: Object = yaml.safe_load(self.cli.run("kubeconfig", self.name, *words).stdout)
        return printed

    def kept(self) -> Path:
        """The one credential that is kept for the plug-in."""
        (file,) = (self.cli.folder / ".cache/kubeception/credentials").iterdir()
        assert file.stat().st_mode & 0o077 == 0
        return file

    def events(self) -> list[Object]:
        found = self.host.list("Event", "default")
        mine = [e for e in found if e["involvedObject"]["name"] == self.name]
        return [e for e in mine if e["reason"] == "BreakGlassKubeconfig"]


@pytest.fixture(scope="module")
def tenant(
    host_server: ApiServer, tmp_path_factory: pytest.TempPathFactory, etcd: str
) -> Iterator[Tenant]:
    folder, name = tmp_path_factory.mktemp("people"), f"p-{uuid.uuid4().hex[:8]}"
    cli = Cli.of(host_server, folder)
    cluster = {
        "apiVersion": names.API_VERSION,
        "kind": "TenantCluster",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"datastore": {"storage": "Ephemeral"}, "exposure": {"type": "ClusterIP"}},
    }
    cli.run("apply", "-f", "-", "--wait", "0", stdin=yaml.safe_dump(cluster))
    with host_server.cluster() as host:
        with Engine(host, "default", name) as engine:
            engine.step()
            (folder / "clients.crt").write_bytes(engine.context().pki.ca("client").cert)
        trust = f"--client-ca-file={folder / 'clients.crt'}"
        with api_server(folder / "api", etcd, f"/{name}", trust) as server:
            with server.cluster() as inside:
                inside.apply(administrators())
            yield Tenant(cli, host, name, server)
        host.delete("TenantCluster", name, "default")
        with Engine(host, "default", name) as engine:
            until_gone(engine, 60, lambda _: None)


def administrators() -> Object:
    group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group"}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "kubeadm:cluster-admins"},
        "roleRef": {**group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{**group, "name": "kubeadm:cluster-admins"}],
    }


def left(document: Object) -> timedelta:
    """How long the certificate in it is good for."""
    data = document["users"][0]["user"]["client-certificate-data"]
    found = x509.load_pem_x509_certificate(base64.b64decode(data))
    return found.not_valid_after_utc - datetime.now(UTC)


def about(hours: float) -> object:
    return pytest.approx(hours, abs=0.1)


def hours(span: timedelta) -> float:
    return span.total_seconds() / 3600


def test_what_is_printed_is_the_administrators_for_half_a_day(
    tenant: Tenant, tmp_path: Path
) -> None:
    document = tenant.take()
    assert hours(left(document)) == about(12)
    (tmp_path / "config").write_text(yaml.safe_dump(document))
    assert "kubernetes-admin" in tenant.kubectl(tmp_path / "config", "auth", "whoami")
    assert "yes" in tenant.kubectl(tmp_path / "config", "auth", "can-i", "*", "*")
    assert hours(left(tenant.take("--ttl", "90m"))) == about(1.5)


def test_the_host_keeps_no_certificate_of_a_person(tenant: Tenant) -> None:
    found = tenant.host.get("TenantCluster", tenant.name, "default")
    assert found
    space = names.control_plane_namespace(found["metadata"]["uid"], tenant.name)
    secrets = tenant.host.list("Secret", space)
    assert "engine" in [secret["metadata"]["name"] for secret in secrets]
    certificates = [
        x509.load_pem_x509_certificate(base64.b64decode(value))
        for secret in secrets
        for file, value in (secret.get("data") or {}).items()
        if file.endswith(".crt")
    ]
    assert certificates
    assert not [c for c in certificates if "kubernetes-admin" in c.subject.rfc4514_string()]


def test_one_for_longer_is_told_of(tenant: Tenant) -> None:
    said = tenant.cli.run("kubeconfig", tenant.name, "--ttl", "25h", code=2)
    assert (said.stdout, "--break-glass" in said.stderr) == ("", True)
    assert tenant.events() == []
    assert hours(left(tenant.take("--ttl", "25h", "--break-glass"))) == about(25)
    (event,) = tenant.events()
    assert event["type"] == "Warning"
    assert event["message"].startswith("admin took a kubeconfig of the administrator")
    assert hours(left(tenant.take("--break-glass"))) == about(365 * 24)
    assert len(tenant.events()) == 2
    tenant.cli.run("kubeconfig", tenant.name, "--ttl", "8761h", "--break-glass", code=2)


def test_what_can_not_be_told_is_not_given_out(tenant: Tenant, tmp_path: Path) -> None:
    """Somebody who may read all of the host, and write nothing."""
    place = {"name": "reader", "namespace": "default"}
    reader, meta = {"kind": "ServiceAccount", **place}, {"name": "people-reader"}
    rbac = "rbac.authorization.k8s.io"
    every = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
    role = {"apiGroup": rbac, "kind": "ClusterRole", **meta}
    tenant.host.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place})
    for obj in (
        {"kind": "ClusterRole", "rules": every},
        {"kind": "ClusterRoleBinding", "roleRef": role, "subjects": [reader]},
    ):
        tenant.host.apply({"apiVersion": f"{rbac}/v1", "metadata": meta, **obj})
    kubectl = (binary("kubectl"), "create", "token", "reader")
    asked = subprocess.run(kubectl, env=tenant.cli.environment, capture_output=True, check=True)
    config = yaml.safe_load((tenant.cli.folder / "kubeconfig").read_text())
    config["users"][0]["user"] = {"token": asked.stdout.decode().strip()}
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    words = ("kubeconfig", tenant.name, "--kubeconfig", str(tmp_path / "config"))
    assert "client-key-data" in tenant.cli.run(*words).stdout
    said = tenant.cli.run(*words, "--break-glass", code=1)
    assert said.stdout == ""
    assert 'cannot create resource "events"' in said.stderr


def test_a_merged_context_renews_its_certificate_by_itself(tenant: Tenant) -> None:
    config = tenant.cli.folder / "kubeconfig"
    before = config.read_text()
    try:
        tenant.cli.run("kubeconfig", tenant.name, "--merge")
        document = yaml.safe_load(config.read_text())
        assert document["current-context"] == tenant.name
        assert "client-key-data" not in config.read_text()
        assert "kubernetes-admin" in tenant.kubectl(config, "auth", "whoami")
        first = tenant.kept().read_text()

        merged = config.read_text()
        host = document["contexts"][0]["context"]["cluster"]
        (server,) = (c["cluster"] for c in document["clusters"] if c["name"] == host)
        server["server"] = "https://127.0.0.1:1"
        config.write_text(yaml.safe_dump(document))
        assert "kubernetes-admin" in tenant.kubectl(config, "auth", "whoami"), "it is kept"

        old = json.loads(first)
        soon = (datetime.now(UTC) + timedelta(minutes=9)).strftime("%Y-%m-%dT%H:%M:%SZ")
        old["status"]["expirationTimestamp"] = soon
        tenant.kept().write_text(json.dumps(old))
        assert "connection refused" in tenant.kubectl(config, "auth", "whoami", code=1)

        config.write_text(merged)
        assert "kubernetes-admin" in tenant.kubectl(config, "auth", "whoami")
        assert tenant.kept().read_text() != first
    finally:
        config.write_text(before)


def test_a_merged_context_can_be_a_host_in_turn(tenant: Tenant) -> None:
    """By the client of this program, for a tenant of the tenant."""
    config = tenant.cli.folder / "kubeconfig"
    before = config.read_text()
    try:
        tenant.cli.run("kubeconfig", tenant.name, "--merge")
        document = load((config,)).select(tenant.name)
        document["clusters"] = [{**tenant.server.kubeconfig["clusters"][0], "name": tenant.name}]
        document["users"][0]["user"]["exec"]["env"] += [
            {"name": "HOME", "value": str(tenant.cli.folder)}
        ]
        with Cluster(document, "tenant as a host") as inside:
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            said = inside.create({**review, "metadata": {}})
    finally:
        config.write_text(before)
    assert said["status"]["userInfo"]["username"] == "kubernetes-admin"


@pytest.mark.attack("A10")
def test_a_merged_context_runs_nothing_of_the_folder_one_is_in(
    tenant: Tenant, tmp_path: Path
) -> None:
    config = tenant.cli.folder / "kubeconfig"
    before = config.read_text()
    (tmp_path / "kubeception").mkdir()
    (tmp_path / "kubeception" / "__main__.py").write_text("open('stepped-on', 'w')")
    (tmp_path / "click.py").write_text("open('stepped-on', 'w')")
    try:
        tenant.cli.run("kubeconfig", tenant.name, "--merge")
        said = tenant.kubectl(config, "auth", "whoami", folder=tmp_path)
    finally:
        config.write_text(before)
    assert "kubernetes-admin" in said
    assert not (tmp_path / "stepped-on").exists()


def test_a_merged_context_has_no_time_of_its_own(tenant: Tenant) -> None:
    for words in (("--ttl", "1h"), ("--break-glass",)):
        said = tenant.cli.run("kubeconfig", tenant.name, "--merge", *words, code=2)
        assert "renewed by itself" in said.stderr
