"""A tenant's Services of type LoadBalancer, and what its host makes of them. Pure.

To the host come ports, session affinity, source ranges and the traffic policy, each as the host's API takes it.
Nothing else a tenant says does: no annotation, no address it would like, no name. Where the traffic goes is said
by the host's own objects: to the machines, at the port that the tenant's Service has on all of them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kubeception import names
from kubeception.api.v1alpha1 import DNS_DOMAIN, LABEL_KEY, LABEL_VALUE
from kubeception.engine.nodes import is_open
from kubeception.engine.observe import is_ready
from kubeception.kube.conditions import condition
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object
from kubeception.providers.base import Machine, Phase

OF_SERVICE: Final = "kubernetes.io/service-name"
"""The label of an EndpointSlice that names its Service."""
EXCLUDED: Final = "node.kubernetes.io/exclude-from-external-load-balancers"
"""The label of a node that no load balancer is to use."""
HOSTNAME: Final = "load-balancer.hetzner.cloud/hostname"
"""Of the tenant's Service: the name that is told as its address, and means the same as at Hetzner."""
NODE_SELECTOR: Final = "load-balancer.hetzner.cloud/node-selector"
"""Of the tenant's Service: a label selector of the nodes that are to answer."""
MOST_PORTS: Final = 10
"""Each costs the host one of its node ports, of which it has 2,768."""
MOST_NODES: Final = 1000
"""Endpoints of an EndpointSlice."""

_TERM: Final = re.compile(r"(!?)([^=!,\s]+)\s*(?:(==?|!=)\s*([^=!,\s]*))?")


@dataclass(frozen=True)
class Verdict:
    """How far a Service of the tenant is, as its condition says."""

    reason: str
    message: str
    ok: bool = False


def wanted(ctx: PlanContext) -> list[Object]:
    """The tenant's Services that its host is to serve: those it serves already, then the oldest."""

    def rank(service: Object) -> tuple[bool, str, str]:
        meta = service["metadata"]
        new = ctx.seen("Service", name_of(service)) is None
        return new, meta["creationTimestamp"], meta["uid"]

    services = (obj for key, obj in ctx.facts.tenant_objects.items() if key[0] == "Service")
    return sorted(filter(_is_for_host, services), key=rank)


def _is_for_host(service: Object) -> bool:
    spec, meta = service.get("spec", {}), service["metadata"]
    ours = spec.get("loadBalancerClass") in (None, names.LOAD_BALANCER_CLASS)
    return spec.get("type") == "LoadBalancer" and ours and "deletionTimestamp" not in meta


def is_local(service: Object) -> bool:
    """Whether only nodes with an endpoint of it answer, which then see the client's address."""
    return bool(service["spec"].get("externalTrafficPolicy") == "Local")


def place(service: Object) -> tuple[str, str]:
    """Namespace and name."""
    return service["metadata"]["namespace"], service["metadata"]["name"]


def place_of_slice(endpoint_slice: Object) -> tuple[str, str]:
    """The same of the Service that an EndpointSlice is of."""
    meta = endpoint_slice["metadata"]
    return meta.get("namespace", ""), (meta.get("labels") or {}).get(OF_SERVICE, "")


def problem(ctx: PlanContext, service: Object) -> Verdict | None:
    """Why the host can't serve it; None when it can."""
    spec = service["spec"]
    ports = spec.get("ports") or []
    if not 0 < len(ports) <= MOST_PORTS:
        return Verdict("Unsupported", f"it has {len(ports)} ports; up to {MOST_PORTS} are served")
    if any(not port.get("nodePort") for port in ports):
        said = "a port has no node port: allocateLoadBalancerNodePorts must not be false"
        return Verdict("Unsupported", said)
    if spec.get("loadBalancerSourceRanges") and ctx.spec.load_balancers.type == "NodePort":
        said = "loadBalancerSourceRanges: the host serves it by a NodePort, which can't keep anybody out"
        return Verdict("Unsupported", said)
    annotations = service["metadata"].get("annotations") or {}
    if _terms(annotations.get(NODE_SELECTOR, "")) is None:
        return Verdict("Unsupported", f"annotation {NODE_SELECTOR}: is not a list like zone=a,disk")
    name = annotations.get(HOSTNAME, "")
    if name and (len(name) > 253 or not re.fullmatch(DNS_DOMAIN, name)):
        return Verdict("Unsupported", f"annotation {HOSTNAME}: is not a DNS name")
    return None


