"""kopf: it watches TenantClusters, NodePools and Leases, and tells; it writes nothing of its own.

Only `on.event` is used. Its other handlers, daemons among them, keep their progress in annotations and a
finalizer of the object; ours is state that is derived, and a finalizer that only the engine takes away.
"""

import random
from collections.abc import Iterator
from typing import Any, Final

import kopf

from kubeception import names
from kubeception.kube.client import Cluster
from kubeception.operator.tenants import Tenants

LONGEST_PAUSE: Final = 5.0
STREAM_SECONDS: Final = 300


class Forever:
    """Pauses between attempts to reach the host, without an end: an outage is no reason to give up."""

    def __iter__(self) -> Iterator[float]:
        pause = 0.2
        while True:
            yield pause * random.uniform(0.75, 1.25)  # noqa: S311  # spreads load
            pause = min(pause * 2, LONGEST_PAUSE)


def settings() -> kopf.OperatorSettings:
    """How kopf is kept to observing."""
    result = kopf.OperatorSettings()
    result.posting.enabled = False
    result.scanning.disabled = True
    result.peering.standalone = True
    result.process.ultimate_exiting_timeout = None
    result.networking.error_backoffs = Forever()
    result.networking.connect_timeout = 5.0
    result.networking.request_timeout = 30.0
    result.watching.server_timeout = STREAM_SECONDS
    result.watching.client_timeout = STREAM_SECONDS + 30
    result.watching.connect_timeout = 5.0
    result.queueing.idle_timeout = 0.5
    result.watching.label_selectors["coordination.k8s.io", "v1", "leases"] = names.TENANT_LABEL
    return result


def registry(tenants: Tenants, host: Cluster) -> kopf.OperatorRegistry:
    """What is watched, and whom it is told to."""
    result = kopf.OperatorRegistry()

    @kopf.on.login(registry=result)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return connection(host)

    @kopf.on.event(names.GROUP, "v1alpha1", "tenantclusters", registry=result)
    async def cluster(event: kopf.RawEvent, **_: Any) -> None:
        tenants.cluster(event["type"], event["object"])

    @kopf.on.event(names.GROUP, "v1alpha1", "nodepools", registry=result)
    async def pool(event: kopf.RawEvent, **_: Any) -> None:
        tenants.pool(event["type"], event["object"])

    @kopf.on.event("coordination.k8s.io", "v1", "leases", registry=result)
    async def lease(event: kopf.RawEvent, **_: Any) -> None:
        tenants.lease(event["type"], event["object"])

    return result


def connection(host: Cluster) -> kopf.ConnectionInfo:
    """The host as kopf is told of it; asked for again when a token is no longer accepted."""
    known = host.configuration
    scheme, _, token = (
        known.get_api_key_with_prefix("BearerToken", "authorization") or ""
    ).partition(" ")
    return kopf.ConnectionInfo(
        server=host.server,
        ca_path=known.ssl_ca_cert,
        insecure=not known.verify_ssl,
        certificate_path=known.cert_file,
        private_key_path=known.key_file,
        scheme=scheme or None,
        token=token or None,
    )
