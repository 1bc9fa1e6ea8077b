"""The operator's process against a real host, with the rights it is installed with and no others."""

import http.server
import json
import os
import random
import signal
import ssl
import threading
import time
import uuid
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pytest

from kubeception import names
from kubeception.components.install import Options
from kubeception.engine.install import install_operator
from kubeception.engine.lease import Lease
from kubeception.engine.reconcile import Engine, now
from kubeception.kube.client import Cluster, Object
from tests.integration.operators import Operator, operator, until
from tests.integration.servers import ApiServer, process

pytestmark = pytest.mark.timeout(600)
QUIET_SECONDS = 5.0


@pytest.fixture(scope="module")
def host_server(lone_server: ApiServer) -> ApiServer:
    return lone_server


@pytest.fixture
def installed(host: Cluster) -> Cluster:
    """The host, with the operator's account and rights; its Deployment has no node to run on."""
    install_operator(host, Options())
    return host


@pytest.fixture
def tenants(installed: Cluster) -> Iterator["Tenants"]:
    made = Tenants(installed)
    yield made
    made.end()


class Tenants:
    """TenantClusters of one test."""

    def __init__(self, host: Cluster) -> None:
        self.host, self.names = host, list[str]()

    def apply(self, name: str = "", **spec: Any) -> "Tenant":
        name = name or f"o-{uuid.uuid4().hex[:8]}"
        if name not in self.names:
            self.names.append(name)
        made = self.host.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": "TenantCluster",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"datastore": {"storage": "Ephemeral"}, **spec},
            }
        )
        return Tenant(self.host, name, made["metadata"]["uid"])

    def end(self) -> None:
        """Nothing of them is left, whoever does it."""
        for name in self.names:
            self.host.delete("TenantCluster", name, "default")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self._end, self.names))

    def _end(self, name: str) -> None:
        end = time.monotonic() + 60
        with Engine(self.host, "default", name) as engine:
            while self.host.get("TenantCluster", name, "default"):
                assert time.monotonic() < end
                with suppress(Exception):
                    engine.step()
                time.sleep(0.2)


class Tenant:
    """One of them, as the host has it."""

    def __init__(self, host: Cluster, name: str, uid: str) -> None:
        self.host, self.name, self.uid = host, name, uid
        self.namespace = names.control_plane_namespace(uid, name)

    def converged(self) -> bool:
        """Whether the host has its control plane's last object, and its status was written."""
        found = self.host.get("TenantCluster", self.name, "default") or {}
        return bool(
            self.host.list("Deployment", self.namespace)
            and found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]
        )

    def roots(self) -> dict[str, Object]:
        """The material that may never change."""
        return {
            secret["metadata"]["name"]: secret["data"]
            for secret in self.host.list("Secret", self.namespace)
            if secret.get("immutable")
        }

    def gone(self) -> bool:
        return not self.host.get("TenantCluster", self.name, "default") and not self.host.get(
            "Namespace", self.namespace
        )


def written(server: ApiServer) -> list[str]:
    """Everything kubeception wrote but the leader's Lease."""
    return [line for line in server.writes() if not line.endswith(f"/{names.OPERATOR}")]


def quiet(server: ApiServer) -> list[str]:
    """Wait until nothing is written for a while; all that was written by then."""
    before, since = written(server), time.monotonic()
    end = since + 120
    while time.monotonic() - since < QUIET_SECONDS:
        assert time.monotonic() < end, before[-10:]
        time.sleep(0.2)
        if (found := written(server)) != before:
            before, since = found, time.monotonic()
    return before


def test_a_tenant_is_made_kept_true_and_removed(
    tenants: Tenants, host_server: ApiServer, tmp_path: Path
) -> None:
    with operator(tmp_path, host_server) as running:
        tenant = tenants.apply()
        until(tenant.converged)
        before = quiet(host_server)
        assert quiet(host_server) == before

        for kind, name in (("Service", "etcd"), ("Secret", "engine"), ("StatefulSet", "etcd")):
            began = time.monotonic()
            tenant.host.delete(kind, name, tenant.namespace)
            until(lambda: tenant.host.get(kind, name, tenant.namespace), pause=0.02)  # noqa: B023
            assert time.monotonic() - began < 5, kind

        tenant.host.delete("TenantCluster", tenant.name, "default")
        until(tenant.gone)
        assert until(lambda: running.metric("kubeception_tenants") == 0)
        text = running.log.read_text()
        assert "PRIVATE KEY" not in text
        assert not [line for line in running.lines() if line["level"] in ("error", "critical")]
        passes = [line for line in running.lines() if line.get("cluster")]
        assert {line["cluster"] for line in passes} == {f"default/{tenant.name}"}
        assert all("pass_id" in line for line in passes)
        assert running.get("/healthz") == (200, "ok")
        assert running.stop() == 0
    assert tenant.host.get("Lease", names.OPERATOR, names.SYSTEM_NAMESPACE) is None


