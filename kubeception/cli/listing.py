"""Listings of what a host has: tenant clusters, their nodes, their events."""

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from kubeception.cli.host import connect
from kubeception.cli.options import HostArgs
from kubeception.cli.output import Listing, Row
from kubeception.cli.tenant import COLUMNS, NAMESPACE, find, row
from kubeception.engine.changes import Changes

if TYPE_CHECKING:
    from kubeception.kube.client import Cluster, Object


def clusters(
    host: HostArgs, names: Sequence[str], output: str, *, watch: bool, all_namespaces: bool
) -> None:
    """The tenant clusters of these names, else all."""
    cluster = connect(host).cluster
    namespace = "" if all_namespaces else host.namespace
    for name in names:
        find(cluster, namespace, name)

    def read() -> list[Row]:
        found = cluster.list("TenantCluster", namespace)
        chosen = [o for o in found if not names or o["metadata"]["name"] in names]
        return [row(o, namespace=all_namespaces) for o in chosen]

    where = "" if all_namespaces else f" in namespace {namespace}"
    listing = Listing(
        (NAMESPACE, *COLUMNS) if all_namespaces else COLUMNS,
        read,
        output,
        f"No tenant clusters{where}. `kubeception create NAME` makes one.",
    )
    present(listing, [(cluster, ("TenantCluster",), namespace)], watch=watch)


def present(
    listing: Listing,
    sources: "Sequence[tuple[Cluster, Sequence[str], str]]",
    *,
    watch: bool,
) -> None:
    """Print a listing, once or whenever something changes in (cluster, kinds, namespace) of `sources`."""
    if not watch:
        listing.show()
        return
    with closing(Changes()) as changes:
        for cluster, kinds, namespace in sources:
            changes.watch_all(cluster, kinds, namespace)
        listing.watch(changes)


def chosen(cluster: "Cluster", namespace: str, name: str | None) -> "list[Object]":
    """The tenant cluster of this name, else all of the namespace, or of all namespaces where that is empty."""
    if name is not None:
        return [find(cluster, namespace, name)]
    return cluster.list("TenantCluster", namespace)
