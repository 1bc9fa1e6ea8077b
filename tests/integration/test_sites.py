"""Machines in another cluster than the control planes: two real pairs of etcd and API server, and a tenant's.

The infra cluster has KubeVirt's kinds without its controllers: what these would do, each test writes itself.
"""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml

from kubeception import names
from kubeception.components.install import Options
from kubeception.components.rbac import account, rule
from kubeception.engine import sites
from kubeception.engine.install import install, install_operator
from kubeception.engine.reconcile import Engine
from kubeception.engine.report import Report
from kubeception.engine.sites import GIVE_UP
from kubeception.kube.client import Cluster, Object
from tests.blocks import ROOT
from tests.integration.conftest import serve
from tests.integration.operators import until
from tests.integration.servers import (
    OPERATOR_TOKEN,
    TOKEN,
    ApiServer,
    api_server,
    binary,
    free_port,
    process,
)
from tests.integration.standins import Straight
from tests.integration.test_machines import World

ADDRESS: Final = f"203.0.113.{os.getpid() % 250 + 1}"
"""Of the infra cluster's API server: this machine's, and not the host cluster's; nobody else's who tests here."""
SPACE: Final = "workers"
OUTSIDE: Final = "198.51.100.1"


@dataclass(frozen=True)
class Infra:
    """The infra cluster."""

    server: ApiServer
    cluster: Cluster

    def kubeconfig(self, address: str = ADDRESS) -> dict[str, Any]:
        """As its users have it."""
        document: dict[str, Any] = yaml.safe_load(yaml.safe_dump(self.server.kubeconfig))
        port = urlsplit(self.server.kubeconfig["clusters"][0]["cluster"]["server"]).port
        way = {"server": f"https://{address}:{port}", "tls-server-name": "localhost"}
        document["clusters"][0]["cluster"].update(way)
        return document

    @contextmanager
    def silent(self) -> Iterator[None]:
        """It takes connections, and says nothing."""
        os.kill(self.server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.server.pid, signal.SIGCONT)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody comes to it."""
        address("del")
        try:
            yield
        finally:
            address("replace")


def address(verb: str) -> None:
    """Give this machine the infra cluster's address, which a run that was killed may have left, or take it away."""
    subprocess.run(["ip", "address", verb, f"{ADDRESS}/32", "dev", "lo"], check=True)


@pytest.fixture(scope="module")
def infra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Infra]:
    folder = tmp_path_factory.mktemp("infra")
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    address("replace")
    try:
        with ExitStack() as stack:
            flags = ("--data-dir=data", "--unsafe-no-fsync", f"--listen-client-urls={client}")
            urls = (f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}")
            stack.enter_context(process(folder, binary("etcd"), *flags, *urls))
            bind = ("--bind-address=0.0.0.0", f"--advertise-address={ADDRESS}")
            server = stack.enter_context(api_server(folder / "api", client, "/infra", *bind))
            cluster = stack.enter_context(server.cluster("infra"))
            kinds = {
                "virtualmachines": "VirtualMachine",
                "virtualmachineinstances": "VirtualMachineInstance",
                "kubevirts": "KubeVirt",
            }
            for plural, kind in kinds.items():
                serve(cluster, plural, kind)
            for name in (SPACE, "kubevirt"):
                meta = {"name": name}
                cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
            deploy(cluster, "v1.8.3")
            yield Infra(server, cluster)
    finally:
        address("del")


def deploy(cluster: Cluster, version: str) -> None:
    """KubeVirt of this version is installed."""
    meta = {"name": "kubevirt", "namespace": "kubevirt"}
    cluster.apply({"apiVersion": "kubevirt.io/v1", "kind": "KubeVirt", "metadata": meta})
    status = {"status": {"phase": "Deployed", "observedKubeVirtVersion": version}}
    cluster.patch("KubeVirt", "kubevirt", status, "kubevirt", subresource="status")


