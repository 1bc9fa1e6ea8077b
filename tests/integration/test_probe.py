"""Whether the host enforces NetworkPolicies: real listeners on this machine's loopback stand for a tenant's pods."""

import itertools
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from kubeception import names
from kubeception.engine import diagnose, probe
from kubeception.engine.probe import CONDITION, SHUT, UNTESTED, Probe
from kubeception.engine.reconcile import Engine
from kubeception.kube.client import Cluster, Object, listens
from kubeception.plan.context import PlanContext
from kubeception.plan.endpoint import API_PORT
from tests.integration.operators import until
from tests.integration.servers import binary, free_port, process
from tests.integration.test_status import Tenant
from tests.plans import plan

numbers = itertools.count(1)
READY = [{"type": "Ready", "status": "True"}]


def address() -> str:
    """Of this machine's loopback; nobody else's who tests here."""
    return f"127.{os.getpid() % 250 + 1}.{next(numbers)}.1"


@contextmanager
def listening(where: str, *ports: int) -> Iterator[None]:
    """Whoever dials one of these ports is connected."""
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(socket.create_server((where, port)))
        yield


@contextmanager
def silent(where: str, port: int) -> Iterator[None]:
    """Nothing comes back, as where a policy drops what is sent: the queue of who listens is full."""
    with ExitStack() as stack:
        stack.enter_context(socket.create_server((where, port), backlog=0))
        for _ in range(3):
            dialled = stack.enter_context(socket.socket())
            dialled.setblocking(False)
            dialled.connect_ex((where, port))
        yield


def pod(component: str, where: str, **status: Any) -> Object:
    ctx = plan()
    labels = ctx.labels(component)
    meta = {"name": f"{component}-0", "namespace": ctx.namespace, "labels": labels}
    return {
        "kind": "Pod",
        "metadata": meta,
        "status": {"podIP": where, "conditions": READY, **status},
    }


def seen(*pods: Object) -> PlanContext:
    """A tenant whose pods are these."""
    ctx = plan()
    return replace(ctx, facts=ctx.facts.with_objects(pods))


def word(*pods: Object) -> tuple[str, str]:
    """State and reason of what a probe says of these pods once it has looked."""
    woken = threading.Event()
    asking = Probe(woken.set)
    asking.look(seen(*pods))
    woken.wait(3 * probe.ANSWER_SECONDS)
    found = asking.look(seen(*pods))
    return str(found.state), str(found.reason)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(probe, "SETTLE_SECONDS", 0.1)


@pytest.mark.parametrize("component", SHUT)
def test_one_answer_that_no_policy_allows_is_enough(component: str) -> None:
    api, etcd = address(), address()
    where = {"control-plane": api, "etcd": etcd}[component]
    with listening(api, API_PORT), listening(where, SHUT[component]):
        assert word(pod("control-plane", api), pod("etcd", etcd)) == ("Waiting", "NotEnforced")


def test_what_is_refused_beside_what_answers_is_enforced() -> None:
    api, etcd = address(), address()
    with listening(api, API_PORT):
        assert word(pod("control-plane", api), pod("etcd", etcd)) == ("Ready", "Ready")


def test_what_is_dropped_beside_what_answers_is_enforced() -> None:
    api, etcd = address(), address()
    with (
        listening(api, API_PORT),
        silent(api, SHUT["control-plane"]),
        silent(etcd, SHUT["etcd"]),
    ):
        assert word(pod("control-plane", api), pod("etcd", etcd)) == ("Ready", "Ready")


def test_a_policy_that_comes_a_moment_later_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    api, etcd = address(), address()
    with ExitStack() as stack:
        stack.enter_context(listening(api, API_PORT))
        shut = stack.enter_context(ExitStack())
        shut.enter_context(listening(api, SHUT["control-plane"]))
        monkeypatch.setattr(time, "sleep", lambda _: shut.close())
        assert word(pod("control-plane", api), pod("etcd", etcd)) == ("Ready", "Ready")


def test_silence_all_around_tells_nothing() -> None:
    assert word(pod("control-plane", address()), pod("etcd", address())) == (
        "Unknown",
        "NotTested",
    )


def test_a_real_etcd_is_heard_at_its_port(etcd_alone: str) -> None:
    api = address()
    with listening(api, API_PORT):
        assert word(pod("control-plane", api), pod("etcd", etcd_alone)) == (
            "Waiting",
            "NotEnforced",
        )


@pytest.fixture
def etcd_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an etcd that tells of its health as a tenant's does, without a tenant."""
    where = address()
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    flags = (f"--listen-client-urls={client}", f"--advertise-client-urls={client}")
    more = (f"--listen-peer-urls={peer}", f"--listen-metrics-urls=http://{where}:{SHUT['etcd']}")
    folder = tmp_path_factory.mktemp("etcd-alone")
    with process(folder, binary("etcd"), "--data-dir=data", "--unsafe-no-fsync", *flags, *more):
        until(lambda: listens((where, SHUT["etcd"])))
        yield where


