"""The load balancers of a tenant: Services of its host that follow the tenant's own, for as long as those live."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from kubeception import names
from kubeception.engine import balancer
from kubeception.engine.apply import Target, apply, prune
from kubeception.engine.balancer import Verdict
from kubeception.engine.events import tell
from kubeception.engine.news import NORMAL, WARNING, News
from kubeception.engine.parallel import together
from kubeception.errors import ApiError
from kubeception.kube.client import Cluster
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Key, Object, key_of
from kubeception.providers.base import Machine

COMPONENT: Final = "load-balancers"
ENDPOINTS: Final = "load-balancer-endpoints"
"""What its EndpointSlices are labelled with: they end with their Service, and not by us."""
PENDING: Final = "AddressPending"
REFUSALS: Final = frozenset({400, 403, 409, 422})
"""Answers to one Service that say nothing of the others."""


@dataclass
class Balancers:
    """One pass over the tenant's Services of type LoadBalancer."""

    host: Cluster
    tenant: Cluster
    ctx: PlanContext
    machines: Sequence[Machine]
    nodes: Mapping[str, Object]
    """The tenant's nodes, by name."""
    seen: list[Object] = field(default_factory=list)
    """The host's objects, as they are."""
    served: list[Object] = field(default_factory=list)
    """The tenant's Services that the host can serve."""
    news: list[News] = field(default_factory=list)

    def reconcile(self) -> None:
        """Everything that can be done now, in the host and in the status of the tenant's Services."""
        judged = self._judged()
        self.served = [service for service, verdict in judged if verdict is None]
        known = self.ctx.facts.objects
        self._write(COMPONENT, balancer.network_policy(self.ctx, self.served), known)
        slices = self._slices() if self.served else {}
        together([partial(self._serve, service, slices) for service in self.served])
        wanted = {key_of(obj) for obj in self.seen}
        # one that was refused just now may have been taken before
        wanted |= {("Service", self.ctx.namespace, balancer.name_of(s)) for s in self.served}
        prune(self.host, COMPONENT, wanted, known)
        together([partial(self._tell, s, [], verdict) for s, verdict in judged if verdict])

    def _judged(self) -> list[tuple[Object, Verdict | None]]:
        """Each with why the host doesn't serve it, if it doesn't."""
        offered = self.ctx.spec.load_balancers
        if offered.type == "None":
            return []
        found = balancer.wanted(self.ctx)
        limit = balancer.limit(self.ctx)
        said = f"this cluster may have {limit} load balancers, and has them"
        full = Verdict("LimitReached", said)
        return [
            (service, balancer.problem(self.ctx, service) if number < limit else full)
            for number, service in enumerate(found)
        ]

    def _serve(self, service: Object, slices: Mapping[Key, Object]) -> None:
        """One Service: in the host, and back in the tenant."""
        meta = service["metadata"]
        answering = balancer.answering(service, self.machines, self.nodes, self._endpoints(service))
        try:
            wanted = balancer.host_service(self.ctx, service)
            (made,) = self._write(COMPONENT, [wanted], self.ctx.facts.objects)
            uid = made["metadata"]["uid"]
            routed = balancer.endpoint_slice(self.ctx, service, uid, answering)
            self._write(ENDPOINTS, [routed], slices)
        except ApiError as error:
            if error.status not in REFUSALS:
                raise
            # why is the host's business: it may tell of quotas, policies and other tenants
            refused = Verdict(
                "RefusedByHost", f"the host refused it: {error.reason or error.status}"
            )
            self._tell(service, [], refused, f"{meta['namespace']}/{meta['name']}: {error.message}")
            return
        addresses = balancer.ingress(self.ctx, service, made)
        waits = Verdict(PENDING, "the host has given it no address yet")
        nobody = Verdict("NoNodes", "no node is there that could answer")
        ready = Verdict("Provided", f"{len(answering)} nodes answer", ok=True)
        verdict = waits if not addresses else ready if answering else nobody
        self._tell(service, addresses, verdict)

    def _write(
        self, component: str, wanted: list[Object], known: Mapping[Key, Object]
    ) -> list[Object]:
        """Apply these alone; whatever else is known stays."""
        mine = {key: known[key] for key in map(key_of, wanted) if key in known}
        made = apply(Target(self.host, {names.CLUSTER_LABEL: self.ctx.id}), component, wanted, mine)
        self.seen += made
        return made

    def _slices(self) -> dict[Key, Object]:
        """The host's EndpointSlices of load balancers."""
        labels = f"{names.COMPONENT_LABEL}={ENDPOINTS}"
        found = self.host.list("EndpointSlice", self.ctx.namespace, labels=labels)
        return {key_of(obj): obj for obj in found}

    def _endpoints(self, service: Object) -> list[Object]:
        """The tenant's EndpointSlices of a Service, where they matter."""
        if not balancer.is_local(service):
            return []
        meta = service["metadata"]
        labels = f"{balancer.OF_SERVICE}={meta['name']}"
        return self.tenant.list("EndpointSlice", meta["namespace"], labels=labels)

    def _tell(
        self, service: Object, addresses: list[dict[str, Any]], verdict: Verdict, cause: str = ""
    ) -> None:
        """Write it into the tenant's Service where it says something else; Events of what became different."""
        now, meta = self.ctx.facts.now, service["metadata"]
        patch = balancer.status(service, addresses, verdict, now)
        if patch is None:
            return
        before = balancer.said(service)
        self.tenant.patch("Service", meta["name"], patch, meta["namespace"], subresource="status")
        if before == (verdict.reason, verdict.message):
            return
        about = {"apiVersion": "v1", "kind": "Service"}
        about |= {key: meta[key] for key in ("namespace", "name", "uid")}
        kind = NORMAL if verdict.ok or verdict.reason == PENDING else WARNING
        tell(self.tenant, about, [News(kind, verdict.reason, verdict.message)], now)
        if cause:
            self.news.append(News(WARNING, "LoadBalancerRefused", cause))
