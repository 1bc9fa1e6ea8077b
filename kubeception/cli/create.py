"""`kubeception create`: a tenant cluster from nothing, or an existing one brought to what is asked for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from kubeception.cli.options import (
    DURATION,
    INNER_NAMESPACE,
    HostArgs,
    examples,
    host_options,
    name_argument,
)

if TYPE_CHECKING:
    from kubeception.cli.host import Host
    from kubeception.cli.progress import Progress
    from kubeception.cli.spec import SpecArgs, Wanted
    from kubeception.engine.reconcile import Engine
    from kubeception.engine.report import Report

R = TypeVar("R")

REACH_SECONDS: Final = 2.0
"""How long a connection to an endpoint may take that perhaps can't be reached from here."""


def spec_options(command: Callable[..., R]) -> Callable[..., R]:
    """What a cluster shall be, given to the command as `spec: Mapping` of options."""

    @click.option(
        "-f",
        "--file",
        metavar="FILE",
        help="TenantCluster and NodePools as YAML; - is standard input.",
    )
    @click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="PATH=VALUE",
        help="A field of the TenantCluster's spec.",
    )
    @click.option(
        "--workers", type=click.IntRange(0, 1000), metavar="N", help="Nodes. [default: 1]"
    )
    @click.option("--version", metavar="VERSION", help="Kubernetes version, such as v1.36.3.")
    @click.option(
        "--provider",
        type=click.Choice(["kubevirt", "pod"]),
        help="What its nodes are: virtual machines or, where that is allowed, pods. [default: kubevirt]",
    )
    @click.option(
        "--cpus", type=click.IntRange(1, 256), metavar="N", help="Processors of each node."
    )
    @click.option("--memory", metavar="SIZE", help="Memory of each node, such as 2Gi.")
    @click.option(
        "--control-plane",
        type=click.Choice(["pod", "vm"]),
        help="What its control plane is: pods of the host, or virtual machines of it. [default: pod]",
    )
    @click.option(
        "--exposure",
        type=click.Choice(["NodePort", "ClusterIP", "LoadBalancer"]),
        help="How its API server is reached.",
    )
    @wraps(command)
    def wrapped(**options: Any) -> R:
        keys = ["file", "sets", "workers", "version", "provider", "cpus", "memory"]
        keys += ["control_plane", "exposure"]
        return command(spec={key: options.pop(key) for key in keys}, **options)

    return wrapped


@click.command(
    epilog=examples(
        "create acme --workers 2 --cpus 2 --memory 4Gi",
        "create acme -f acme.yaml",
        "create acme --provider pod",
        "create acme --control-plane vm --workers 2 --wait 30m",
        "create acme --set datastore.storage=Ephemeral --workers 0",
        "create acme/team/test --parents",
    )
)
@name_argument
@spec_options
@click.option(
    "--wait",
    type=DURATION,
    default="10m",
    show_default=True,
    help="How long until it must be ready.",
)
@click.option("--merge/--no-merge", default=True, help="Put its context into your kubeconfig.")
@click.option(
    "--parents",
    is_flag=True,
    help="Create the clusters before it in its path that don't exist, each with a node.",
)
@host_options
def create(
    name: str, spec: dict[str, Any], wait: float, *, merge: bool, parents: bool, host: HostArgs
) -> None:
    """Create tenant cluster NAME, or bring it to what is asked for. A path, such as a/b, makes it in another: b in a.

    Given again, it goes on where an earlier run ended, and changes nothing that needn't change.
    """
    from kubeception.cli.host import connect
    from kubeception.cli.progress import Progress
    from kubeception.cli.spec import SpecArgs, load

    args = SpecArgs(name, host.namespace, **spec)
    if args.file:
        load(args)  # every problem of the file, before a cluster is asked for anything
    found = lay_way(host, wait) if parents else connect(host)
    with Progress() as progress, bring(found, args, wait, progress) as (engine, report):
        if report.ready:
            hand_over(found, engine, report, progress, merge=merge)


def lay_way(args: HostArgs, seconds: float) -> "Host":
    """The host that a path leads to, each cluster on the way made where there is none."""
    from kubeception.cli.host import enter, outermost
    from kubeception.cli.nesting import provider_of_parent
    from kubeception.cli.progress import Progress
    from kubeception.cli.spec import SpecArgs

    host, namespace = outermost(args), args.outer_namespace
    for name in args.path:
        if host.cluster.get("TenantCluster", name, namespace) is None:
            spec = SpecArgs(name, namespace, provider=provider_of_parent(host, namespace))
            with Progress() as progress, bring(host, spec, seconds, progress):
                pass
        host, namespace = enter(host, namespace, name), INNER_NAMESPACE
    return host


