"""`kubeception tree`: what belongs to what: clusters, their node pools, the nodes of those."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
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
    watch_option,
)
from kubeception.cli.tenant import NAMESPACE

if TYPE_CHECKING:
    from kubeception.kube.client import Cluster, Object

COLUMNS: Final = (
    NAMESPACE,
    Column("NAME", least=24),
    Column("VERSION"),
    Column("STATUS"),
    Column("CPU"),
    Column("MEMORY"),
    Column("STORAGE", wide=True),
    Column("OWN", wide=True),
    Column("ADDRESS", least=10, wide=True),
    Column("MESSAGE", least=8),
)
REACH_SECONDS: Final = 3.0
"""How long the API server of a tenant may take to say which tenants it has."""

OF_NODE: Final = ("namespace", "name", "version", "status", "address", "message", "created")


@dataclass(frozen=True)
class Use:
    """Processors, octets of memory, octets of volumes; None where it isn't known."""

    cpu: float | None = None
    memory: int | None = None
    storage: int | None = None

    def __add__(self, other: "Use") -> "Use":
        return Use(*map(_sum, vars(self).values(), vars(other).values()))

    def told(self) -> tuple[str, str, str]:
        """As cells of a table."""
        return (
            f"{self.cpu * 1000:.0f}m" if self.cpu is not None else "",
            f"{self.memory >> 20}Mi" if self.memory is not None else "",
            f"{self.storage >> 20}Mi" if self.storage is not None else "",
        )


def _sum(one: Any, other: Any) -> Any:
    """A sum in which what isn't known counts for nothing."""
    return other if one is None else one if other is None else one + other


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
    use: Use = Use()
    """What it uses of the cluster it is in, with all that is in it; nothing where nobody measures."""
    own: Use = Use()
    """Of that, what its control plane uses: the cost of one more level."""
    children: "tuple[Branch, ...]" = ()

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            **vars(self),
            "use": vars(self.use),
            "own": vars(self.own),
            "children": [child.document() for child in self.children],
        }

    def rows(self, path: str = "", stem: str = "", fork: str = "") -> Iterator[Row]:
        """Lines of the table: its own, then those of what grows on it."""
        where = f"{path}/{self.name}" if path else self.name
        drawn = f"{stem}{fork}{self.name}"
        use, own = self.use.told(), self.own.told()
        cost = " ".join(filter(None, own[:2]))
        told = (self.version, self.status, *use, cost, self.address, self.message)
        yield Row(where, (self.namespace, drawn, *told), {}, self.created)
        stem += {"├─ ": "│  ", "└─ ": "   "}.get(fork, "")
        forks = ["├─ "] * (len(self.children) - 1) + ["└─ "]
        for child, its in zip(self.children, forks, strict=False):
            yield from child.rows(where, stem, its)


@click.command(epilog=examples("tree", "tree acme -o wide", "tree acme/team", "tree -A -o json"))
@named(required=False)
@all_option
@watch_option
@output_option
@host_options
def tree(
    name: str | None, output: str, *, watch: bool, all_namespaces: bool, host: HostArgs
) -> None:
    """Show tenant cluster NAME, or all, with their node pools, the nodes of those, and the tenants in them.

    A tenant whose API server doesn't answer within three seconds is shown without what is in it.
    """
    from kubeception.cli.host import connect
    from kubeception.cli.listing import chosen, present

    cluster = connect(host).cluster
    namespace = "" if all_namespaces else host.namespace

    def read() -> list[Branch]:
        return grown(cluster, chosen(cluster, namespace, name))

    def rows() -> list[Row]:
        found = [row for branch in read() for row in branch.rows()]
        return found if all_namespaces else [replace(r, cells=r.cells[1:]) for r in found]

    if output in ("json", "yaml"):
        print_document({"items": [branch.document() for branch in read()]}, output)
        return
    where = "" if all_namespaces else f" in namespace {namespace}"
    columns = COLUMNS if all_namespaces else COLUMNS[1:]
    listing = Listing(columns, rows, output, f"No tenant clusters{where}.")
    present(listing, [(cluster, ("TenantCluster", "NodePool"), namespace)], watch=watch)


def grown(host: "Cluster", tenants: "Sequence[Object]") -> list[Branch]:
    """These tenants of a host, several looked at at once."""
    from kubeception.engine.parallel import together

    return together([partial(of_cluster, host, tenant) for tenant in tenants])


