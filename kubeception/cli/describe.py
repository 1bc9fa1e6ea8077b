"""`kubeception describe`: all there is to know of one tenant cluster, on one screen."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from kubeception.cli.options import HostArgs, examples, host_options, name_argument
from kubeception.cli.output import Column, age, flat, shorten, span, table, terminal_width

if TYPE_CHECKING:
    from kubeception.engine.reconcile import Engine
    from kubeception.kube.client import Cluster, Object

EVENTS: Final = 8
"""How many of the latest events are shown."""
LABEL_WIDTH: Final = 14


@click.command(epilog=examples("describe acme"))
@name_argument
@host_options
def describe(name: str, host: HostArgs) -> None:
    """Show tenant cluster NAME in full: conditions, budget, nodes, endpoints, certificates, versions, events."""
    from kubeception.cli.host import connect
    from kubeception.cli.tenant import find, pools_of
    from kubeception.engine.reconcile import Engine

    found = connect(host)
    cluster = found.cluster
    tenant = find(cluster, host.namespace, name)
    for label, value in facts(tenant):
        say(label, value)
    conditions(tenant)
    pools(pools_of(cluster, host.namespace, name))
    with Engine(cluster, host.namespace, name) as engine:
        budget(engine, tenant)
        kubelets = nodes(engine)
        inner = operator_in(engine)
    certificates(cluster, tenant)
    versions(cluster, tenant, kubelets, found.context, inner)
    events(cluster, tenant)


def facts(tenant: "Object") -> Iterator[tuple[str, str]]:
    """What can be said in a line each; what is empty is left out."""
    from kubeception.cli.tenant import status_line

    meta, spec, status = tenant["metadata"], tenant["spec"], tenant.get("status") or {}
    operation = status.get("lastOperation") or {}
    yield "Name", f"{meta['name']} (namespace {meta['namespace']})"
    yield "Status", f"{status_line(tenant)}, {age(meta['creationTimestamp'])} old"
    if operation and operation.get("state") != "Succeeded":
        done = f"{operation.get('type')} {operation.get('state')} ({operation.get('progress')}%)"
        yield "Operation", f"{done}: {operation.get('description', '')}".rstrip(": ")
    yield "Endpoint", status.get("endpoint", "")
    yield "Exposure", (spec.get("exposure") or {}).get("type", "")
    yield "Pods", status.get("podCIDR", "")
    yield "Services", status.get("serviceCIDR", "")
    yield "Control plane", status.get("controlPlaneNamespace", "")
    yield "Machines", status.get("nodesNamespace", "")
    if status.get("observedGeneration", 0) < meta.get("generation", 0):
        yield "Attention", "the spec has changed since this was found"


def conditions(tenant: "Object") -> None:
    """Its conditions."""
    found = (tenant.get("status") or {}).get("conditions") or ()
    section(
        (Column("CONDITION"), Column("STATUS"), Column("REASON", 8), Column("MESSAGE", 10)),
        [(c["type"], c["status"], c["reason"], c.get("message", "")) for c in found],
        [c["lastTransitionTime"] for c in found],
    )
    for condition in found:
        if condition["status"] != "True" and width_of(condition) > terminal_width():
            say(f"  {condition['type']}", condition["message"])


def width_of(condition: "Object") -> int:
    """About how wide its line of the table would be."""
    return len(condition.get("message", "")) + 50


def pools(found: "Sequence[Object]") -> None:
    """Its node pools."""
    from kubeception.api.v1alpha1 import KubeVirtOptions
    from kubeception.providers.kubevirt import CPUS, MEMORY

    rows = []
    for pool in found:
        machine, status = pool["spec"].get("kubevirt") or {}, pool.get("status") or {}
        size = KubeVirtOptions.model_validate(machine)
        rows.append(
            (
                pool["metadata"]["name"],
                pool["spec"].get("replicas", 1),
                status.get("replicas", 0),
                status.get("readyReplicas", 0),
                status.get("updatedReplicas", 0),
                f"{size.cpus or CPUS} CPU, {size.memory or MEMORY}",
            )
        )
    counts = ("WANTED", "MACHINES", "READY", "UPDATED")
    columns = (Column("NODE POOL", 12), *map(Column, counts))
    ages = [pool["metadata"]["creationTimestamp"] for pool in found]
    section((*columns, Column("SIZE", 8)), rows, ages)


def budget(engine: "Engine", tenant: "Object") -> None:
    """What it may have with all that is in it, and what of that is used."""
    from kubeception.engine.budget import used
    from kubeception.errors import KubeceptionError
    from kubeception.plan.amounts import NAMES, limits, told

    if not tenant["spec"].get("budget"):
        return
    try:
        ctx = engine.context()
        use = used(ctx, [state.machine for state in engine.machines()])
    except KubeceptionError as error:
        say("Budget", f"can't be read: {error.message}")
        return
    asked = ctx.spec.budget
    inside = (tenant.get("status") or {}).get("clusters")
    rows: list[tuple[str, str, str]] = []
    if asked.clusters is not None:
        rows.append(("clusters", str(asked.clusters), "" if inside is None else str(inside)))
    if asked.depth is not None:
        rows.append(("depth", str(asked.depth), ""))
    rows += [
        (NAMES[field], told(field, limit), told(field, use[field]) if field in use else "")
        for field, limit in limits(asked).items()
    ]
    click.echo()
    table((Column("BUDGET"), Column("LIMIT"), Column("USED")), rows)


def nodes(engine: "Engine") -> list[str]:
    """Its machines and nodes; the versions of their kubelets."""
    from kubeception.cli.nodes import row
    from kubeception.errors import KubeceptionError

    try:
        rows = [row(engine, state) for state in engine.machines()]
    except KubeceptionError as error:
        say("Nodes", f"can't be read: {error.message}")
        return []
    columns = (Column("NODE", 16), Column("STATUS"), Column("ADDRESS"), Column("HOST", 8))
    section(
        (*columns, Column("MESSAGE", 10)),
        [(*row.cells[:4], row.obj["message"]) for row in rows],
        [row.age for row in rows],
    )
    return sorted({str(row.obj["version"]) for row in rows if row.obj["version"]})


def certificates(cluster: "Cluster", tenant: "Object") -> None:
    """When its certificates end: the earliest of each kind."""
    from kubeception.cli.events import spaces
    from kubeception.errors import KubeceptionError
    from kubeception.plan.expiry import expiries

    try:
        found = list(expiries(cluster.list("Secret", spaces(tenant)[0])))
    except KubeceptionError as error:
        click.echo()
        say("Certificates", f"can't be read: {error.message}")
        return
    now = datetime.now(UTC)
    click.echo()
    for kind, is_ca in (("Certificates", False), ("Authorities", True)):
        ends = sorted((e.ends, e.name) for e in found if e.ends and e.is_ca is is_ca)
        broken = [e.name for e in found if e.ends is None and e.is_ca is is_ca]
        text = ", ".join(f"{name} can't be read" for name in broken)
        if ends:
            first, name = ends[0]
            left = (first - now).total_seconds()
            when = f"in {span(left)}" if left > 0 else f"{span(-left)} ago"
            end = f"the first of {len(ends)} to end is {name}, on {first:%Y-%m-%d} ({when})"
            text = f"{text}; {end}" if text else end
        say(kind, text)


def operator_in(engine: "Engine") -> str:
    """The release of the operator in a tenant that is a host itself; empty where there is none, or nobody answers."""
    from kubeception.engine.install import installed_version
    from kubeception.errors import KubeceptionError

    with suppress(KubeceptionError):
        return installed_version(engine.link.found) if engine.link.found else ""
    return ""


def versions(
    cluster: "Cluster", tenant: "Object", kubelets: "Sequence[str]", context: str, inner: str
) -> None:
    """What runs which version."""
    from kubeception import __version__
    from kubeception.errors import KubeceptionError

    status = tenant.get("status") or {}
    host = ""
    with suppress(KubeceptionError):
        host = cluster.version()
    parts = [
        ("control plane", status.get("version") or tenant["spec"].get("version", "")),
        ("kubelets", ", ".join(kubelets)),
        (f"host {context}", host),
        ("kubeception", __version__),
        ("the operator in it", inner),
    ]
    say("Versions", ", ".join(f"{what} {version}" for what, version in parts if version))


def events(cluster: "Cluster", tenant: "Object") -> None:
    """The latest events about it, warnings before the rest."""
    from kubeception.cli.events import moment, of_tenant, row

    found = sorted(of_tenant(cluster, tenant), key=moment)
    warnings = [event for event in found if event.get("type") == "Warning"]
    others = [event for event in found if event.get("type") != "Warning"]
    room = max(EVENTS - len(warnings[-EVENTS:]), 0)
    chosen = sorted([*warnings[-EVENTS:], *(others[-room:] if room else ())], key=moment)
    rows = [row(event) for event in chosen]
    columns = (Column("EVENT"), Column("REASON", 10), Column("OBJECT", 16), Column("MESSAGE", 16))
    section(columns, [(*r.cells[:3], r.cells[-1]) for r in rows], [r.age for r in rows])
    if len(found) > len(chosen):
        more = len(found) - len(chosen)
        click.echo(f"and {more} more: kubeception events {tenant['metadata']['name']}")


def section(
    columns: Sequence[Column], rows: Sequence[Sequence[Any]], ages: Sequence[str | None]
) -> None:
    """A table after an empty line; nothing where it has no rows."""
    if rows:
        click.echo()
        lines = [(*row, age(moment)) for row, moment in zip(rows, ages, strict=True)]
        table((*columns, Column("AGE")), lines)


def say(label: str, value: str) -> None:
    """`Label:  value` in one line, where there is a value."""
    if value:
        line = f"{label + ':':<{LABEL_WIDTH}} {flat(str(value))}"
        click.echo(shorten(line, terminal_width()))
