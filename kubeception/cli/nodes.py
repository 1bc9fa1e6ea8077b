"""`kubeception nodes`: the nodes of tenant clusters, and the machines they are."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import click

from kubeception.cli.options import HostArgs, examples, host_options, named
from kubeception.cli.output import Column, Listing, Row, all_option, output_option, watch_option

if TYPE_CHECKING:
    from kubeception.engine.machines import MachineState
    from kubeception.engine.reconcile import Engine
    from kubeception.kube.client import Cluster

COLUMNS: Final = (
    Column("NAME", least=16),
    Column("STATUS"),
    Column("ADDRESS"),
    Column("HOST", least=8),
    Column("POOL", least=8, wide=True),
    Column("VERSION", wide=True),
    Column("CLUSTER", least=8, wide=True),
    Column("MESSAGE", least=10),
)


@click.command(epilog=examples("nodes acme", "nodes acme --watch", "nodes -A -o wide"))
@named(required=False)
@all_option
@watch_option
@output_option
@host_options
def nodes(
    name: str | None, output: str, *, watch: bool, all_namespaces: bool, host: HostArgs
) -> None:
    """Show the nodes of tenant cluster NAME, or of all of them, and their machines."""
    from kubeception.cli.host import connect
    from kubeception.cli.listing import chosen, present
    from kubeception.engine.reconcile import Engine

    cluster = connect(host).cluster
    found = chosen(cluster, "" if all_namespaces else host.namespace, name)
    with ExitStack() as stack:
        engines = [
            stack.enter_context(Engine(cluster, o["metadata"]["namespace"], o["metadata"]["name"]))
            for o in found
        ]
        listing = Listing(
            COLUMNS,
            lambda: [row(engine, state) for engine in engines for state in engine.machines()],
            output,
            f"{name or 'They'} {'has' if name else 'have'} no nodes. "
            f"`kubeception scale {name or 'NAME'} --workers 1` gives it one.",
        )
        present(listing, [source for engine in engines for source in sources(engine)], watch=watch)


def row(engine: "Engine", state: "MachineState") -> Row:
    """A machine and its node."""
    machine, info = state.machine, ((state.node or {}).get("status") or {}).get("nodeInfo") or {}
    obj = {
        "name": machine.name,
        "cluster": engine.name,
        "namespace": engine.namespace,
        "pool": machine.pool,
        "status": state.state,
        "address": machine.address,
        "host": machine.host_node,
        "version": info.get("kubeletVersion", ""),
        "message": state.message,
        "created": machine.created.isoformat(),
    }
    cells = [
        *(obj[key] for key in ("name", "status", "address", "host", "pool", "version", "cluster")),
        state.message,
    ]
    return Row(machine.name, cells, obj, machine.created.isoformat())


def sources(engine: "Engine") -> "list[tuple[Cluster, tuple[str, ...], str]]":
    """What tells that nodes changed: the machines in the host, the Nodes in the tenant."""
    from kubeception.engine.reconcile import REACH_SECONDS
    from kubeception.engine.sites import KINDS
    from kubeception.providers import PROVIDERS

    ctx = engine.context()
    kinds = tuple(kind for provider in PROVIDERS.values() for kind in provider.kinds)
    found = [(engine.host, kinds, ctx.nodes_namespace)]
    places = engine.ways.look(engine.host, ctx, remember=False).places.values()
    found += [(place.cluster, KINDS, place.namespace) for place in places]
    tenant = engine.link.wait(ctx, REACH_SECONDS)
    return [*found, (tenant, ("Node",), "")] if tenant else found