def of_cluster(host: "Cluster", tenant: "Object") -> Branch:
    """A tenant cluster with all that grows on it. Its own API is asked only where it has nodes."""
    from kubeception.cli.tenant import condition, pools_of, status_line

    meta, status = tenant["metadata"], tenant.get("status") or {}
    version = status.get("version") or tenant["spec"].get("version", "")
    pools = pools_of(host, meta["namespace"], meta["name"])
    inside = Inside()
    if any(map(wanted, pools)) or status.get("nodes") or in_machines(tenant):
        inside = look_into(host, tenant)
    use = use_of(host, tenant)
    children = [
        of_pool(pool, version, inside.nodes.get(pool["metadata"]["name"], ()), use)
        for pool in pools
    ]
    of_pools = {pool["metadata"]["name"] for pool in pools}
    for pool, nodes in inside.nodes.items():
        if pool not in of_pools:  # those of the control plane, or of a pool that is gone
            children += [replace(node, use=use.get(node.name, Use())) for node in nodes]
    ready, own = condition(tenant, "Ready"), use.pop("", Use())
    said = "" if ready.get("status") == "True" else ready.get("message", "")
    return Branch(
        kind="TenantCluster",
        namespace=meta["namespace"],
        name=meta["name"],
        version=version,
        status=status_line(tenant),
        address=status.get("endpoint", "").removeprefix("https://"),
        message=said or inside.message,
        created=meta["creationTimestamp"],
        use=sum(use.values(), own),
        own=own,
        children=(*children, *inside.tenants),
    )


def of_pool(
    pool: "Object", version: str, nodes: tuple[Branch, ...], use: "Mapping[str, Use]"
) -> Branch:
    """A node pool with its nodes."""
    from kubeception.cli.tenant import condition

    meta, status, ready = pool["metadata"], pool.get("status") or {}, condition(pool, "Ready")
    used = tuple(replace(node, use=use.get(node.name, Use())) for node in nodes)
    return Branch(
        kind="NodePool",
        namespace=meta["namespace"],
        name=meta["name"],
        version=pool["spec"].get("version") or version,
        status=f"{status.get('readyReplicas', 0)}/{wanted(pool)} ready",
        address="",
        message="" if ready.get("status") == "True" else ready.get("message", ""),
        created=meta["creationTimestamp"],
        use=sum((node.use for node in used), Use()),
        children=used,
    )


def in_machines(tenant: "Object") -> bool:
    """Whether its control plane is machines, which are nodes of it."""
    return bool(tenant["spec"].get("controlPlane", {}).get("provider") == "kubevirt")


def wanted(pool: "Object") -> int:
    """How many nodes a pool shall have."""
    return int(pool["spec"].get("replicas", 1))


def use_of(host: "Cluster", tenant: "Object") -> dict[str, Use]:
    """What a tenant uses of its host: of its control plane by the empty name, of each machine by its own."""
    from kubeception.cli.events import spaces
    from kubeception.cli.top import amount, usage

    found: dict[str, Use] = {}
    for row in usage(host, tenant):
        part, _, name = row.obj["what"].partition(" ")
        key = name if part == "node" else ""
        found[key] = found.get(key, Use()) + Use(row.obj["cpuCores"], row.obj["memoryBytes"])
    for space in spaces(tenant):
        for claim in host.list("PersistentVolumeClaim", space):
            size = claim.get("status", {}).get("capacity", {}).get("storage")
            found[""] = found.get("", Use()) + Use(storage=int(amount(size)) if size else None)
    return found


@dataclass(frozen=True)
class Inside:
    """What a tenant's own API says."""

    nodes: "Mapping[str, tuple[Branch, ...]]" = field(default_factory=dict)
    """By their pools."""
    tenants: tuple[Branch, ...] = ()
    message: str = ""
    """Why it says nothing."""


def look_into(host: "Cluster", tenant: "Object") -> Inside:
    """The nodes of a tenant, and the tenants it has itself."""
    from kubeception.cli.nodes import row
    from kubeception.engine.reconcile import Engine
    from kubeception.errors import KubeceptionError

    nodes: dict[str, tuple[Branch, ...]] = {}
    meta = tenant["metadata"]
    with Engine(host, meta["namespace"], meta["name"]) as engine:
        for state in engine.machines(REACH_SECONDS):
            known = row(engine, state).obj
            branch = Branch(kind="Node", **{key: known[key] for key in OF_NODE})
            nodes[known["pool"]] = (*nodes.get(known["pool"], ()), branch)
        if (api := engine.link.found) is None:
            return Inside(nodes, message="its API server does not answer")
        try:
            deeper = grown(api, api.list("TenantCluster"))
        except KubeceptionError as error:
            return Inside(nodes, message=error.message)
    return Inside(nodes, tuple(deeper))
