"""`kubeception delete`: the end of a tenant cluster, with all that belongs to it."""

import click

from kubeception.cli.options import DURATION, HostArgs, examples, host_options, name_argument


@click.command(epilog=examples("delete acme"))
@name_argument
@click.option(
    "--wait",
    type=DURATION,
    default="5m",
    show_default=True,
    help="How long until nothing may be left.",
)
@host_options
def delete(name: str, wait: float, host: HostArgs) -> None:
    """Delete tenant cluster NAME: its nodes, its control plane, its data, its context in your kubeconfig."""
    from kubeception import names
    from kubeception.cli.create import Ticks
    from kubeception.cli.host import connect
    from kubeception.cli.progress import Progress
    from kubeception.cli.tenant import find
    from kubeception.engine.delete import refuse_protected
    from kubeception.engine.follow import until_gone
    from kubeception.engine.reconcile import Engine
    from kubeception.kube.kubeconfig import default_paths, remove

    found = connect(host)
    cluster = found.cluster
    known = find(cluster, host.namespace, name)
    refuse_protected(known)
    uid = known["metadata"]["uid"]
    cluster.delete("TenantCluster", name, host.namespace, uid=uid)
    with Progress() as progress, Engine(cluster, host.namespace, name) as engine:
        ticks = Ticks(progress)
        until_gone(engine, wait, ticks.told)
    for path in default_paths():
        remove(path, lambda entry: entry.uid == uid)
    click.echo(f"Tenant cluster {name} is deleted.")
    if known["spec"].get("deletionPolicy") == "Retain":
        space = names.control_plane_namespace(uid, name)
        click.echo(f"Namespace {space} keeps its volume and keys, as its deletionPolicy says.")