def test_many_tenants_in_steady_state_cost_no_write_and_one_change_is_acted_on(
    tenants: Tenants, host_server: ApiServer, tmp_path: Path
) -> None:
    with operator(tmp_path, host_server):
        made = [tenants.apply() for _ in range(20)]
        until(lambda: all(tenant.converged() for tenant in made), 300, pause=1)
        before = quiet(host_server)
        ranges = {
            tenant.host.get("TenantCluster", tenant.name, "default")["status"]["podCIDR"]  # type: ignore[index]
            for tenant in made
        }
        assert len(ranges) == len(made)
        tenants.apply(made[7].name, exposure={"extraSANs": ["x.example"]})
        began = time.monotonic()
        until(lambda: written(host_server) != before, pause=0.02)
        assert time.monotonic() - began < 3
        after = quiet(host_server)[len(before) :]
        # one of the writes is the apply above
        others = [t.namespace for t in made if t is not made[7]]
        assert [line for line in after if any(space in line for space in others)] == []


def run_out(running: Operator, host: Cluster) -> None:
    """Kill it, and don't wait until its Lease has run out: that is a test of its own."""
    running.kill()
    host.delete("Lease", names.OPERATOR, names.SYSTEM_NAMESPACE)


def test_an_operator_killed_at_random_changes_nothing_of_the_outcome(
    tenants: Tenants, host_server: ApiServer, tmp_path: Path
) -> None:
    chance = random.Random(20)
    tenant = tenants.apply()
    roots: dict[str, Object] = {}
    for _ in range(5):
        running = Operator(tmp_path, host_server)
        with suppress(AssertionError):
            until(running.leads, 30)
        time.sleep(chance.uniform(0, 0.6))
        run_out(running, tenant.host)
        found = tenant.roots()
        assert {name: found[name] for name in roots} == roots
        roots = found
    with operator(tmp_path, host_server) as running:
        until(tenant.converged)
        quiet(host_server)
        assert {name: tenant.roots()[name] for name in roots} == roots
        tenant.host.delete("TenantCluster", tenant.name, "default")
        time.sleep(chance.uniform(0, 1))
        run_out(running, tenant.host)
    with operator(tmp_path, host_server):
        until(tenant.gone, 90)


