"""What is wrong with a host or a tenant, who must act, and what to do: looked at, never written."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from kubeception import names
from kubeception.api.advice import advice
from kubeception.api.reasons import TROUBLES, Actor, Reason
from kubeception.components.causes import cause
from kubeception.engine import observe
from kubeception.engine.install import installed_version, newness
from kubeception.engine.leader import leader
from kubeception.engine.lease import Lease
from kubeception.engine.probe import CONDITION as POLICIES
from kubeception.engine.reconcile import Engine
from kubeception.errors import KubeceptionError
from kubeception.kube.client import Cluster
from kubeception.plan.context import PlanContext
from kubeception.plan.control_plane import pool_of
from kubeception.plan.expiry import expiries
from kubeception.plan.facts import Object
from kubeception.providers import PROVIDERS
from kubeception.providers.kubevirt import unsafe

OLDEST_HOST: Final = (1, 29)
"""From here on Kubernetes has native sidecars."""
REACH_SECONDS: Final = 8.0
SOON: Final = timedelta(days=30)
"""Before its end, when a certificate that nobody renewed is worth a word."""
LONG: Final = timedelta(minutes=2)
"""After which a deletion that goes on is worth a word."""


class Level(StrEnum):
    """How bad it is."""

    FINE = "fine"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    found: str
    actor: Actor = Actor.NOBODY
    fix: str = ""


def fine(subject: str, found: str) -> Finding:
    """Nothing is to be done."""
    return Finding(Level.FINE, subject, found)


def warning(subject: str, found: str, actor: Actor, fix: str) -> Finding:
    """It works, and may not always."""
    return Finding(Level.WARNING, subject, found, actor, fix)


def problem(subject: str, found: str, actor: Actor, fix: str) -> Finding:
    """It doesn't work."""
    return Finding(Level.PROBLEM, subject, found, actor, fix)


