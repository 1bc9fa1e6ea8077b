"""API servers of a host and of a tenant, and how a tenant's life goes without faults."""

from collections.abc import Iterator

import pytest

from tests.fault.runs import Reference, learn, servers
from tests.integration.servers import ApiServer

Servers = tuple[ApiServer, ApiServer]


@pytest.fixture(scope="session")
def fault_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("fault"), 1) as (host, tenants):
        yield host, tenants[0]


@pytest.fixture(scope="session")
def reference(fault_servers: Servers) -> Reference:
    return learn(*fault_servers)
