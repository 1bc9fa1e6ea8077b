"""Where a tenant is reached: Services in its host, and what the host makes of them for those outside."""

from collections.abc import Iterable, Iterator, Mapping

from kubeception.api.reasons import Reason
from kubeception.components.base import Component, Readiness
from kubeception.plan.context import PlanContext
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
        yield ctx.manifest(
            "endpoint/kube-apiserver.yaml.j2",
            name=API_SERVICE,
            selector=ctx.labels("control-plane"),
            api_port=API_PORT,
            tunnel_port=TUNNEL_PORT,
        )
        yield ctx.manifest("endpoint/etcd.yaml.j2", name=ETCD_SERVICE, selector=ctx.labels("etcd"))

    def ready(self, ctx: PlanContext, seen: Mapping[Key, Object]) -> Readiness:
        if ctx.endpoint and cluster_ip(ctx.facts, ctx.namespace, ETCD_SERVICE):
            return Readiness.ready()
        return Readiness.waiting("a Service has no address yet", Reason.NO_ADDRESS)


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
