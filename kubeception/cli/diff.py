"""`kubeception diff`: what an apply would change."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from kubeception.cli.options import HostArgs, examples, host_options

if TYPE_CHECKING:
    from kubeception.cli.documents import Documents
    from kubeception.engine.preview import Change
    from kubeception.kube.client import Cluster, Object

OURS = ("kubeception.io/applied", "kubeception.io/config")
"""Annotations that follow from the rest."""
SERVERS = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")


@click.command(epilog=examples("diff -f acme.yaml", "diff -f acme.yaml --objects"))
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    required=True,
    metavar="FILE",
    help="As for apply; - is standard input. May be given again.",
)
@click.option("--objects", is_flag=True, help="The objects made of it, line by line, too.")
@host_options
def diff(files: tuple[str, ...], *, objects: bool, host: HostArgs) -> None:
    """Show what `apply` would change, as the host's API server judges it. Nothing is written.

    Exit code 0: nothing would change; 6: something would. Secrets are shown by their names only.
    """
    from kubeception.cli import FOUND
    from kubeception.cli.documents import load
    from kubeception.cli.host import connect

    documents = load(files, host.namespace)
    cluster = connect(host).cluster
    count = 0
    for title, before, after in written(cluster, documents):
        lines = list(unified(title, before, after))
        show(lines)
        count += bool(lines)
    for change in made(cluster, documents):
        count += 1
        show([headline(change)])
        if objects and change.before and change.after and change.after["kind"] != "Secret":
            show(list(unified(label(change), change.before, change.after)))
    click.echo(f"{count or 'No'} object{'' if count == 1 else 's'} would change.", err=True)
    sys.exit(FOUND if count else 0)


def written(
    cluster: "Cluster", documents: "Documents"
) -> "Iterator[tuple[str, Object | None, Object]]":
    """The objects of the files, as they are and as they would be."""
    from kubeception.cli.documents import check

    served = bool(cluster.get("CustomResourceDefinition", "tenantclusters.kubeception.io"))
    if served:
        check(cluster, documents)
    for manifest in documents.manifests():
        kind, meta = manifest["kind"], manifest["metadata"]
        before = cluster.get(kind, meta["name"], meta["namespace"]) if served else None
        after = cluster.apply(manifest, dry_run=True) if served else manifest
        yield f"{kind} {meta['namespace']}/{meta['name']}", before, after


def made(cluster: "Cluster", documents: "Documents") -> "Iterator[Change]":
    """What would change of the objects made for tenants that exist."""
    from kubeception.api.v1alpha1 import parse_cluster, parse_pool
    from kubeception.cli.tenant import pools_of
    from kubeception.engine.preview import preview
    from kubeception.engine.reconcile import Engine

    for namespace, name in documents.names():
        there = cluster.get("TenantCluster", name, namespace)
        if there is None:
            continue
        pools = {pool["metadata"]["name"]: pool for pool in pools_of(cluster, namespace, name)}
        for manifest in documents.manifests():
            meta = manifest["metadata"]
            if meta["namespace"] != namespace:
                continue
            if manifest["kind"] == "TenantCluster" and meta["name"] == name:
                there = cluster.apply(manifest, dry_run=True)
            elif manifest["spec"].get("clusterRef") == {"name": name}:
                pools[meta["name"]] = cluster.apply(manifest, dry_run=True)
        with Engine(cluster, namespace, name) as engine:
            yield from preview(engine, parse_cluster(there), [*map(parse_pool, pools.values())])


def headline(change: "Change") -> str:
    """`~ host  Deployment kc-acme/control-plane`."""
    mark = "+" if change.before is None else "-" if change.after is None else "~"
    problem = f"   refused: {change.problem}" if change.problem else ""
    return f"{mark} {change.side:<6} {label(change)}{problem}"


def label(change: "Change") -> str:
    """The object a change is of."""
    obj = change.after or change.before or {}
    meta = obj["metadata"]
    place = f"{meta['namespace']}/" if meta.get("namespace") else ""
    return f"{obj['kind']} {place}{meta['name']}"


def unified(title: str, before: "Object | None", after: "Object | None") -> Iterator[str]:
    """A unified diff of two objects as YAML, without what the server keeps for itself."""
    import difflib

    import yaml

    old, new = (
        yaml.safe_dump(essence(obj), sort_keys=True).splitlines() if obj else []
        for obj in (before, after)
    )
    return difflib.unified_diff(old, new, f"a/{title}", f"b/{title}", lineterm="")


def essence(obj: "Object") -> "Object":
    """What a person wrote, or a component wants."""
    meta = {k: v for k, v in obj["metadata"].items() if k not in SERVERS}
    if "annotations" in meta:
        meta["annotations"] = {k: v for k, v in meta["annotations"].items() if k not in OURS}
    return {**{k: v for k, v in obj.items() if k not in ("metadata", "status")}, "metadata": meta}


def show(lines: Sequence[str]) -> None:
    """Lines in the colours of a diff."""
    from kubeception.cli.output import clean, coloured

    colours: dict[str, Any] = {"+": "green", "-": "red", "~": "yellow", "@": "cyan"}
    for line in lines:
        colour = colours.get(line[:1]) if coloured(sys.stdout) else None
        click.secho(clean(line), fg=colour)
