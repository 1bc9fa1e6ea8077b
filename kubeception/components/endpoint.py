"""Where a tenant is reached: Services in its host, and what the host makes of them for those outside."""

from collections.abc import Iterable, Iterator, Mapping

from kubeception.api.reasons import Reason
from kubeception.components.base import Component, Readiness
from kubeception.plan.context import PlanContext
from kubeception.plan.control_plane import CLIENT_PORT, PEER_PORT, answering, members
from kubeception.plan.endpoint import (
    API_PORT,
    API_SERVICE,
    ETCD_SERVICE,
    TUNNEL_PORT,
    cluster_ip,
)
from kubeception.plan.facts import Key, Object


class Services(Component):
    """How the API server, its tunnel and its datastore are reached inside the host.

    They come early: certificates and flags name their addresses.
    """

    name = "endpoint"

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        if ctx.spec.control_plane.in_machines:
            yield from _of_machines(ctx)
            return
        yield ctx.manifest(
            "endpoint/kube-apiserver.yaml.j2",
            name=API_SERVICE,
            selector=ctx.labels("control-plane"),
            api_port=API_PORT,
            tunnel_port=TUNNEL_PORT,
        )
        yield ctx.manifest("endpoint/etcd.yaml.j2", name=ETCD_SERVICE, selector=ctx.labels("etcd"))

    def ready(self, ctx: PlanContext, seen: Mapping[Key, Object]) -> Readiness:
        wanted = [ETCD_SERVICE]
        if ctx.spec.control_plane.in_machines:
            wanted = [member.service for member in members(ctx)]
        if ctx.endpoint and all(cluster_ip(ctx.facts, ctx.namespace, name) for name in wanted):
            return Readiness.ready()
        return Readiness.waiting("a Service has no address yet", Reason.NO_ADDRESS)


def _of_machines(ctx: PlanContext) -> Iterator[Object]:
    """A Service for all machines and one for each: they are in another namespace, where no selector reaches."""
    known = members(ctx)
    kind, template = ctx.spec.exposure.type, "endpoint/machines.yaml.j2"
    ports = [_port("https", API_PORT)]
    yield ctx.manifest(template, name=API_SERVICE, kind=kind, ports=ports)
    if found := [member.address for member in answering(known)]:
        yield _slice(ctx, API_SERVICE, found, ports)
    ports = [_port("client", CLIENT_PORT), _port("peer", PEER_PORT)]
    for member in known:
        yield ctx.manifest(template, name=member.service, kind="ClusterIP", ports=ports)
        if member.address:
            yield _slice(ctx, member.service, [member.address], ports)


def _port(name: str, number: int) -> Object:
    return {"name": name, "port": number, "protocol": "TCP"}


def _slice(ctx: PlanContext, name: str, addresses: list[str], ports: list[Object]) -> Object:
    endpoints = [{"addresses": [a], "conditions": {"ready": True}} for a in addresses]
    return ctx.manifest(
        "endpoint/endpoint-slice.yaml.j2", name=name, endpoints=endpoints, ports=ports
    )


class Exposure(Component):
    """Where the API server is reached by those outside the host: nothing waits for that."""

    name = "exposure"
    needs = ("endpoint",)
    title = "Endpoint"

    def objects(self, ctx: PlanContext) -> Iterable[Object]:
        return ()

    def ready(self, ctx: PlanContext, seen: Mapping[Key, Object]) -> Readiness:
        endpoint = ctx.endpoint
        if endpoint is None or endpoint.pending:
            return Readiness.waiting(
                "the host has not given the Service of type LoadBalancer an address yet",
                Reason.LOAD_BALANCER_PENDING,
            )
        return Readiness.ready(endpoint.url)
