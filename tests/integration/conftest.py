"""A host cluster without nodes, and an API server that stands for a tenant's."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from kubeception.engine.install import install
from kubeception.kube.client import Cluster
from tests.integration.servers import (
    ApiServer,
    api_server,
    binary,
    controllers,
    free_port,
    process,
)


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real etcd."""
    folder = tmp_path_factory.mktemp("etcd")
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    with process(
        folder,
        binary("etcd"),
        "--data-dir=data",
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
    ):
        yield client


@pytest.fixture(scope="session")
def host_server(tmp_path_factory: pytest.TempPathFactory, etcd: str) -> Iterator[ApiServer]:
    """The host cluster: an API server and the controllers of namespaces and garbage."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("host")
        server = stack.enter_context(api_server(folder / "api", etcd, "/host"))
        stack.enter_context(controllers(server))
        yield server


@pytest.fixture(scope="module")
def lone_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, etcd: str
) -> Iterator[ApiServer]:
    """A host cluster of one file's tests alone: an operator in it changes what others would see."""
    name = request.module.__name__.rpartition(".")[2]
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp(name)
        server = stack.enter_context(api_server(folder / "api", etcd, f"/{name}"))
        stack.enter_context(controllers(server))
        yield server


@pytest.fixture(scope="session")
def tenant_server(tmp_path_factory: pytest.TempPathFactory, etcd: str) -> Iterator[ApiServer]:
    """An API server that stands for a tenant's."""
    folder = tmp_path_factory.mktemp("tenant")
    flags = ("--allow-privileged=true", "--enable-bootstrap-token-auth=true")
    with api_server(folder / "api", etcd, "/tenant", *flags) as server:
        yield server


@pytest.fixture
def host(host_server: ApiServer) -> Iterator[Cluster]:
    """The host cluster, with all rights and our kinds."""
    with host_server.cluster() as cluster:
        install(cluster)
        yield cluster


@pytest.fixture
def tenant(tenant_server: ApiServer) -> Iterator[Cluster]:
    """The tenant's API server, with all rights."""
    account = {"name": "default", "namespace": "default"}
    with tenant_server.cluster("tenant") as cluster:
        cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
        yield cluster


@pytest.fixture
def virtual_host(host: Cluster) -> Cluster:
    """The host cluster, with KubeVirt's kinds and nobody behind them."""
    for plural, kind in (
        ("virtualmachines", "VirtualMachine"),
        ("virtualmachineinstances", "VirtualMachineInstance"),
        ("virtualmachineinstancemigrations", "VirtualMachineInstanceMigration"),
    ):
        serve(host, plural, kind)
    return host


def serve(
    host: Cluster, plural: str, kind: str, group: str = "kubevirt.io", version: str = "v1"
) -> None:
    """The kind, with whatever is in it."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    body = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [served],
        },
    }
    host.apply(body)
    while host.raw(f"/apis/{group}/{version}/{plural}") is None:
        pass
