"""A tenant's API server that floods or stalls, and what it costs: the client, and an operator with other tenants."""

import statistics
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from kubeception.components.install import Options
from kubeception.engine.install import install_operator
from kubeception.errors import ApiError, ExcessError, NotFoundError
from kubeception.kube.bounds import UNTRUSTED
from kubeception.kube.client import Cluster, Object
from kubeception.plan.kubeconfig import kubeconfig
from tests.integration import hostile
from tests.integration.hostile import PORT, Harm, Hostile, apart
from tests.integration.operators import Operator, operator, until
from tests.integration.servers import ApiServer, certificate
from tests.integration.test_operator import Tenant, Tenants

pytestmark = pytest.mark.timeout(300)
ALONE = "127.0.3.1"
BOUNDS = replace(UNTRUSTED, objects=2000, answer_seconds=1.5, seconds=4.0)


@contextmanager
def client(folder: Path, harm: Harm) -> Iterator[Cluster]:
    """One who doesn't trust the server."""
    authority = certificate(folder, ALONE)
    keys = ("serving.crt", "serving.key")
    data = {key: b64encode((folder / key).read_bytes()).decode() for key in keys}
    config = kubeconfig(
        name="x",
        server=f"https://{ALONE}:{PORT}",
        ca=authority,
        user="x",
        token="t",
        tls_server_name="localhost",
    )
    with (
        Hostile(ALONE, harm, {"data": data}),
        Cluster(config, "tenant cluster acme", connect_seconds=1.0, bounds=BOUNDS) as found,
    ):
        yield found


SAID: dict[Harm, tuple[type[ApiError], str]] = {
    hostile.endless: (
        ExcessError,
        "^tenant cluster acme: reading pods: 2000 objects in 4 pages, and more to come; a list may have 2000",
    ),
    hostile.silent: (ApiError, "reading pods: no answer in time"),
    hostile.dripping: (ApiError, "reading pods: no answer in time"),
    hostile.small: (ExcessError, "reading pods: the answer is longer than 8 MiB"),
    hostile.deep: (ApiError, "reading pods: the answer is not JSON"),
    hostile.refusing: (ApiError, "reading pods: Internal Server Error"),
    hostile.busy: (ApiError, "reading pods: Too Many Requests"),
    hostile.flapping: (ApiError, "reading pods: .*closed connection"),
}


@pytest.mark.attack("A10")
@pytest.mark.parametrize("harm", SAID, ids=lambda harm: harm.__name__)
def test_of_one_who_is_not_trusted_no_more_is_read_than_that(harm: Harm, tmp_path: Path) -> None:
    error, said = SAID[harm]
    with client(tmp_path, harm) as cluster:
        assert cluster.get("Namespace", "kube-node-lease")
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(error, match=said) as raised:
                cluster.list("Pod")
            assert time.monotonic() - began < 4
            assert not isinstance(raised.value, NotFoundError)
            assert raised.value.message.startswith("tenant cluster acme")


# an operator with other tenants

REACTION_SECONDS: Final = 3.0
"""Between a changed spec of one who is well-behaved and the host's having it, for the median of several."""
LONGEST_SECONDS: Final = 10.0
MEMORY: Final = 300
"""MiB that hostile tenants may cost, all of them together, of the 512 that the operator's pod has."""
ALONE_SECONDS: Final = 4.0
AMONG_SECONDS: Final = 12.0
TRIED: Final = (
    *(hostile.endless, hostile.silent, hostile.dripping, hostile.small),
    *(hostile.refusing, hostile.flooding, hostile.flapping),
)
"""One of each kind; there are more."""
UNGUARDED: Final = """
import sys
from kubeception.engine import link
from kubeception.kube.bounds import Bounds
from kubeception.operator import tenants

link.UNTRUSTED = Bounds(1 << 60, 64 << 20, 1 << 60, 30.0, 1e9)
tenants.LIGHT = 1 << 60
from kubeception.operator.__main__ import main

main(sys.argv[1:])
"""
"""An operator that reads whatever it is answered."""


@pytest.fixture(scope="module")
def host_server(lone_server: ApiServer) -> ApiServer:
    return lone_server