class Remote(World):
    """A TenantCluster, with a pool in the infra cluster."""

    infra: Infra
    worker: Cluster
    """The host, as whoever works on the tenant sees it."""

    def step(self, times: int = 1) -> Report:
        with self.passes() as engine:
            reports = [engine.step() for _ in range(times)]
        assert reports[-1].failures == []
        return reports[-1]

    @contextmanager
    def passes(self) -> Iterator[Engine]:
        """A process that works on it, and knows nothing of earlier ones."""
        with Engine(self.worker, "default", self.name, clock=self.clock) as engine:
            engine.link = Straight(self.tenant)  # type: ignore[assignment]
            yield engine

    def ask(self, replicas: int, **spec: Any) -> None:
        options = {"infraKubeconfigSecretRef": {"name": self.name}, "infraNamespace": SPACE}
        self.scale(replicas, kubevirt=options, **spec)

    def give(self, document: dict[str, Any] | None = None) -> None:
        """The Secret with the way to the infra cluster."""
        text = yaml.safe_dump(document or self.infra.kubeconfig())
        data = {"kubeconfig": base64.b64encode(text.encode()).decode()}
        meta = {"name": self.name, "namespace": "default"}
        self.host.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data})

    def vms(self) -> list[str]:
        labels = f"{names.POOL_LABEL}={self.pool}"
        found = self.infra.cluster.list("VirtualMachine", SPACE, labels=labels)
        return sorted(vm["metadata"]["name"] for vm in found)

    def seeds(self) -> list[str]:
        labels = f"{names.POOL_LABEL}={self.pool}"
        found = self.infra.cluster.list("Secret", SPACE, labels=labels)
        return sorted(seed["metadata"]["name"] for seed in found)

    def boot(self, machine: str, address: str = "10.9.0.9") -> None:
        cluster, here = self.host, self.namespace
        self.host, self.namespace = self.infra.cluster, SPACE
        super().boot(machine, address)
        self.host, self.namespace = cluster, here
        vm = self.infra.cluster.get("VirtualMachine", machine, SPACE)
        assert vm
        labels = {"metadata": {"labels": vm["spec"]["template"]["metadata"]["labels"]}}
        self.infra.cluster.patch("VirtualMachineInstance", machine, labels, SPACE)

    def ready_machines(self, replicas: int, **spec: Any) -> list[str]:
        self.ask(replicas, **spec)
        self.step(2)
        self.start()
        self.step(2)
        return self.vms()

    def records(self) -> list[str]:
        found = self.host.list("ConfigMap", self.namespace, labels=names.SITE_LABEL)
        return [obj["metadata"]["name"] for obj in found]

    def message(self) -> str:
        """Of the pool's condition Ready."""
        (found,) = [c for c in self.status()["conditions"] if c["type"] == "Ready"]
        return str(found["message"])

    def end(self) -> list[Report]:
        """Passes until the TenantCluster is gone."""
        reports: list[Report] = []
        self.host.delete("TenantCluster", self.name, "default")
        deadline = time.monotonic() + 60
        with self.passes() as engine:
            while self.host.get("TenantCluster", self.name, "default"):
                assert time.monotonic() < deadline, reports[-1].waits_for
                reports.append(engine.step())
                time.sleep(0.2)
        return reports

    def events(self, reason: str) -> list[str]:
        found = self.host.list("Event", "default", fields=f"reason={reason}")
        return [e["message"] for e in found if self.pool in e["message"]]


@pytest.fixture
def remote(virtual_host: Cluster, tenant: Cluster, infra: Infra) -> Iterator[Remote]:
    found = of(virtual_host, tenant, infra)
    yield found
    allow(virtual_host, None)
    for vm in found.vms():
        infra.cluster.delete("VirtualMachine", vm, SPACE)
    for node in tenant.list("Node"):
        tenant.delete("Node", node["metadata"]["name"])


def of(host: Cluster, tenant: Cluster, infra: Infra) -> Remote:
    """A TenantCluster of a host."""
    allow(host, "true")
    found = Remote(host, tenant)
    found.infra, found.worker = infra, host
    exposure = {"spec": {"exposure": {"type": "NodePort", "host": OUTSIDE}}}
    host.patch("TenantCluster", found.name, exposure, "default")
    found.give()
    return found


def allow(host: Cluster, value: str | None) -> None:
    """What an administrator of the host does."""
    labels = {"metadata": {"labels": {names.ALLOW_INFRA_CLUSTERS: value}}}
    host.patch("Namespace", "default", labels)


