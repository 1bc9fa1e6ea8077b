"""`kubeception scale`: more or fewer nodes."""

import click

from kubeception.cli.options import DURATION, HostArgs, examples, host_options, name_argument


@click.command(epilog=examples("scale acme --workers 3"))
@name_argument
@click.option(
    "--workers", type=click.IntRange(0, 1000), required=True, metavar="N", help="How many nodes."
)
@click.option("--pool", help="Of which NodePool, where there are several.")
@click.option(
    "--wait", type=DURATION, default="10m", show_default=True, help="How long until it must be so."
)
@host_options
def scale(name: str, workers: int, pool: str | None, wait: float, host: HostArgs) -> None:
    """Give tenant cluster NAME another number of nodes. Those that go are drained first."""
    from kubeception.api.v1alpha1 import parse_pool
    from kubeception.cli.create import Ticks
    from kubeception.cli.host import connect
    from kubeception.cli.progress import Progress
    from kubeception.cli.tenant import find, pools_of
    from kubeception.engine.follow import until_ready
    from kubeception.engine.reconcile import Engine
    from kubeception.errors import NotFoundError, UsageError
    from kubeception.providers import preflight

    cluster = connect(host).cluster
    find(cluster, host.namespace, name)
    known = {p["metadata"]["name"]: p for p in pools_of(cluster, host.namespace, name)}
    chosen = [pool] if pool else list(known)
    if pool is not None and pool not in known:
        raise NotFoundError(
            f"{name} has no NodePool {pool}", hint=f"It has: {', '.join(known) or 'none'}."
        )
    if not chosen:
        raise NotFoundError(
            f"{name} has no NodePool", hint=f"kubeception create {name} --workers {workers}"
        )
    if len(chosen) > 1:
        raise UsageError(
            f"{name} has several NodePools: {', '.join(known)}", hint="Choose one with --pool."
        )
    if scaling := known[chosen[0]]["spec"].get("autoscaling"):
        raise UsageError(
            f"NodePool {chosen[0]} has as many workers as pods ask for, "
            f"from {scaling.get('min', 0)} to {scaling['max']}",
            hint=f"Change spec.autoscaling, or remove it: kubeception edit {name}",
        )
    found = known[chosen[0]]
    wanted = parse_pool({**found, "spec": {**found["spec"], "replicas": workers}})
    preflight(cluster, [wanted])
    if found["spec"].get("replicas", 1) != workers:
        cluster.patch("NodePool", chosen[0], {"spec": {"replicas": workers}}, host.namespace)
    with Progress() as progress, Engine(cluster, host.namespace, name) as engine:
        until_ready(engine, wait, Ticks(progress, only=("Nodes",)).told)
