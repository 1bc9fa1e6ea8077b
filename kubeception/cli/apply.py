"""`kubeception apply`: files of tenant clusters and node pools, brought to what they say."""

import click

from kubeception.cli.options import DURATION, HostArgs, examples, host_options


@click.command(
    epilog=examples("apply -f tenants.yaml", "apply -f acme.yaml -f pools.yaml --wait 0")
)
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    required=True,
    metavar="FILE",
    help="TenantClusters and NodePools as YAML; - is standard input. May be given again.",
)
@click.option(
    "--wait",
    type=DURATION,
    default="10m",
    show_default=True,
    help="How long until each must be ready; with 0 it is only written.",
)
@host_options
def apply(files: tuple[str, ...], wait: float, host: HostArgs) -> None:
    """Write the objects of files, and work on their tenant clusters until they are ready.

    Nothing is written when anything is wrong: every problem of every document is told at once.
    """
    from kubeception.cli.documents import check, load
    from kubeception.cli.host import connect
    from kubeception.cli.nesting import furnish, operator_image
    from kubeception.cli.progress import Progress
    from kubeception.cli.work import bring
    from kubeception.engine.apply import contains

    documents = load(files, host.namespace)
    found = connect(host)
    cluster, image = found.cluster, operator_image(found)
    with Progress() as progress:
        with progress.phase(f"Host cluster {found.title}"):
            furnish(found, documents.pools, image)
            check(cluster, documents)
        for manifest in documents.manifests():
            kind, meta = manifest["kind"], manifest["metadata"]
            there = cluster.get(kind, meta["name"], meta["namespace"])
            same = contains(there, manifest)
            if not same:
                cluster.apply(manifest)
            word = "unchanged" if same else "changed" if there else "created"
            click.echo(f"{kind} {meta['namespace']}/{meta['name']} {word}")
        names = documents.names()
        for namespace, name in names if wait else ():
            if len(names) > 1:
                click.echo(f"{name}:", err=True)
            bring(found, namespace, name, wait, progress)