@contextmanager
def bring(
    host: "Host", args: "SpecArgs", seconds: float, progress: "Progress"
) -> "Iterator[tuple[Engine, Report]]":
    """Create one, or bring it to what is asked for; what works on it ends afterwards."""
    from kubeception.cli.nesting import operator_image
    from kubeception.engine.follow import until_ready
    from kubeception.engine.reconcile import Engine

    image = operator_image(host)
    with Engine(host.cluster, args.namespace, str(args.name)) as engine:
        write(host, args, image, progress)
        yield engine, until_ready(engine, seconds, Ticks(progress).told)


def write(host: "Host", args: "SpecArgs", image: str | None, progress: "Progress") -> None:
    """Write the TenantCluster and its pools, where they are not as asked for."""
    from kubeception.cli.nesting import furnish, usual
    from kubeception.cli.spec import load
    from kubeception.engine.apply import contains
    from kubeception.engine.observe import observe_host
    from kubeception.errors import ConflictError
    from kubeception.plan.budget import check
    from kubeception.providers import preflight

    name, cluster = str(args.name), host.cluster
    with progress.phase(f"Host cluster {host.title}"):
        there = cluster.get("TenantCluster", name, args.namespace)
        pools = cluster.list("NodePool", args.namespace) if there else []
        pools = [p for p in pools if p["spec"]["clusterRef"]["name"] == name]
        if there and "deletionTimestamp" in there["metadata"]:
            raise ConflictError(
                f"tenant cluster {name} is being deleted",
                hint=f"`kubeception delete {name}` brings that to its end; then create it.",
            )
        wanted: Wanted = load(args if there else usual(host, args), there, pools)
        if host.outer and not there:
            check(wanted.cluster, observe_host(cluster))
        preflight(cluster, wanted.pools, wanted.cluster)
        furnish(host, wanted.pools, image)
        known = {
            (p["kind"], p["metadata"]["name"]): p for p in (*pools, *([there] if there else ()))
        }
        for manifest in wanted.manifests():
            key = (manifest["kind"], manifest["metadata"]["name"])
            if not contains(known.get(key), manifest):
                cluster.apply(manifest)


class Ticks:
    """A ticked line for each thing a report shows, once it is ready, in their order."""

    def __init__(self, progress: "Progress", only: Sequence[str] = ()) -> None:
        self._progress, self._only = progress, only
        self._ticked: set[str] = set()
        self._running = ""

    def told(self, report: "Report") -> None:
        """What the latest pass found."""
        for title, readiness in parts(report):
            if title in self._ticked or (self._only and title not in self._only):
                continue
            if self._running != title:
                self._progress.start(title)
                self._running = title
            if not readiness.ok:
                self._progress.detail(report.waits_for)
                return
            said = readiness.message if title in ("API server", "Nodes") else ""
            self._progress.done(f"{title}  {said}" if said else title)
            self._ticked.add(title)


def parts(report: "Report") -> list[tuple[str, Any]]:
    """What is shown of a report: the titled components, the API server's answer, the nodes."""
    from kubeception.components.base import Readiness, Side

    shown = [(c, r) for c, r in report.components.values() if c.title]
    answer = (
        Readiness.ready(report.endpoint)
        if report.api_answers
        else Readiness.waiting("the API server does not answer yet")
    )
    result = [(c.title, r) for c, r in shown if c.side is Side.HOST]
    if any(c.side is Side.TENANT for c, _ in shown):
        result.append(("API server", answer))
    if report.nodes_wanted or report.machines:  # what runs in the tenant waits for them
        result.append(("Nodes", report.nodes))
    return result + [(c.title, r) for c, r in shown if c.side is Side.TENANT]


def hand_over(
    host: "Host", engine: "Engine", report: "Report", progress: "Progress", *, merge: bool
) -> None:
    """Put the context into the user's kubeconfig, prove it, and say what to do next."""
    from kubeception.cli.credential import hand_out
    from kubeception.engine.link import answers
    from kubeception.kube.client import Cluster

    name = host.path_of(report.cluster.name)
    document = engine.context().pki.admin_kubeconfig(name)
    with Cluster(document, f"tenant cluster {name}", connect_seconds=REACH_SECONDS) as tenant:
        inside = report.cluster.spec.exposure.type == "ClusterIP"
        if inside or (host.outer and not answers(tenant)):
            click.echo(f"Its API server is reached from inside {host.title}, and by this program.")
            click.echo(f"Next:\n\n  kubeception connect {name} -- kubectl get nodes\n")
            return
        with progress.phase("Proof: a request with the administrator's kubeconfig"):
            tenant.list("Namespace")
    if not merge:
        click.echo(f"Next:\n\n  kubeception kubeconfig {name}\n")
        return
    path = hand_out(host, report.cluster, document)
    click.echo(f"Context {document['current-context']} is in {shown(path)} and current.")
    click.echo("Next:\n\n  kubectl get nodes\n")


def shown(path: Path) -> str:
    """A path as a person writes it."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
