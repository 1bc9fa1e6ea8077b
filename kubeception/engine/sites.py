"""Where the machines of pools are that aren't in the host: the way there, what is there, and why there is none.

Whoever runs the other cluster is trusted with the machines they run, and with nothing else: not with our time, not
with names they choose, not with an answer's form. What isn't known of a place is no news of its machines.
"""

import base64
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from ipaddress import IPv4Address
from typing import Final
from urllib.parse import urlsplit

from kubeception import names
from kubeception.api.reasons import Reason
from kubeception.api.v1alpha1 import NodePool
from kubeception.components.base import Readiness
from kubeception.components.network_policy import is_the_hosts
from kubeception.engine.parallel import together
from kubeception.errors import ApiError, KubeceptionError, SpecError, StoppedError
from kubeception.kube.bounds import Bounds
from kubeception.kube.client import Cluster
from kubeception.kube.given import at_address, reduced
from kubeception.kube.kubeconfig import Document
from kubeception.kube.patience import Patience
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import HostFacts, Object
from kubeception.plan.site import Site, record, recorded, site_of
from kubeception.providers import provider
from kubeception.providers.base import Machine

PROVIDER: Final = "kubevirt"
"""Of which all machines elsewhere are."""
KINDS: Final = ("VirtualMachine", "VirtualMachineInstance")
"""What they are made of, beside Secrets: none is moved by us."""
KEY: Final = "kubeconfig"
ANSWER_SECONDS: Final = 5.0
"""What a request may take there, name servers included."""
CONNECT_SECONDS: Final = 2.0
QUIET_SECONDS: Final = 15.0
"""After which a cluster that didn't answer is asked again."""
FIT_SECONDS: Final = 300.0
"""How long it counts that its KubeVirt will do."""
BOUNDS: Final = Bounds(objects=5000, answer_seconds=ANSWER_SECONDS)
STRANGE: Final = (AttributeError, KeyError, TypeError, ValueError)
"""What becomes of an answer whose form is not that of an API server's."""
GIVE_UP: Final = timedelta(minutes=10)
"""After which a place that can't be reached is forgotten, once its pool is gone."""


@dataclass(frozen=True)
class Place:
    """Where machines are: a cluster and a namespace of it, and what of ours is there."""

    cluster: Cluster
    namespace: str
    objects: tuple[Object, ...] = ()
    machines: tuple[Machine, ...] = ()
    unfit: Readiness | None = None
    """Why no machine is to be made there."""


@dataclass
class Sites:
    """What one pass knows of all places outside the host, by the names of their records."""

    places: dict[str, Place] = field(default_factory=dict)
    troubles: dict[str, Readiness] = field(default_factory=dict)
    """Of those of which nothing is known now: why."""
    records: dict[str, Object] = field(default_factory=dict)
    pools: dict[str, str] = field(default_factory=dict)
    """The pool that each is, or was, of."""

    @property
    def unknown(self) -> Mapping[str, str]:
        """By pool, the place of whose machines nothing is known."""
        return {self.pools[name]: name for name in self.troubles}


@dataclass
class _Way:
    """A client, and what is remembered of it: nothing that a new process would lack, but time."""

    document: Document
    patience: Patience
    cluster: Cluster | None = None
    failed: tuple[float, Readiness] | None = None
    fit: tuple[float, Readiness | None] | None = None