@pytest.fixture
def tenants(host: Cluster) -> Iterator[Tenants]:
    install_operator(host, Options())
    made = Tenants(host)
    yield made
    made.end()


@dataclass(frozen=True)
class Cost:
    """What others feel of an operator's work."""

    reactions: Sequence[float]
    """Seconds."""
    memory: int
    """MiB, at most."""

    @classmethod
    def of(cls, running: Operator, other: Tenant, seconds: float) -> "Cost":
        end, reactions = time.monotonic() + seconds, []
        while time.monotonic() < end:
            reactions.append(reaction(other))
            time.sleep(0.2)
        return cls(reactions, running.peak())


def reaction(tenant: Tenant) -> float:
    """Seconds from a change of the spec to what follows from it in the host."""

    def certificate() -> str:
        secret = tenant.host.get("Secret", "kube-apiserver", tenant.namespace)
        return str((secret or {})["metadata"]["resourceVersion"])

    before, began = certificate(), time.monotonic()
    names = [f"x{time.monotonic_ns()}.example"]
    spec = {"spec": {"exposure": {"extraSANs": names}}}
    tenant.host.patch("TenantCluster", tenant.name, spec, "default")
    until(lambda: certificate() != before, 60, pause=0.03)
    return time.monotonic() - began


def address(tenant: Tenant, address: str) -> None:
    """Its load balancer has this address."""
    found = tenant.host.list("Service", tenant.namespace)
    (name,) = (s["metadata"]["name"] for s in found if s["spec"]["type"] == "LoadBalancer")
    body = {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}
    tenant.host.patch("Service", name, body, tenant.namespace, subresource="status")


def serving(tenant: Tenant, address: str) -> Object:
    """What its API server serves with at this address."""

    def endpoint() -> str:
        found = tenant.host.get("TenantCluster", tenant.name, "default") or {}
        return str(found.get("status", {}).get("endpoint"))

    until(lambda: address in endpoint())
    secret = tenant.host.get("Secret", "kube-apiserver", tenant.namespace)
    assert secret
    return secret


def said(tenant: Tenant) -> tuple[str, str]:
    """Reason and message of what its status says of its API server."""
    found = tenant.host.get("TenantCluster", tenant.name, "default") or {}
    known = {c["type"]: c for c in found["status"]["conditions"]}["APIServerReady"]
    return known["reason"], known["message"]


@pytest.mark.attack("A10", control="within")
def test_tenants_that_flood_or_stall_cost_the_others_nothing(
    tenants: Tenants, host_server: ApiServer, tmp_path: Path
) -> None:
    places = {harm: f"127.0.3.{n}" for n, harm in enumerate(TRIED, start=10)}
    with operator(tmp_path, host_server) as running:
        other = tenants.apply()
        bad = {harm: tenants.apply(exposure={"type": "LoadBalancer"}) for harm in TRIED}
        until(lambda: all(tenant.converged() for tenant in (other, *bad.values())))
        for harm, tenant in bad.items():
            address(tenant, places[harm])
        servers = [(places[h], h, serving(tenant, places[h])) for h, tenant in bad.items()]
        alone = Cost.of(running, other, ALONE_SECONDS)
        with apart(servers):
            among = Cost.of(running, other, AMONG_SECONDS)
            print(f"alone {alone}\namong {among}")  # noqa: T201  # the figures
            for harm in (hostile.endless, hostile.small):
                until(lambda: said(bad[harm])[0] == "Excess", 30)  # noqa: B023
        found = said(bad[hostile.endless])[1]
        assert found.startswith(f"tenant cluster {bad[hostile.endless].name}: reading ")
        assert "all answers of a pass may have 32.0 MiB" in found
        assert statistics.median(among.reactions) < REACTION_SECONDS
        assert max(among.reactions) < LONGEST_SECONDS
        assert among.memory < alone.memory + MEMORY
        assert running.stop() == 0

    endless = [server for server in servers if server[1] is hostile.endless]
    program = ("-c", UNGUARDED)
    with operator(tmp_path, host_server, program=program) as unguarded, apart(endless):
        until(lambda: unguarded.peak() > alone.memory + MEMORY, 60)
        unguarded.kill()