def test_machines_are_made_join_and_go_in_the_infra_cluster(remote: Remote) -> None:
    machines = remote.ready_machines(2)
    assert len(machines) == 2
    assert remote.host.list("VirtualMachine", remote.namespace) == []
    seed = remote.infra.cluster.get("Secret", machines[0], SPACE)
    assert seed
    data = yaml.safe_load(base64.b64decode(seed["data"]["userdata"]))
    files = {file["path"]: file["content"] for file in data["write_files"]}
    assert f": {OUTSIDE} . " in files["/etc/kubeception/endpoint.nft"]
    assert data["bootcmd"][0] == ["nft", "-f", "/etc/kubeception/endpoint.nft"]
    assert remote.condition("Ready") == ("True", "Ready")
    node = remote.node(machines[0])
    assert {"type": "InternalIP", "address": "10.244.0.9"} in node["status"]["addresses"]
    assert remote.step().writes == 0
    assert len(remote.records()) == 1

    remote.ask(1)
    remote.step(2)
    (kept,) = remote.vms()
    assert remote.seeds() == [kept]
    assert {n["metadata"]["name"] for n in remote.tenant.list("Node")} == {kept}
    assert remote.step().writes == 0


def test_machines_that_can_not_be_seen_are_kept(remote: Remote) -> None:
    machines = remote.ready_machines(2)
    remote.later = timedelta(minutes=20)
    with remote.infra.away():
        began = time.monotonic()
        report = remote.step()
        assert time.monotonic() - began < 8
        assert remote.condition("Ready") == ("False", "InfraUnreachable")
        assert {state.state for state in report.machines} == {"Ready"}
        assert remote.status()["replicas"] == remote.status()["readyReplicas"] == 2
        remote.step()
    assert remote.vms() == machines
    assert sorted(n["metadata"]["name"] for n in remote.tenant.list("Node")) == machines
    remote.step()
    assert remote.vms() == machines
    assert remote.condition("Ready") == ("True", "Ready")


def test_a_machine_on_its_way_keeps_its_token_while_it_can_not_be_seen(remote: Remote) -> None:
    remote.ask(1)
    remote.step(2)
    (machine,) = remote.vms()
    with remote.infra.away():
        remote.step()
    assert list(remote.tokens()) == [machine]
    remote.step()
    assert remote.vms() == [machine]


@pytest.mark.attack("A10")
def test_a_dead_infra_cluster_holds_up_no_other_pool(remote: Remote) -> None:
    remote.ask(1)
    remote.step(2)
    body = {"apiVersion": names.API_VERSION, "kind": "NodePool"}
    meta = {"name": f"{remote.name}-here", "namespace": "default"}
    spec = {"clusterRef": {"name": remote.name}, "replicas": 1}
    remote.host.apply({**body, "metadata": meta, "spec": spec})
    with remote.infra.away():
        remote.step()
        (vm,) = remote.host.list("VirtualMachine", remote.namespace)
    assert vm["metadata"]["labels"][names.POOL_LABEL] == meta["name"]
    assert remote.condition("Ready") == ("False", "InfraUnreachable")


@pytest.mark.attack("A10")
def test_an_infra_cluster_that_is_silent_takes_little_time(remote: Remote) -> None:
    machines = remote.ready_machines(1)
    with remote.passes() as engine:
        engine.step()
        with remote.infra.silent():
            took = []
            for _ in range(3):
                began = time.monotonic()
                engine.step()
                took.append(time.monotonic() - began)
        assert took[0] < 8
        assert max(took[1:]) < 2  # it isn't asked again so soon
    assert remote.condition("Ready") == ("False", "InfraUnreachable")
    remote.step()
    assert remote.vms() == machines