@pytest.mark.parametrize(
    "etcds",
    [
        (),
        ({"conditions": [{"type": "Ready", "status": "False"}]},),
        ({"podIP": ""},),
    ],
    ids=["none", "not ready", "no address"],
)
def test_nobody_is_dialled_before_all_of_it_is_ready(etcds: tuple[Any, ...]) -> None:
    api = address()
    with listening(api, API_PORT, SHUT["control-plane"]):
        found = [pod("etcd", api, **status) for status in etcds]
        assert word(pod("control-plane", api), *found) == ("Unknown", "NotTested")


def test_it_is_dialled_again_when_the_word_is_old_and_not_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api, etcd = address(), address()
    ctx = seen(pod("control-plane", api), pod("etcd", etcd))
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    woken = threading.Semaphore(0)
    asking = Probe(woken.release)
    with listening(api, API_PORT):
        asking.look(ctx)
        assert woken.acquire(timeout=5)
        assert asking.look(ctx).ok
        with listening(api, SHUT["control-plane"]):
            clock[0] += probe.PERIOD_SECONDS - 1
            assert asking.look(ctx).ok
            assert not woken.acquire(timeout=1), "a word counts for a while"
            clock[0] += 1
            asking.look(ctx)
            assert woken.acquire(timeout=5)
            assert not asking.look(ctx).ok


def test_what_was_known_stays_known_while_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    api, etcd = address(), address()
    ctx = seen(pod("control-plane", api), pod("etcd", etcd))
    monkeypatch.setattr(probe, "PERIOD_SECONDS", 0.0)
    woken = threading.Event()
    asking = Probe(woken.set)
    with listening(api, API_PORT, SHUT["control-plane"]):
        asking.look(ctx)
        assert woken.wait(5)
    asking.look(ctx)
    time.sleep(2 * probe.ANSWER_SECONDS)
    assert asking.look(ctx).reason == "NotEnforced"


# a tenant of a real host


@pytest.fixture
def tenant(host: Cluster) -> Iterator[Tenant]:
    made = Tenant(host)
    made.step()
    yield made
    host.delete("TenantCluster", made.name, "default")
    made.end()


def start(tenant: Tenant, kind: str, name: str, where: str) -> None:
    """A pod of a workload, as its controller would make it, that is ready at this address."""
    workload = tenant.host.get(kind, name, tenant.namespace)
    assert workload
    template = workload["spec"]["template"]
    labels = template["metadata"]["labels"]
    meta: Object = {"name": f"{name}-{uuid.uuid4().hex[:5]}", "namespace": tenant.namespace}
    spec = {**template["spec"], "priorityClassName": names.PRIORITY_CLASS}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {**meta, "labels": labels}}
    tenant.host.apply({**body, "spec": spec})
    status = {
        "phase": "Running",
        "podIP": where,
        "podIPs": [{"ip": where}],
        "conditions": READY,
    }
    patch = {"status": status}
    tenant.host.patch("Pod", meta["name"], patch, tenant.namespace, subresource="status")


def word_of(tenant: Tenant) -> tuple[str, str]:
    (found,) = [c for c in tenant.status["conditions"] if c["type"] == CONDITION]
    return found["status"], found["reason"]


def told(host: Cluster) -> list[str]:
    return [f"{found.level}: {found.found}" for found in diagnose._network(host)]


def test_the_operators_word_is_a_condition_that_commands_leave_and_doctor_repeats(
    host: Cluster, tenant: Tenant
) -> None:
    assert CONDITION not in [c["type"] for c in tenant.status["conditions"]]
    api, etcd = address(), address()
    woken = threading.Event()
    with (
        listening(api, API_PORT, SHUT["control-plane"]),
        Engine(host, "default", tenant.name, probe=Probe(woken.set)) as engine,
    ):
        began = time.monotonic()
        engine.step()
        assert word_of(tenant) == ("Unknown", "NotTested")
        assert any("not tested" in line for line in told(host))
        start(tenant, "Deployment", "control-plane", api)
        start(tenant, "StatefulSet", "etcd", etcd)
        engine.step()
        assert woken.wait(5), time.monotonic() - began
        engine.step()
        assert word_of(tenant) == ("False", "NotEnforced")
        assert engine.step().writes == 0
    assert tenant.events().count("NotEnforced") == 1
    tenant.step()
    assert word_of(tenant) == ("False", "NotEnforced"), "a command can't know better"
    (line,) = told(host)
    assert line.startswith("warning: NetworkPolicies are not enforced, by 1 of 1 tenant clusters")
    with Engine(host, "default", tenant.name, probe=Probe(woken.set)) as another:
        another.step()
        assert word_of(tenant) == ("False", "NotEnforced"), "nor one that began just now"


def test_a_pass_does_not_wait_for_it(host: Cluster, tenant: Tenant) -> None:
    api, etcd = address(), address()
    start(tenant, "Deployment", "control-plane", api)
    start(tenant, "StatefulSet", "etcd", etcd)
    with pytest.MonkeyPatch.context() as patch:
        entered, end, ended = (threading.Event() for _ in range(3))

        def dial(_: object) -> Any:
            entered.set()
            end.wait(10)
            ended.set()
            return UNTESTED

        patch.setattr(probe, "dial", dial)
        with Engine(host, "default", tenant.name, probe=Probe(entered.set)) as engine:
            engine.step()
            assert entered.wait(5)
            assert not ended.is_set()
        end.set()