def name_of(service: Object) -> str:
    """The name of the Service, and of the EndpointSlice, in the host."""
    return f"lb-{names.digest(service['metadata']['uid'], length=16)}"


def limit(ctx: PlanContext) -> int:
    """How many there may be: the cluster's budget is for that of its API server, too."""
    offered, budget = ctx.spec.load_balancers, ctx.spec.budget.load_balancers
    if budget is None or offered.type != "LoadBalancer":
        return offered.limit
    return min(offered.limit, budget - (ctx.spec.exposure.type == "LoadBalancer"))


def host_service(ctx: PlanContext, service: Object) -> Object:
    """The Service of the host that is its load balancer."""
    spec, meta, offered = service["spec"], service["metadata"], ctx.spec.load_balancers
    made = ctx.manifest(
        "load-balancer/service.yaml.j2",
        name=name_of(service),
        tenant_service=f"{meta['namespace']}/{meta['name']}",
        policy="Local" if is_local(service) else "Cluster",
        ports=[
            {**_port(port), "port": port["port"], "targetPort": port["nodePort"]}
            for port in spec["ports"]
        ],
    )
    if offered.type == "LoadBalancer":
        if offered.class_name:
            made["spec"]["loadBalancerClass"] = offered.class_name
        if ranges := spec.get("loadBalancerSourceRanges"):
            made["spec"]["loadBalancerSourceRanges"] = [str(text) for text in ranges]
    if spec.get("sessionAffinity") == "ClientIP":
        made["spec"]["sessionAffinity"] = "ClientIP"
        config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if seconds := config.get("timeoutSeconds"):
            timeout = {"clientIP": {"timeoutSeconds": int(seconds)}}
            made["spec"]["sessionAffinityConfig"] = timeout
    return made


def endpoint_slice(
    ctx: PlanContext, service: Object, uid: str, machines: Sequence[Machine]
) -> Object:
    """Which machines answer for the host's Service, whose uid this is."""
    return ctx.manifest(
        "load-balancer/endpoint-slice.yaml.j2",
        name=name_of(service),
        uid=uid,
        endpoints=[_endpoint(machine) for machine in machines[:MOST_NODES]],
        ports=[{**_port(port), "port": port["nodePort"]} for port in service["spec"]["ports"]],
    )


def network_policy(ctx: PlanContext, services: Iterable[Object]) -> list[Object]:
    """What lets their clients come to the machines, where the host's network asks; nothing without any."""
    ports = {
        (port.get("protocol", "TCP"), port["nodePort"])
        for service in services
        for port in service["spec"]["ports"]
    }
    if not ports:
        return []
    allowed = [{"protocol": protocol, "port": port} for protocol, port in sorted(ports)]
    return [ctx.manifest("load-balancer/network-policy.yaml.j2", ports=allowed)]


def answering(
    service: Object,
    machines: Iterable[Machine],
    nodes: Mapping[str, Object],
    slices: Iterable[Object],
) -> list[Machine]:
    """The machines that should answer: of a Local one those with an endpoint, else those of nodes that can.

    Preferred are nodes that stay; then any that is ready for pods; and where there is none, all are meant:
    what their kubelets don't tell they may still do.
    """
    selector = _terms((service["metadata"].get("annotations") or {}).get(NODE_SELECTOR, "")) or []
    able = [
        machine
        for machine in sorted(machines, key=lambda machine: machine.name)
        if machine.phase is Phase.RUNNING
        and machine.address
        and _is_meant(nodes.get(machine.name), selector)
    ]
    if is_local(service):
        there = _with_endpoint(slices)
        return [machine for machine in able if machine.name in there]
    ready = [m for m in able if is_ready(nodes[m.name]) and is_open(nodes[m.name])]
    stay = [m for m in ready if not m.draining_since and not m.evicted]
    return stay or ready or able


