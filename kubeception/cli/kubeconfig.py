"""`kubeception kubeconfig`: how a person gets into a tenant cluster."""

import click

from kubeception.cli.options import HostArgs, examples, host_options, name_argument
from kubeception.cli.output import document


@click.command(epilog=examples("kubeconfig acme > acme.yaml", "kubeconfig acme --merge"))
@name_argument
@click.option("--merge", is_flag=True, help="Put it into your kubeconfig instead of printing it.")
@host_options
def kubeconfig(name: str, *, merge: bool, host: HostArgs) -> None:
    """Print the kubeconfig of tenant cluster NAME's administrator."""
    from kubeception.cli.create import came_from, shown
    from kubeception.cli.host import connect
    from kubeception.engine.reconcile import Engine
    from kubeception.kube.kubeconfig import default_paths, merge as merge_into

    found = connect(host)
    with Engine(found.cluster, host.namespace, name) as engine:
        ctx = engine.context()
    made = ctx.pki.admin_kubeconfig("/".join((*found.path, name)))
    if not merge:
        document(made, "yaml")
        return
    path = default_paths()[0]
    merge_into(path, made, came_from(found, ctx.cluster))
    click.echo(f"Context {made['current-context']} is in {shown(path)} and current.", err=True)
