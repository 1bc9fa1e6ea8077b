"""`kubeception tree`: what belongs to what: clusters, their node pools, the nodes of those."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import click

from kubeception.cli.options import HostArgs, examples, host_options, named
from kubeception.cli.output import (
    Column,
    Listing,
    Row,
    all_option,
    document as print_document,
    output_option,
)
from kubeception.cli.tenant import NAMESPACE

if TYPE_CHECKING:
    from kubeception.kube.client import Cluster, Object

COLUMNS: Final = (
    NAMESPACE,
    Column("NAME", least=24),
    Column("VERSION"),
    Column("STATUS"),
    Column("KIND", wide=True),
    Column("ADDRESS", least=10, wide=True),
    Column("MESSAGE", least=10),
)

OF_NODE: Final = ("namespace", "name", "version", "status", "address", "message", "created")


@dataclass(frozen=True)
class Branch:
    """A thing of the tree, and what grows on it."""

    kind: str
    namespace: str
    """Of the cluster it belongs to."""
    name: str
    version: str
    status: str
    address: str
    message: str
    created: str
    children: "tuple[Branch, ...]" = ()

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {**vars(self), "children": [child.document() for child in self.children]}

    def rows(self, path: str = "", stem: str = "", fork: str = "") -> Iterator[Row]:
        """Lines of the table: its own, then those of what grows on it."""
        where = f"{path}/{self.name}" if path else self.name
        drawn = f"{stem}{fork}{self.name}"
        told = (self.version, self.status, self.kind, self.address, self.message)
        yield Row(where, (self.namespace, drawn, *told), {}, self.created)
        stem += {"├─ ": "│  ", "└─ ": "   "}.get(fork, "")
        forks = ["├─ "] * (len(self.children) - 1) + ["└─ "]
        for child, its in zip(self.children, forks, strict=False):
            yield from child.rows(where, stem, its)


@click.command(epilog=examples("tree", "tree acme -o wide", "tree -A -o json"))
@named(required=False)
@all_option
@output_option
@host_options
def tree(name: str | None, output: str, *, all_namespaces: bool, host: HostArgs) -> None:
    """Show tenant cluster NAME, or all, with their node pools and the nodes of those."""
    from kubeception.cli.host import connect
    from kubeception.cli.listing import chosen

    cluster = connect(host).cluster
    found = chosen(cluster, "" if all_namespaces else host.namespace, name)
    branches = [of_cluster(cluster, tenant) for tenant in found]
    if output in ("json", "yaml"):
        print_document({"items": [branch.document() for branch in branches]}, output)
        return
    rows = [row for branch in branches for row in branch.rows()]
    where = "" if all_namespaces else f" in namespace {host.namespace}"
    columns = COLUMNS if all_namespaces else COLUMNS[1:]
    shown = [row if all_namespaces else replace(row, cells=row.cells[1:]) for row in rows]
    Listing(columns, lambda: shown, output, f"No tenant clusters{where}.").show()


def of_cluster(host: "Cluster", tenant: "Object") -> Branch:
    """A tenant cluster with all that grows on it. Its own API is asked only where it has machines."""
    from kubeception.cli.tenant import condition, pools_of, status_line

    meta, status = tenant["metadata"], tenant.get("status") or {}
    version = status.get("version") or tenant["spec"].get("version", "")
    pools = pools_of(host, meta["namespace"], meta["name"])
    nodes = nodes_of(host, tenant) if any(map(wanted, pools)) or status.get("nodes") else {}
    ready = condition(tenant, "Ready")
    return Branch(
        kind="TenantCluster",
        namespace=meta["namespace"],
        name=meta["name"],
        version=version,
        status=status_line(tenant),
        address=status.get("endpoint", "").removeprefix("https://"),
        message="" if ready.get("status") == "True" else ready.get("message", ""),
        created=meta["creationTimestamp"],
        children=tuple(
            of_pool(pool, version, nodes.get(pool["metadata"]["name"], ())) for pool in pools
        ),
    )


def of_pool(pool: "Object", version: str, nodes: tuple[Branch, ...]) -> Branch:
    """A node pool with its nodes."""
    from kubeception.cli.tenant import condition

    meta, status, ready = pool["metadata"], pool.get("status") or {}, condition(pool, "Ready")
    return Branch(
        kind="NodePool",
        namespace=meta["namespace"],
        name=meta["name"],
        version=pool["spec"].get("version") or version,
        status=f"{status.get('readyReplicas', 0)}/{wanted(pool)} ready",
        address="",
        message="" if ready.get("status") == "True" else ready.get("message", ""),
        created=meta["creationTimestamp"],
        children=nodes,
    )


def wanted(pool: "Object") -> int:
    """How many nodes a pool shall have."""
    return int(pool["spec"].get("replicas", 1))


def nodes_of(host: "Cluster", tenant: "Object") -> dict[str, tuple[Branch, ...]]:
    """The nodes of a tenant by their pool."""
    from kubeception.cli.nodes import row
    from kubeception.engine.reconcile import Engine

    found: dict[str, tuple[Branch, ...]] = {}
    meta = tenant["metadata"]
    with Engine(host, meta["namespace"], meta["name"]) as engine:
        for state in engine.machines():
            known = row(engine, state).obj
            branch = Branch(
                kind="Node",
                **{key: known[key] for key in OF_NODE},
            )
            found[known["pool"]] = (*found.get(known["pool"], ()), branch)
    return found