class Ways:
    """The clients of a tenant's places, for as long as what their Secrets say stays the same.

    `gone` is called with one that isn't to be used any more.
    """

    def __init__(self, gone: Callable[[Cluster], None]) -> None:
        self._gone = gone
        self._ways: dict[str, _Way] = {}

    def close(self) -> None:
        """Close all of them."""
        for name in [*self._ways]:
            self._drop(name)

    def look(self, host: Cluster, ctx: PlanContext, *, remember: bool = True) -> Sites:
        """All there is to know now.

        With `remember` the record of a place is written when there is first a way to it. Raises ApiError
        where the host doesn't answer: without its word nothing may be said of any place.
        """
        records = {o["metadata"]["name"]: o for o in ctx.facts.objects.values() if recorded(o)}
        wanted: dict[str, tuple[Site, NodePool | None]] = {
            site.name: (site, p) for p in ctx.pools if (site := site_of(p))
        }
        for name, obj in records.items():
            if (site := recorded(obj)) and name not in wanted:
                wanted[name] = (site, None)
        calls = [
            partial(self._look, host, ctx, site, pool, records.get(name), remember=remember)
            for name, (site, pool) in wanted.items()
        ]
        pools = {name: site.pool for name, (site, _) in wanted.items()}
        sites = Sites(records=records, pools=pools)
        for name, found in zip(wanted, together(calls), strict=True):
            if isinstance(found, Readiness):
                sites.troubles[name] = found
            else:
                sites.places[name] = found
        return sites

    def enter(
        self, host: Cluster, facts: HostFacts, home: str, site: Site, ours: Mapping[str, str]
    ) -> Place | Readiness:
        """The place, with what is there, or why there is no way; `home` is the namespace of its Secret."""
        try:
            document = _given(host, home, site.secret)
        except (ApiError, StoppedError):
            raise  # that is the host's own trouble
        except KubeceptionError as error:
            self._drop(site.name)
            return _trouble(Reason.INFRA_CREDENTIALS, error)
        way = self._ways.get(site.name)
        if way is None or way.document != document:
            self._drop(site.name)
            patience = Patience(ANSWER_SECONDS, _title(site))
            way = self._ways[site.name] = _Way(document, patience)
        now = time.monotonic()
        if way.failed and now - way.failed[0] < QUIET_SECONDS:
            return way.failed[1]
        way.failed = None
        try:
            return self._enter(host, facts, site, way, ours)
        except StoppedError:
            raise
        except SpecError as error:
            found = _trouble(Reason.INFRA_CREDENTIALS, error)
        except KubeceptionError as error:
            found = _trouble(Reason.INFRA_UNREACHABLE, error)
        except STRANGE:
            said = f"{_title(site)}: what it answers is not what a Kubernetes API server does"
            found = Readiness.waiting(said, Reason.INFRA_UNREACHABLE)
        way.failed = (time.monotonic(), found)
        self._hang_up(way)  # the next time its name may have another address
        return found

    def _enter(
        self, host: Cluster, facts: HostFacts, site: Site, way: _Way, ours: Mapping[str, str]
    ) -> Place | Readiness:
        if way.cluster is None:
            what = f"Secret {site.secret}, key {KEY}"
            resolve = partial(at_address, way.document, partial(may_dial, host, facts), what)
            way.cluster = Cluster(
                way.patience(resolve),
                _title(site),
                connect_seconds=CONNECT_SECONDS,
                patience=way.patience,
                bounds=BOUNDS,
            )
        cluster = way.cluster.limited(host.limit)
        selector = ",".join(f"{key}={value}" for key, value in ours.items())
        objects: list[Object] = []
        for kind in (*KINDS, "Secret"):
            found, version = cluster.list_at(kind, site.namespace, labels=selector)
            if not version:
                said = f"{_title(site)}: KubeVirt is not installed there"
                return Readiness.waiting(said, Reason.INFRA_UNFIT)
            objects += [_checked(site, kind, obj) for obj in found if _is_named(site, obj)]
        machines = tuple(_machine(site, m) for m in provider(PROVIDER).machines(objects))
        return Place(cluster, site.namespace, tuple(objects), machines)

    def client(self, name: str) -> Cluster | None:
        """The one of a place, of which nothing but its end closes it."""
        way = self._ways.get(name)
        return way.cluster if way else None

    def _look(
        self,
        host: Cluster,
        ctx: PlanContext,
        site: Site,
        pool: NodePool | None,
        known: Object | None,
        *,
        remember: bool,
    ) -> Place | Readiness:
        """One place. Nobody is dialled where that isn't allowed (any more)."""
        if pool is not None:
            try:
                provider(PROVIDER).check(ctx, pool)
            except KubeceptionError as error:
                return _trouble(Reason.SPEC_REFUSED, error)
        elif not ctx.permits(names.ALLOW_INFRA_CLUSTERS):
            return Readiness.waiting(f"{_title(site)} may not be dialled", Reason.SPEC_REFUSED)
        home = ctx.cluster.namespace
        found = self.enter(host, ctx.facts.host, home, site, site.labels(ctx.id))
        if isinstance(found, Readiness):
            return found
        server = self._ways[site.name].document["clusters"][0]["cluster"]["server"]
        before = (known or {}).get("data", {}).get("server", server)
        if before != server and not found.machines and _has_nodes(ctx, site):
            said = (
                f"Secret {site.secret} leads to {server}, where none of the machines are that were made at "
                f"{before}: they are taken for lost only when their nodes are deleted"
            )
            return Readiness.waiting(said, Reason.INFRA_CREDENTIALS)
        if remember and pool is not None and (known is None or before != server):
            try:
                host.apply(record(ctx, site, server))
            except ApiError as error:
                if error.status == 0:
                    raise
                return _trouble(Reason.REQUEST_REFUSED, error)
        return replace(found, unfit=self._unfit(site, found))

    def _unfit(self, site: Site, place: Place) -> Readiness | None:
        """Why machines shouldn't be made there, as its KubeVirt is now or was a short time ago."""
        way = self._ways[site.name]
        if way.fit is None or time.monotonic() - way.fit[0] > (
            QUIET_SECONDS if way.fit[1] else FIT_SECONDS
        ):
            verdict = None
            try:
                provider(PROVIDER).preflight(place.cluster)
            except StoppedError:
                raise
            except KubeceptionError as error:
                verdict = _trouble(Reason.INFRA_UNFIT, error)
            except STRANGE:
                said = f"{_title(site)}: what it says of its KubeVirt can't be read"
                verdict = Readiness.waiting(said, Reason.INFRA_UNFIT)
            way.fit = (time.monotonic(), verdict)
        return way.fit[1]

    def _drop(self, name: str) -> None:
        if way := self._ways.pop(name, None):
            self._hang_up(way)

    def _hang_up(self, way: _Way) -> None:
        if way.cluster is not None:
            self._gone(way.cluster)
            way.cluster.close()
            way.cluster = None