def ingress(ctx: PlanContext, service: Object, host: Object) -> list[dict[str, Any]]:
    """`status.loadBalancer.ingress` of the tenant's Service, by what the host's says; empty while that has none."""
    if name := (service["metadata"].get("annotations") or {}).get(HOSTNAME):
        said = (host.get("status", {}).get("loadBalancer") or {}).get("ingress")
        return [{"hostname": name}] if said or ctx.spec.load_balancers.type == "NodePort" else []
    if ctx.spec.load_balancers.type == "NodePort":
        ports = [
            {"port": port["nodePort"], "protocol": port.get("protocol", "TCP")}
            for port in host["spec"]["ports"]
            if port.get("nodePort")
        ]
        there = ctx.facts.host.node_addresses
        return [{"ip": address, "ipMode": "Proxy", "ports": ports} for address in there]
    entries = (host.get("status", {}).get("loadBalancer") or {}).get("ingress") or []
    told = ("hostname", "ip", "ipMode")
    return [{key: entry[key] for key in told if key in entry} for entry in entries]


def status(
    service: Object, addresses: Sequence[Mapping[str, Any]], verdict: Verdict, now: datetime
) -> dict[str, Any] | None:
    """What to merge into the tenant's Service's status; None when it says so already."""
    told = service.get("status", {})
    known = condition(service, names.LOAD_BALANCER_CONDITION)
    state = "True" if verdict.ok else "False"
    said = {"status": state, "reason": verdict.reason, "message": verdict.message}
    same = all(known.get(key) == value for key, value in said.items())
    before = (told.get("loadBalancer") or {}).get("ingress") or []
    if same and _plain(before) == _plain(addresses):
        return None
    moved = known.get("lastTransitionTime") if known.get("status") == state else None
    ours = {
        "type": names.LOAD_BALANCER_CONDITION,
        **said,
        "lastTransitionTime": moved or now.isoformat(timespec="seconds"),
        "observedGeneration": service["metadata"].get("generation", 0),
    }
    others = [c for c in told.get("conditions") or () if c["type"] != names.LOAD_BALANCER_CONDITION]
    balancer = {"ingress": [*addresses] or None}
    return {"status": {"loadBalancer": balancer, "conditions": [*others, ours]}}


def said(service: Object) -> tuple[str, str]:
    """Reason and message of the condition that was written last; empty where there is none."""
    known = condition(service, names.LOAD_BALANCER_CONDITION)
    return known.get("reason", ""), known.get("message", "")


def _plain(addresses: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Without what an API server adds by itself: an address without a mode is a VIP."""
    return [{k: v for k, v in entry.items() if (k, v) != ("ipMode", "VIP")} for entry in addresses]


def _port(port: Object) -> Object:
    """What names a port to the host."""
    said = {"protocol": port.get("protocol", "TCP")}
    return {**said, "name": port["name"]} if port.get("name") else said


def _endpoint(machine: Machine) -> Object:
    found: Object = {"addresses": [machine.address], "conditions": {"ready": True}}
    return {**found, "nodeName": machine.host_node} if machine.host_node else found


def _is_meant(node: Object | None, selector: Sequence[tuple[bool, str, str | None]]) -> bool:
    """Whether load balancers may use the node, and this one is to."""
    if node is None or "deletionTimestamp" in node["metadata"]:
        return False
    labels = node["metadata"].get("labels") or {}
    return EXCLUDED not in labels and all(_holds(labels, *term) for term in selector)


def _holds(labels: Mapping[str, str], positive: bool, key: str, value: str | None) -> bool:
    there = key in labels if value is None else labels.get(key) == value
    return there is positive


def _terms(selector: str) -> list[tuple[bool, str, str | None]] | None:
    """The terms `key`, `!key`, `key=value` and `key!=value` of a selector; None where it has others."""
    terms: list[tuple[bool, str, str | None]] = []
    for text in filter(None, (part.strip() for part in selector[:1000].split(","))):
        found = _TERM.fullmatch(text)
        if found is None or not re.fullmatch(LABEL_KEY, found[2]):
            return None
        absent, key, sign, value = found.groups()
        if (absent and sign) or (value is not None and not re.fullmatch(LABEL_VALUE, value)):
            return None
        terms.append((not absent and sign != "!=", key, value))
    return terms


def _with_endpoint(slices: Iterable[Object]) -> set[str]:
    """Nodes that have an endpoint that is ready."""
    return {
        str(endpoint.get("nodeName"))
        for found in slices
        for endpoint in found.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True)
    }
