"""The Services in front of kube-apiserver and etcd. They come early: certificates and flags name their addresses."""

from collections.abc import Iterator, Mapping

from kubeception.api.reasons import Reason
from kubeception.components.base import Component, Readiness
from kubeception.plan.context import PlanContext
from kubeception.plan.endpoint import API_PORT, API_SERVICE, ETCD_SERVICE, TUNNEL_PORT
from kubeception.plan.facts import Key, Object


class EndpointServices(Component):
    """How the API server, its tunnel and its datastore are reached."""

    name = "endpoint"
    title = "Endpoint"

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
        endpoint = ctx.endpoint
        if endpoint is None:
            return Readiness.waiting("the Service has no address yet", Reason.NO_ADDRESS)
        if endpoint.pending:
            return Readiness.waiting(
                "the host has not given the Service of type LoadBalancer an address yet",
                Reason.LOAD_BALANCER_PENDING,
            )
        return Readiness.ready(endpoint.url)