def _guarded(subject: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of a check; that it can't be made is one too."""
    try:
        yield from check()
    except KubeceptionError as error:
        yield problem(subject, error.message, Actor.HOST, error.hint or "See the message.")


# the host


def host(cluster: Cluster) -> Iterator[Finding]:
    """A host cluster that answers."""
    checks: dict[str, Callable[[Cluster], Iterable[Finding]]] = {
        "Host version": _version,
        "Host nodes": _host_nodes,
        "Storage": _storage,
        "Machines": _providers,
        "Definitions": _definitions,
        "Operator": _operator,
        "Network": _network,
    }
    for subject, check in checks.items():
        yield from _guarded(subject, lambda check=check: check(cluster))  # type: ignore[misc]


def _version(cluster: Cluster) -> Iterator[Finding]:
    version = cluster.version()
    parts = version.removeprefix("v").split(".")[:2]
    if all(part.isdecimal() for part in parts) and tuple(map(int, parts)) < OLDEST_HOST:
        fix = "Use a host with Kubernetes 1.29 or newer."
        yield problem("Host version", f"{version} has no native sidecars", Actor.HOST, fix)
    else:
        yield fine("Host version", version)


def _host_nodes(cluster: Cluster) -> Iterator[Finding]:
    nodes = cluster.list("Node")
    usable = [n for n in nodes if observe.is_ready(n) and not n["spec"].get("unschedulable")]
    found = f"{len(usable)} of {len(nodes)} ready and schedulable"
    if usable and len(usable) == len(nodes):
        yield fine("Host nodes", found)
        return
    names_of = [n["metadata"]["name"] for n in nodes if n not in usable]
    fix = f"Look at {', '.join(names_of)}: kubectl describe node." if names_of else "Add nodes."
    make = warning if usable else problem
    yield make("Host nodes", found, Actor.HOST, fix)


def _storage(cluster: Cluster) -> Iterator[Finding]:
    if name := observe.observe_host(cluster).default_storage_class:
        yield fine("Storage", f"default StorageClass {name}")
        return
    found = "no default StorageClass: datastores are ephemeral unless a spec names a class"
    fix = "Mark one as default, or set datastore.storageClassName."
    yield warning("Storage", found, Actor.HOST, fix)


def _providers(cluster: Cluster) -> Iterator[Finding]:
    for provider in PROVIDERS.values():
        try:
            provider.preflight(cluster)
        except KubeceptionError as error:
            yield warning("Machines", error.message, Actor.HOST, error.hint)
            continue
        installed = cluster.list("KubeVirt") if "VirtualMachine" in provider.kinds else []
        emulated = any(_emulates(kubevirt) for kubevirt in installed)
        how = ", which emulates processors: machines take minutes to boot" if emulated else ""
        yield fine("Machines", f"{provider.name} is ready{how}")
        for version in filter(None, map(unsafe, installed)):
            found = f"KubeVirt {version}, accepted here, has published holes by which guests come to their host"
            fix = "Upgrade it before strangers get machines."
            yield warning("Machines", found, Actor.HOST, fix)


def _emulates(kubevirt: Object) -> bool:
    configuration = kubevirt["spec"].get("configuration") or {}
    return bool((configuration.get("developerConfiguration") or {}).get("useEmulation"))


def _definitions(cluster: Cluster) -> Iterator[Finding]:
    if cluster.get("CustomResourceDefinition", f"tenantclusters.{names.GROUP}"):
        yield fine("Definitions", "TenantCluster and NodePool are installed")
        return
    fix = "`kubeception install`, or the first `kubeception create`, installs them."
    yield warning("Definitions", "TenantCluster and NodePool are not installed", Actor.HOST, fix)


def _operator(cluster: Cluster) -> Iterator[Finding]:
    holder = leader(cluster, patient=True)
    if holder:
        yield fine("Operator", f"{holder} leads")
    elif cluster.get("Deployment", names.OPERATOR, names.SYSTEM_NAMESPACE):
        fix = f"kubectl --namespace {names.SYSTEM_NAMESPACE} describe pods"
        yield problem("Operator", "it is installed, and no replica of it leads", Actor.HOST, fix)
    else:
        yield fine("Operator", "none: commands do the work while they run")


def _network(cluster: Cluster) -> Iterator[Finding]:
    """Whether NetworkPolicies are enforced, as the operator found it, tenant by tenant."""
    conditions = [_condition(obj, POLICIES) for obj in cluster.list("TenantCluster")]
    tested = [c for c in conditions if c["status"] != "Unknown"]
    if open_ := [c for c in tested if c["status"] == "False"]:
        found = f"NetworkPolicies are not enforced, by {len(open_)} of {len(tested)} tenant clusters that were tested"
        fix = advice(Reason.NOT_ENFORCED, "")
        yield warning("Network", f"{found}: {open_[0]['message']}", Actor.HOST, fix)
    elif tested:
        yield fine(
            "Network", f"NetworkPolicies are enforced, tested by {len(tested)} tenant clusters"
        )
    else:
        yield fine(
            "Network", "not tested: an operator in the host does, once a tenant cluster runs"
        )


def _condition(obj: Object, name: str) -> Object:
    """One of an object's conditions; of one it hasn't, that nothing is known."""
    found = (obj.get("status") or {}).get("conditions") or ()
    return next((c for c in found if c["type"] == name), {"status": "Unknown"})


# a tenant


def tenant(engine: Engine) -> Iterator[Finding]:
    """One tenant cluster. Raises NotFoundError."""
    ctx = engine.context()
    found = engine.host.get("TenantCluster", engine.name, engine.namespace) or {}
    yield from _guarded("Work", lambda: _work(engine, ctx))
    yield from _conditions(found, engine.name)
    yield from _guarded("Control plane", lambda: _control_plane(engine, ctx))
    yield from _guarded("Certificates", lambda: _certificates(ctx, engine.name))
    reached = engine.link.wait(ctx, REACH_SECONDS) if ctx.endpoint else None
    yield from _guarded("API server", lambda: _api(ctx, engine, reached))
    if reached is not None:
        yield from _guarded("Pods", lambda: _pods(reached, ctx.facts.now, engine.name))
        yield from _guarded("Operator", lambda: _inner_operator(engine, reached))
    yield from _guarded("Infra clusters", lambda: _infra(engine, ctx))
    yield from _guarded("Nodes", lambda: _nodes(engine, ctx))


def _inner_operator(engine: Engine, tenant: Cluster) -> Iterator[Finding]:
    """That of a tenant which is a host itself: not newer than the one above it."""
    inner, outer = installed_version(tenant), installed_version(engine.host)
    if not inner:
        return
    if outer and newness(inner) > newness(outer):
        found = f"that in it is release {inner}, newer than {outer} of its host"
        yield warning("Operator", found, Actor.HOST, "kubeception upgrade, of the host first")
    elif outer and inner != outer:
        found = f"that in it is release {inner}, older than {outer} of its host"
        fix = f"kubeception upgrade --in {engine.name}"
        yield warning("Operator", found, Actor.OWNER, fix)
    else:
        yield fine("Operator", f"that in it is release {inner}")


def _work(engine: Engine, ctx: PlanContext) -> Iterator[Finding]:
    """Whether anybody works on it, and may."""
    name, cluster = engine.name, ctx.cluster
    if cluster.paused:
        fix = f"kubeception resume {name}"
        yield warning("Work", "it is paused: nothing is changed or repaired", Actor.OWNER, fix)
        return
    lease = Lease.of_tenant(engine.host, engine.namespace, name, engine.clock)
    worker = leader(engine.host) or ("" if (holder := lease.holder()) == "nobody" else holder)
    if cluster.metadata.deletion_timestamp:
        since = datetime.fromisoformat(cluster.metadata.deletion_timestamp)
        if engine.clock() - since > LONG or not worker:
            found = f"it is being deleted since {since:%H:%M} UTC"
            who = f", by {worker}" if worker else ", and nobody works on it"
            yield problem("Work", found + who, Actor.OWNER, f"kubeception delete {name}")
        return
    if worker:
        yield fine("Work", f"{worker} works on it")
    elif cluster.status.get("phase") != "Ready":
        found = "it is not ready, and nobody works on it: its conditions may be old"
        yield problem("Work", found, Actor.OWNER, f"kubeception create {name}")
    else:
        yield fine("Work", "nobody works on it just now, and it is ready")


def _conditions(found: Object, name: str) -> Iterator[Finding]:
    """What its conditions say that a person must mend."""
    for condition in (found.get("status") or {}).get("conditions") or ():
        reason = condition.get("reason", "")
        if condition["type"] == POLICIES:
            continue  # that is of the host, and was said there
        if condition["status"] != "True" and reason in TROUBLES:
            known = next(r for r in Reason if r == reason)
            said = condition.get("message") or known.meaning
            yield problem(condition["type"], f"{reason}: {said}", known.actor, advice(known, name))


def _control_plane(engine: Engine, ctx: PlanContext) -> Iterator[Finding]:
    """Its pods in the host; where it is machines, those are looked at with the others."""
    if ctx.spec.control_plane.in_machines:
        return
    pods = engine.host.list("Pod", ctx.namespace)
    claims = engine.host.list("PersistentVolumeClaim", ctx.namespace)
    troubles = [_of_pod(pod, claims, ctx.facts.now, engine.name) for pod in pods]
    bad = [finding for finding in troubles if finding]
    yield from bad
    owners = {pod["metadata"].get("labels", {}).get(names.COMPONENT_LABEL) for pod in pods}
    missing = [each for each in ("etcd", "control-plane") if each not in owners]
    for component in missing:
        fix = f"kubeception create {engine.name}"
        yield problem("Control plane", f"{component} has no pod", Actor.OWNER, fix)
    if not bad and not missing:
        yield fine("Control plane", f"{len(pods)} pods run")


def _of_pod(pod: Object, claims: Iterable[Object], now: datetime, name: str) -> Finding | None:
    """What is wrong with a pod, if anything is."""
    found = cause([pod], claims, (), now)
    if found is None:
        return None
    reason = found.reason
    said = f"{pod['metadata']['namespace']}: {found.message}"
    return problem("Pods", said, reason.actor, advice(reason, name))


def _certificates(ctx: PlanContext, name: str) -> Iterator[Finding]:
    secrets = [o for o in ctx.facts.objects.values() if o["kind"] == "Secret"]
    found = list(expiries(s for s in secrets if s["metadata"].get("namespace") == ctx.namespace))
    again = f"kubeception create {name}"
    for expiry in found:
        if expiry.ends is None:
            fix = "Restore the Secret from a backup." if expiry.is_ca else again
            yield problem("Certificates", f"{expiry.name} can't be read", Actor.HOST, fix)
        elif expiry.ends <= ctx.facts.now:
            ended = f"{expiry.name} ended on {expiry.ends:%Y-%m-%d}"
            yield problem("Certificates", ended, Actor.OWNER, again)
        elif expiry.ends - ctx.facts.now < SOON:
            ends = f"{expiry.name} ends on {expiry.ends:%Y-%m-%d}"
            yield warning("Certificates", ends, Actor.OWNER, again)
    dates = [e.ends for e in found if e.ends]
    if dates and min(dates) - ctx.facts.now >= SOON:
        yield fine("Certificates", f"{len(dates)}, the first ends on {min(dates):%Y-%m-%d}")


def _api(ctx: PlanContext, engine: Engine, reached: Cluster | None) -> Iterator[Finding]:
    if ctx.endpoint is None:
        reason = Reason.NO_ADDRESS
        found = "it has no address yet"
        yield problem("API server", found, reason.actor, advice(reason, engine.name))
        return
    url = ctx.endpoint.url
    if reached is None:
        fix = f"kubeception logs {engine.name} apiserver --tail 30"
        found = f"does not answer, neither at {url} nor through the host"
        yield problem("API server", found, Actor.OWNER, fix)
        return
    ready = reached.raw("/readyz?verbose") or ""
    failed = [line for line in ready.splitlines() if line.startswith("[-]")]
    if reached.server == url:
        yield fine("API server", f"answers at {url}")
    else:
        fix = (
            f"kubeception connect {engine.name} goes through the host. A firewall, or an address that "
            "only works elsewhere? exposure.host sets another."
        )
        yield warning("API server", f"{url} can't be reached from here", Actor.OWNER, fix)
    for line in failed:
        fix = f"kubeception logs {engine.name} apiserver --tail 30"
        yield problem("API server", f"/readyz: {line}", Actor.OWNER, fix)


def _pods(tenant: Cluster, now: datetime, name: str) -> Iterator[Finding]:
    """The system's pods inside the tenant."""
    nodes = tenant.list("Node")
    if not nodes:
        return  # there is nowhere for them to run
    for namespace in ("kube-system", "kube-flannel", "local-path-storage"):
        for pod in tenant.list("Pod", namespace):
            if finding := _of_pod(pod, (), now, name):
                yield replace(finding, found=f"in the tenant: {finding.found}", actor=Actor.OWNER)


def _infra(engine: Engine, ctx: PlanContext) -> Iterator[Finding]:
    """The clusters in which machines are that aren't in the host."""
    sites = engine.ways.look(engine.host, ctx, remember=False)
    for name, place in sites.places.items():
        if trouble := place.unfit:
            fix = advice(trouble.reason, engine.name)
            yield problem("Infra clusters", trouble.message, trouble.reason.actor, fix)
        else:
            found = f"that of NodePool {sites.pools[name]} answers, {len(place.machines)} machines"
            yield fine("Infra clusters", found)
    for trouble in sites.troubles.values():
        fix = advice(trouble.reason, engine.name)
        yield problem("Infra clusters", trouble.message, trouble.reason.actor, fix)


def _nodes(engine: Engine, ctx: PlanContext) -> Iterator[Finding]:
    wanted = sum(pool.spec.replicas for pool in ctx.pools)
    if own := pool_of(ctx):
        wanted += own.spec.replicas
    states = engine.machines()
    ready = [state for state in states if state.ready]
    for state in states:
        if not state.ready:
            said = state.message or state.state.lower()
            where = ctx.nodes_namespace
            fix = f"kubeception console {state.machine.name} --tail 50; kubectl -n {where} get vmi"
            if state.machine.site:
                fix = f"kubeception console {state.machine.name} --tail 50; and look in its infra cluster."
            stuck = state.message and state.reason is not Reason.IN_PROGRESS
            actor = Actor.HOST if stuck else Actor.NOBODY
            make = problem if stuck else warning
            yield make("Nodes", f"{state.machine.name}: {said}", actor, fix)
    if len(states) < wanted:
        found = f"{len(states)} of {wanted} machines are there"
        yield problem("Nodes", found, Actor.OWNER, f"kubeception create {engine.name}")
    if len(ready) == wanted:
        yield fine("Nodes", f"{len(ready)} of {wanted} ready")


def document(finding: Finding) -> dict[str, str]:
    """For programs."""
    found: dict[str, str] = json.loads(json.dumps(vars(finding)))
    return found
