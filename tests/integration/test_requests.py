"""As many requests at once as kube-apiserver is rendered for: what they are shared out to, and bursts of our own."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Final

import pytest

from kubeception.errors import ApiError
from kubeception.kube.client import Cluster
from kubeception.kube.kinds import Kind
from tests.integration.rendered import Rendered
from tests.integration.servers import ApiServer, api_server
from tests.plans import everything, plan

READING: Final = "--max-requests-inflight"
WRITING: Final = "--max-mutating-requests-inflight"
ALLOWED: Final = ("--authorization-mode=AlwaysAllow", "--allow-privileged=true")
"""Everybody may do everything, so that somebody asks who isn't of system:masters: those never wait."""
PODS: Final = 500
AT_ONCE: Final = 256
"""The ReplicaSet controller makes pods in batches that double: of 500 pods the largest has 245."""
LEVEL: Final = Kind(
    "PriorityLevelConfiguration",
    "flowcontrol.apiserver.k8s.io",
    "v1",
    "prioritylevelconfigurations",
    False,
)
IMPATIENT: Final = {
    "metadata": {"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}},
    "spec": {"limited": {"limitResponse": {"type": "Reject", "queuing": None}}},
}
"""Of a level: nobody waits in it."""
LEVELS: Final = 8
"""Of priority; the share of each is rounded up."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """The flags that a tenant's kube-apiserver is rendered with."""
    rendered = Rendered(tmp_path_factory.mktemp("flags"), everything(plan()))
    pairs = (flag.partition("=") for flag in rendered.flags("kube-apiserver"))
    return {flag: int(value) for flag, _, value in pairs if flag in (READING, WRITING)}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, etcd: str, own: dict[str, int]
) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("requests")
    flags = [f"{flag}={value}" for flag, value in own.items()]
    with api_server(folder / "api", etcd, "/requests", *ALLOWED, *flags) as made:
        yield made


def samples(cluster: Cluster, metric: str) -> list[float]:
    """What a metric says, once for each combination of its labels."""
    lines = (cluster.raw("/metrics") or "").splitlines()
    return [float(line.split()[-1]) for line in lines if re.match(rf"{metric}[{{ ]", line)]


def burst(server: ApiServer) -> None:
    """Pods, made and told of as fast as they can be. Raises ApiError where one is refused."""
    with server.as_operator() as cluster, ThreadPoolExecutor(AT_ONCE) as threads:
        account = {"name": "default", "namespace": "default"}
        cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})

        def make(number: int) -> None:
            spec = {"containers": [{"name": "c", "image": "none"}]}
            meta = {"name": f"p-{number}", "namespace": "default"}
            cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
            status = {"status": {"phase": "Running"}}
            cluster.patch("Pod", meta["name"], status, "default", subresource="status")

        list(threads.map(make, range(PODS)))


def test_their_sum_is_what_the_levels_of_priority_share(
    server: ApiServer, own: dict[str, int]
) -> None:
    with server.cluster() as cluster:
        seats = sum(samples(cluster, "apiserver_flowcontrol_nominal_limit_seats"))
    assert sum(own.values()) <= seats <= sum(own.values()) + LEVELS


def test_a_burst_of_pods_is_not_refused(server: ApiServer) -> None:
    burst(server)
    with server.cluster() as cluster:
        assert len(cluster.list("Pod", "default")) == PODS
        assert samples(cluster, "apiserver_flowcontrol_rejected_requests_total") == []


def test_with_a_few_at_once_and_nobody_waiting_most_are(tmp_path: Path, etcd: str) -> None:
    """The control run of the burst."""
    flags = [*ALLOWED, f"{READING}=2", f"{WRITING}=1"]
    with api_server(tmp_path / "api", etcd, "/impatient", *flags) as server:
        with server.cluster() as cluster:
            cluster.patch(LEVEL, "workload-low", IMPATIENT)
            while "queues" in str(cluster.get(LEVEL, "workload-low")):
                pass
        with pytest.raises(ApiError) as raised:
            burst(server)
    assert raised.value.status == HTTPStatus.TOO_MANY_REQUESTS