def test_the_standby_takes_over_from_a_killed_leader_and_at_once_from_one_that_ends(
    tenants: Tenants, host_server: ApiServer, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(operator(tmp_path / "a", host_server))
        until(first.leads)
        second = stack.enter_context(operator(tmp_path / "b", host_server))
        time.sleep(2)
        assert not second.leads()
        first.kill()
        began = time.monotonic()
        until(second.leads, 30)
        assert time.monotonic() - began <= 20
        third = stack.enter_context(operator(tmp_path / "c", host_server))
        began = time.monotonic()
        assert second.stop() == 0
        until(third.leads)
        assert time.monotonic() - began <= 4  # and not the 15 s of a Lease that runs out
        until(tenants.apply().converged)


def test_an_operator_ends_at_its_signal_while_the_host_is_silent(
    tenants: Tenants, host_server: ApiServer, tmp_path: Path
) -> None:
    with operator(tmp_path, host_server) as running:
        until(running.leads)
        until(tenants.apply().converged)
        os.kill(host_server.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            assert running.stop() == 0
            assert time.monotonic() - began < 8  # its bound is 5 s; a request may take 30
        finally:
            os.kill(host_server.pid, signal.SIGCONT)


@contextmanager
def renewed(lease: Lease) -> Iterator[None]:
    """It is held, as a command does, and then given up."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(1):
            assert lease.hold()

    assert lease.hold()
    working = threading.Thread(target=renew)
    working.start()
    try:
        yield
    finally:
        ended.set()
        working.join()
        lease.release()


def test_a_tenant_a_command_works_on_is_left_alone_until_the_command_ends(
    tenants: Tenants, host_server: ApiServer, tmp_path: Path
) -> None:
    host = tenants.host
    name = f"o-{uuid.uuid4().hex[:8]}"
    lease = Lease.of_tenant(host, "default", name, now, "elsewhere/1/2/3")
    with operator(tmp_path, host_server) as running:
        until(running.leads)
        with renewed(lease):
            tenant = tenants.apply(name)
            for _ in range(20):  # nor is anything else held up, by a wake that is met over and over
                assert running.get("/healthz") == (200, "ok")
                time.sleep(0.1)
            until(tenants.apply().converged)
            assert host.get("Namespace", tenant.namespace) is None
        until(tenant.converged)


def test_a_paused_tenant_is_left_alone_and_goes_on_later(
    tenants: Tenants, host_server: ApiServer, tmp_path: Path
) -> None:
    with operator(tmp_path, host_server):
        tenant = tenants.apply(paused=True)
        until(
            lambda: (tenants.host.get("TenantCluster", tenant.name, "default") or {}).get("status")
        )
        assert tenants.host.get("Namespace", tenant.namespace) is None
        tenants.apply(tenant.name, paused=False)
        until(tenant.converged)


class Silence:
    """A tenant's API server that is found, and then never answers: hostile, or very ill."""

    def __init__(self, secret: Object, folder: Path) -> None:
        pair = folder / "pair.pem"
        pair.write_bytes(
            b"".join(b64decode(secret["data"][key]) for key in ("serving.crt", "serving.key"))
        )
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(pair)
        self._ended = threading.Event()
        self.asked = 0

    def __enter__(self) -> Self:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if not self.path.endswith("/namespaces/kube-node-lease"):
                    outer.asked += 1
                    outer._ended.wait()
                    return
                body = json.dumps({"kind": "Namespace", "metadata": {"name": "n"}}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing here either."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 6443), Handler)
        self._server.daemon_threads = True
        self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.attack("A10")
def test_a_tenant_whose_api_never_answers_blocks_no_other(
    tenants: Tenants, host_server: ApiServer, tmp_path: Path
) -> None:
    host = tenants.host
    with ExitStack() as stack:
        stack.enter_context(operator(tmp_path, host_server, "--workers=1"))
        silent = tenants.apply(exposure={"type": "LoadBalancer"})
        until(silent.converged)
        for service in host.list("Service", silent.namespace):
            if service["spec"]["type"] == "LoadBalancer":
                name, status = service["metadata"]["name"], {"ingress": [{"ip": "127.0.0.1"}]}
                body = {"status": {"loadBalancer": status}}
                host.patch("Service", name, body, silent.namespace, subresource="status")
        time.sleep(3)  # its certificate may be made anew for that address
        secret = host.get("Secret", "kube-apiserver", silent.namespace)
        assert secret
        silence = stack.enter_context(Silence(secret, tmp_path))
        until(lambda: silence.asked >= 2, 90)
        for _ in range(3):
            began = time.monotonic()
            until(tenants.apply().converged)
            assert time.monotonic() - began < 15


def test_the_host_away_for_a_while_is_no_end(own_server: ApiServer, tmp_path: Path) -> None:
    with own_server.cluster() as host:
        from kubeception.engine.install import install

        install(host)
        install_operator(host, Options())
        here = Tenants(host)
        with operator(tmp_path, own_server) as running:
            until(running.leads)
            tenant = here.apply()
            until(tenant.converged)
            os.kill(own_server.pid, signal.SIGKILL)
            os.waitpid(own_server.pid, 0)
            until(lambda: not running.leads(), 30)
            time.sleep(5)
            assert running.get("/healthz")[0] == 200
            again = process(own_server.folder, *own_server.command)
            with again:
                until(lambda: _answers(host), 180)
                began = time.monotonic()
                until(running.leads, 60)
                host.delete("Service", "etcd", tenant.namespace)
                until(lambda: host.get("Service", "etcd", tenant.namespace), 60)
                assert time.monotonic() - began < 45
                assert running.alive()


def _answers(host: Cluster) -> bool:
    from kubeception.errors import KubeceptionError

    with suppress(KubeceptionError):
        return host.raw("/readyz") == "ok"
    return False


@pytest.fixture
def own_server(tmp_path: Path, etcd: str) -> Iterator[ApiServer]:
    """A host that may be ended."""
    from tests.integration.servers import api_server

    with api_server(tmp_path / "own", etcd, f"/own-{uuid.uuid4().hex[:6]}") as server:
        yield server