def may_dial(host: Cluster, facts: HostFacts, address: str) -> bool:
    """Whether an address that somebody named is none of the host cluster's own."""
    return not is_the_hosts(facts, address) and address != urlsplit(host.server).hostname


def clear(place: Place) -> str:
    """Ask for the end of all that is there; what is left of it, in words."""
    try:
        for obj in place.objects:
            meta = obj["metadata"]
            if obj["kind"] != "VirtualMachineInstance" and "deletionTimestamp" not in meta:
                place.cluster.delete(obj["kind"], meta["name"], place.namespace, uid=meta["uid"])
    except StoppedError:
        raise
    except KubeceptionError as error:
        return error.message
    return f"{len(place.machines)} machines to go" if place.objects else ""


def release(host: Cluster, obj: Object) -> None:
    """Let the record of a place go."""
    meta = obj["metadata"]
    host.delete("ConfigMap", meta["name"], meta["namespace"], uid=meta["uid"])
    kept = [each for each in meta.get("finalizers", ()) if each != names.FINALIZER]
    host.patch("ConfigMap", meta["name"], {"metadata": {"finalizers": kept}}, meta["namespace"])


def given_up(obj: Object, now: datetime) -> bool:
    """Whether a place whose pool is gone was sought for long enough."""
    since = obj["metadata"].get("annotations", {}).get(names.DRAINING_ANNOTATION)
    return bool(since) and now - datetime.fromisoformat(since) > GIVE_UP


def _given(host: Cluster, namespace: str, name: str) -> Document:
    """What of the kubeconfig in a Secret is followed."""
    what = f"Secret {namespace}/{name}, the way to the pool's machines,"
    try:
        secret = host.get("Secret", name, namespace)
    except ApiError as error:
        hint = ""
        if error.status == 403:
            hint = (
                f"Let the operator read it: kubectl --namespace {namespace} create role {name} --verb get "
                f"--resource secrets --resource-name {name}, and bind it to {names.OPERATOR_USER}"
            )
        elif error.status == 0:
            raise
        raise KubeceptionError(f"{what} can't be read: {error.message}", hint=hint) from None
    if secret is None:
        raise KubeceptionError(f"{what} does not exist", hint="Put it back, or delete the pool.")
    data = (secret.get("data") or {}).get(KEY)
    if not data:
        raise KubeceptionError(f"{what} has no key {KEY}")
    return reduced(base64.b64decode(data).decode(errors="replace"), f"{what} key {KEY}")


def _title(site: Site) -> str:
    return f"infra cluster of NodePool {site.pool}"


def _trouble(reason: Reason, error: KubeceptionError) -> Readiness:
    """An error as a condition of the pool says it: in one line, with what to do."""
    said = re.sub(r"\s*\n\s*", " ", error.message)
    return Readiness.waiting(f"{said}. {error.hint}" if error.hint else said, reason)


def _is_named(site: Site, obj: Object) -> bool:
    """Whether it may be a machine of the pool, or a part of one, by its name."""
    name = str(obj["metadata"]["name"])
    return bool(re.fullmatch(rf"{re.escape(site.pool)}-[0-9a-f]{{8}}", name))


def _checked(site: Site, kind: str, obj: Object) -> Object:
    """An object, in the form that it is taken for. Raises KeyError, TypeError or ValueError where it isn't."""
    meta = {**obj["metadata"], "namespace": site.namespace}
    for key in ("uid", "creationTimestamp"):
        if not isinstance(meta[key], str):
            raise TypeError(key)
    for key in ("labels", "annotations"):
        meta[key] = {str(k): str(v) for k, v in dict(meta.get(key) or {}).items()}
    slim = {"apiVersion": obj["apiVersion"], "kind": kind, "metadata": meta}
    status = obj.get("status")
    return slim if kind == "Secret" else {**slim, "status": dict(status or {})}


def _machine(site: Site, found: Machine) -> Machine:
    """A machine of the place. Raises ValueError where a time of it isn't one."""
    moments = (found.created, found.draining_since, found.idle_since)
    if any(moment and moment.tzinfo is None for moment in moments):
        raise ValueError("a time without a time zone")
    return replace(found, site=site.name, pool=site.pool, address=_ipv4(found.address))


def _ipv4(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError:
        return ""


def _has_nodes(ctx: PlanContext, site: Site) -> bool:
    """Whether the tenant has nodes that are machines of the place, or may have."""
    seen = [key[2] for key in ctx.facts.tenant_objects if key[0] == "Node"]
    return not ctx.facts.tenant_objects or any(names.pool_of(name) == site.pool for name in seen)
