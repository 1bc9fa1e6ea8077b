"""The tenant's pod network as its author brings it: the objects of a manifest, applied in the tenant."""

from collections.abc import Iterator, Mapping
from typing import Final

from kubeception import names
from kubeception.api.reasons import Reason
from kubeception.components.base import (
    Awaited,
    Readiness,
    State,
    daemonset_ready,
    deployment_ready,
)
from kubeception.components.tenant import SYSTEM, TenantComponent, config_map, machines
from kubeception.errors import SpecError
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Key, Object, key_of
from kubeception.plan.manifest import HOME, Manifest, parse, said

RECORD: Final[Key] = ("ConfigMap", SYSTEM, "kubeception-network")
"""In the tenant: of which kinds its network is, so that those that are no longer wanted are found."""
KINDS: Final = "kinds"
DEFINITION: Final = "CustomResourceDefinition"


class CustomNetwork(TenantComponent):
    """Whatever the manifest holds; of kinds that the tenant doesn't have yet, as soon as it does."""

    name = "network"
    title = "Network"

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        manifest = _manifest(ctx)
        if manifest is None:
            return
        objects = list(_placed(ctx, manifest))
        if problems := [*manifest.problems, *_taken(self.name, ctx, objects)]:
            raise SpecError(problems, what=_what(ctx))
        yield config_map(ctx, SYSTEM, RECORD[2], {KINDS: _kinds(self.name, ctx, manifest)})
        yield from objects

    def ready(self, ctx: PlanContext, seen: Mapping[Key, Object]) -> Readiness:
        manifest = _manifest(ctx) or Manifest()
        if missing := [key for key in manifest.kinds if key not in ctx.facts.served]:
            kinds = ", ".join(f"{kind} ({api})" for api, kind in missing[:3])
            until = Awaited(DEFINITION, lambda _: True)
            return Readiness.waiting(
                f"{kinds}: the tenant has no such kind yet", Reason.NOT_CREATED, until
            )
        unready = [
            Readiness(found.state, found.reason, f"{said(key)}: {found.message}")
            for key, obj in seen.items()
            if not (found := _workload_ready(ctx, obj)).ok
        ]
        return unready[0] if unready else Readiness.ready()


def recorded(record: Object) -> list[tuple[str, str]]:
    """The kinds (apiVersion, kind) that a record names."""
    lines = str((record.get("data") or {}).get(KINDS, "")).splitlines()
    return [(words[0], words[1]) for line in lines if len(words := line.split()) == 2]


def _manifest(ctx: PlanContext) -> Manifest | None:
    """What the spec's manifest says; None where there is none, or on paper. SpecError where it isn't to be had."""
    referred = ctx.facts.manifest
    if ctx.spec.networking.manifest_ref is None or referred is None:
        return None
    if referred.found is None:
        raise SpecError(
            [f"spec.networking.manifestRef: {referred.problem}"],
            what=f"TenantCluster {ctx.cluster.name}",
            hint="The page Network of the documentation says how the ConfigMap is made, "
            "and which right an operator needs to read it. Nothing of the network is removed meanwhile.",
        )
    return parse(referred.found)


def _what(ctx: PlanContext) -> str:
    ref = ctx.spec.networking.manifest_ref
    return f"ConfigMap {ctx.cluster.namespace}/{ref.name if ref else ''}"


def _placed(ctx: PlanContext, manifest: Manifest) -> Iterator[Object]:
    """The objects of kinds that the tenant has, in a namespace where they are in one."""
    for obj in manifest.objects:
        namespaced = ctx.facts.served.get((obj["apiVersion"], obj["kind"]))
        if namespaced is None:
            continue
        meta = {key: value for key, value in obj["metadata"].items() if key != "namespace"}
        if namespaced:
            meta["namespace"] = obj["metadata"].get("namespace", HOME)
        yield {**obj, "metadata": meta}


def _taken(component: str, ctx: PlanContext, objects: list[Object]) -> Iterator[str]:
    """The problems with objects that another component has in the tenant."""
    for key in map(key_of, objects):
        there = ctx.facts.tenant_objects.get(key, {"metadata": {}})["metadata"]
        owner = there.get("labels", {}).get(names.COMPONENT_LABEL, component)
        applied = names.APPLIED_ANNOTATION in there.get("annotations", {})
        if (applied and owner != component) or key == RECORD:
            yield f"{said(key)}: is kubeception's own; leave it out, or switch that addon off"


def _kinds(component: str, ctx: PlanContext, manifest: Manifest) -> str:
    """The kinds of the manifest and of what is left of an earlier one."""
    left = (
        (str(obj.get("apiVersion", "")), str(obj["kind"]))
        for obj in ctx.facts.tenant_objects.values()
        if obj["metadata"].get("labels", {}).get(names.COMPONENT_LABEL) == component
    )
    return "".join(f"{api} {kind}\n" for api, kind in sorted({*manifest.kinds, *left}))


def _workload_ready(ctx: PlanContext, obj: Object) -> Readiness:
    if obj["kind"] == "DaemonSet":
        return daemonset_ready(obj)
    if obj["kind"] in ("Deployment", "StatefulSet") and machines(ctx):
        return deployment_ready(obj)
    return Readiness(State.READY, Reason.READY)