def test_a_name_is_looked_up_again_after_a_failure(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, real = ["203.0.113.254"], socket.getaddrinfo

    def resolve(name: str, port: int, *rest: Any) -> list[Any]:
        if name != "infra.example.org":
            return real(name, port, *rest)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found[0], port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(sites, "QUIET_SECONDS", 0.0)
    remote.give(remote.infra.kubeconfig("infra.example.org"))
    remote.ask(1)
    with remote.passes() as engine:
        engine.step()
        engine.step()
        assert remote.condition("Ready") == ("False", "InfraUnreachable")
        found[0] = ADDRESS
        engine.step()
        assert len(remote.vms()) == 1


def test_a_secret_that_is_taken_away_takes_no_machine(remote: Remote) -> None:
    machines = remote.ready_machines(1)
    remote.host.delete("Secret", remote.name, "default")
    remote.step(2)
    assert remote.condition("Ready") == ("False", "InfraCredentials")
    assert f"Secret default/{remote.name}" in remote.message()
    assert remote.vms() == machines
    assert remote.tenant.get("Node", machines[0])
    remote.give()
    remote.step()
    assert remote.condition("Ready") == ("True", "Ready")


@pytest.mark.attack("A10")
def test_what_a_secret_may_not_say_is_said_and_nothing_secret(remote: Remote) -> None:
    document = remote.infra.kubeconfig()
    document["users"][0]["user"] |= {"token": "se cret\n", "exec": {"command": "/bin/sh"}}
    remote.give(document)
    remote.ask(1)
    remote.step(2)
    assert remote.condition("Ready") == ("False", "InfraCredentials")
    assert "exec: is not followed" in remote.message()
    assert "se cret" not in remote.message()
    assert remote.vms() == []


@pytest.mark.attack("A10", control="within")
def test_a_program_that_a_secret_names_is_not_run(remote: Remote, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": TOKEN},
    }
    document = remote.infra.kubeconfig()
    document["users"][0]["user"] = {
        "exec": {
            "apiVersion": credential["apiVersion"],
            "command": "sh",
            "args": ["-c", f"touch {ran}; echo '{json.dumps(credential)}'"],
            "interactiveMode": "Never",
        }
    }
    remote.give(document)
    remote.ask(1)
    remote.step(2)
    assert "exec: is not followed" in remote.message()
    assert not ran.exists()
    with Cluster(document, "infra cluster as a person's own") as trusting:
        assert trusting.get("Namespace", SPACE)
    assert ran.exists(), "who takes a kubeconfig as it is runs what it names"


@pytest.mark.attack("A10")
def test_the_hosts_own_addresses_are_not_dialled(remote: Remote) -> None:
    remote.give(remote.infra.kubeconfig("localhost"))
    remote.ask(1)
    remote.step(2)
    assert remote.condition("Ready") == ("False", "InfraCredentials")
    assert "127.0.0.1 is one of the host cluster's own" in remote.message()
    assert remote.vms() == []


@pytest.mark.attack("A21", control="within")
def test_nobody_is_dialled_whom_no_administrator_allowed(remote: Remote) -> None:
    allow(remote.host, None)
    remote.ask(1)
    remote.step(2)
    assert remote.condition("Ready") == ("False", "SpecRefused")
    assert names.ALLOW_INFRA_CLUSTERS in remote.message()
    assert remote.vms() == []
    allow(remote.host, "true")
    remote.step()
    assert len(remote.vms()) == 1, "without that guard it is dialled, and has a machine"


def test_an_api_server_that_is_reached_in_the_host_only_is_refused(remote: Remote) -> None:
    exposure = {"spec": {"exposure": {"type": "ClusterIP", "host": None}}}
    remote.host.patch("TenantCluster", remote.name, exposure, "default")
    remote.ask(1)
    remote.step(2)
    assert remote.condition("Ready") == ("False", "SpecRefused")
    assert "ClusterIP" in remote.message()
    assert remote.vms() == []


def test_an_old_kubevirt_there_gets_no_machine_and_loses_none(remote: Remote) -> None:
    machines = remote.ready_machines(1)
    deploy(remote.infra.cluster, "v1.8.2")
    try:
        remote.ask(2)
        remote.step(2)
        assert remote.condition("Ready") == ("False", "InfraUnfit")
        assert remote.vms() == machines
    finally:
        deploy(remote.infra.cluster, "v1.8.3")
    remote.step()
    assert len(remote.vms()) == 2


def test_a_cluster_without_kubevirt_has_no_news_of_machines(
    remote: Remote, tmp_path_factory: pytest.TempPathFactory, etcd: str
) -> None:
    """A Secret that leads elsewhere by mistake costs nobody's nodes."""
    machines = remote.ready_machines(1)
    folder = tmp_path_factory.mktemp("other")
    bind = ("--bind-address=0.0.0.0", f"--advertise-address={ADDRESS}")
    with api_server(folder / "api", etcd, "/other", *bind) as server, server.cluster() as other:
        remote.give(Infra(server, other).kubeconfig())
        remote.later = timedelta(minutes=5)
        remote.step(2)
        assert remote.condition("Ready") == ("False", "InfraUnfit")
        for plural, kind in (
            ("virtualmachines", "VirtualMachine"),
            ("virtualmachineinstances", "VirtualMachineInstance"),
        ):
            serve(other, plural, kind)
        remote.step(2)
        assert remote.condition("Ready") == ("False", "InfraCredentials")
        assert "where none of the machines are" in remote.message()
        assert other.list("VirtualMachine") == []
    assert remote.tenant.get("Node", machines[0])
    remote.give()
    remote.step()
    assert remote.vms() == machines
    assert remote.condition("Ready") == ("True", "Ready")


def test_machines_of_a_pool_that_was_deleted_go_there_too(remote: Remote) -> None:
    (machine,) = remote.ready_machines(1)
    remote.host.delete("NodePool", remote.pool, "default")
    remote.step(3)
    assert remote.vms() == []
    assert len(remote.records()) == 1  # KubeVirt's own controllers end the instance
    remote.infra.cluster.delete("VirtualMachineInstance", machine, SPACE)
    remote.step(2)
    assert remote.seeds() == []
    assert remote.records() == []
    assert remote.tenant.get("Node", machine) is None


def test_a_pool_that_was_deleted_and_is_out_of_reach_is_given_up(remote: Remote) -> None:
    (machine,) = remote.ready_machines(1)
    remote.host.delete("NodePool", remote.pool, "default")
    with remote.infra.away():
        remote.step(2)
        assert remote.tenant.get("Node", machine)
        assert len(remote.records()) == 1
        remote.later = GIVE_UP + timedelta(seconds=10)
        remote.step(2)
    assert remote.records() == []
    assert remote.tenant.get("Node", machine) is None
    (told,) = remote.events("LeftBehind")
    assert f"namespace {SPACE} of https://{ADDRESS}" in told


def test_the_end_of_a_tenant_ends_its_machines_there(remote: Remote) -> None:
    (machine,) = remote.ready_machines(1)
    remote.infra.cluster.delete("VirtualMachineInstance", machine, SPACE)
    keep = {"name": "somebodys", "namespace": SPACE}
    remote.infra.cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": keep})
    remote.end()
    assert remote.vms() == []
    assert remote.seeds() == []
    assert remote.infra.cluster.get("Secret", "somebodys", SPACE)
    assert remote.events("FinalizersCleared") == []


def test_the_end_of_a_tenant_waits_for_nobody_who_is_dead(remote: Remote) -> None:
    machines = remote.ready_machines(1)
    remote.later = timedelta(seconds=62)
    with remote.infra.away():
        remote.end()
    (told,) = remote.events("FinalizersCleared")
    assert f"namespace {SPACE} of https://{ADDRESS}" in told
    assert remote.vms() == machines


def test_the_end_of_a_tenant_needs_no_secret(remote: Remote) -> None:
    remote.ready_machines(1)
    remote.host.delete("Secret", remote.name, "default")
    remote.later = timedelta(seconds=62)
    remote.end()
    assert remote.events("FinalizersCleared")


@pytest.mark.attack("A11", control="within")
def test_others_machines_are_not_ours(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    """The infra cluster names whatever it likes: what isn't named like a machine of the pool is none."""
    remote.ask(0)
    remote.step(2)
    (record,) = remote.records()
    uid = remote.host.get("TenantCluster", remote.name, "default")
    assert uid
    labels = {
        names.CLUSTER_LABEL: names.cluster_id(uid["metadata"]["uid"], remote.name),
        names.SITE_LABEL: record,
        names.POOL_LABEL: remote.pool,
        names.MACHINE_LABEL: "kube-apiserver",
    }
    meta: Object = {"name": "kube-apiserver", "namespace": SPACE, "labels": labels}
    forged = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": meta}
    remote.infra.cluster.apply(forged)
    assert remote.step().machines == []
    monkeypatch.setattr(sites, "_is_named", lambda *_: True)
    assert [state.machine.name for state in remote.step().machines] == ["kube-apiserver"]


def test_an_operator_works_there_with_the_rights_it_has(
    lone_server: ApiServer, tenant: Cluster, infra: Infra
) -> None:
    """It may read the one Secret it was given, and ends what it began, however long a place is out of reach."""
    with lone_server.cluster() as host, lone_server.as_operator() as operator:
        install(host)
        install_operator(host, Options())
        for plural, kind in (
            ("virtualmachines", "VirtualMachine"),
            ("virtualmachineinstances", "VirtualMachineInstance"),
        ):
            serve(host, plural, kind)
        remote = of(host, tenant, infra)
        remote.worker = operator
        remote.ask(1)
        remote.step(2)
        assert remote.condition("Ready") == ("False", "InfraCredentials")
        assert "Let the operator read it" in remote.message()
        grant(host, remote.name)
        until(lambda: remote.step() and remote.vms(), 20)

        host.delete("TenantCluster", remote.name, "default")
        with infra.away(), remote.passes() as engine:
            ended = time.monotonic() + 12  # by then a host has emptied a namespace
            while time.monotonic() < ended:
                engine.step()
                time.sleep(0.2)
            assert remote.records()
            remote.later = timedelta(seconds=62)
            until(lambda: engine.step() and gone(remote), 30, 0.2)
        assert remote.events("FinalizersCleared")
        for vm in remote.vms():
            infra.cluster.delete("VirtualMachine", vm, SPACE)


def gone(remote: Remote) -> bool:
    return remote.host.get("TenantCluster", remote.name, "default") is None


def grant(host: Cluster, name: str) -> None:
    """Let the operator read a Secret, as the docs say."""
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    meta = {"name": name, "namespace": "default"}
    rules = [rule(("secrets",), ("get",), only=(name,))]
    host.apply({**rbac, "kind": "Role", "metadata": meta, "rules": rules})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subjects = [account(names.SYSTEM_NAMESPACE, names.OPERATOR)]
    binding = {"kind": "RoleBinding", "metadata": meta, "roleRef": ref, "subjects": subjects}
    host.apply({**rbac, **binding})


def test_the_rights_on_the_page_are_enough_and_fewer_cost_nobody_else_anything(
    remote: Remote,
) -> None:
    role, cluster_role = documented()
    infra = remote.infra.cluster
    seen = [{**found, "verbs": ["list", "watch"]} for found in role["rules"]]
    infra.apply({**role, "rules": seen})
    infra.apply(cluster_role)
    for kind, rules in (("RoleBinding", role), ("ClusterRoleBinding", cluster_role)):
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": rules["kind"]}
        meta = {**rules["metadata"]}
        subject = {"kind": "User", "name": names.OPERATOR_USER}
        binding = {"apiVersion": rules["apiVersion"], "kind": kind, "metadata": meta}
        infra.apply({**binding, "roleRef": {**ref, "name": meta["name"]}, "subjects": [subject]})
    document = remote.infra.kubeconfig()
    document["users"] = [{"name": "it", "user": {"token": OPERATOR_TOKEN}}]
    remote.give(document)
    body = {"apiVersion": names.API_VERSION, "kind": "NodePool"}
    meta = {"name": f"{remote.name}-zz", "namespace": "default"}
    spec = {"clusterRef": {"name": remote.name}, "replicas": 1}
    remote.host.apply({**body, "metadata": meta, "spec": spec})
    remote.ask(1)
    until(lambda: remote.step() and "creating Secret" in remote.message(), 20)
    assert remote.condition("Ready")[0] == "False"
    assert len(remote.host.list("VirtualMachine", remote.namespace)) == 1
    infra.apply(role)
    until(lambda: remote.step() and remote.vms(), 20)
    remote.start()
    remote.step(2)
    assert remote.status()["readyReplicas"] == 1
    assert len(remote.tokens()) == 0
    remote.ask(0)
    remote.step(2)
    assert remote.vms() == []
    assert remote.seeds() == []


def documented() -> tuple[Object, Object]:
    """The Role and the ClusterRole that docs/nodes.md has, for our namespace."""
    text = (ROOT / "docs" / "nodes.md").read_text()
    (block,) = [b for b in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "kind: Role\n" in b]
    role, cluster_role = yaml.safe_load_all(block.replace("acme-workers", SPACE))
    return role, cluster_role
