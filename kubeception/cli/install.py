"""`kubeception install`, `upgrade` and `uninstall`: the operator, and all it needs, in a host cluster."""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kubeception.cli.options import (
    DURATION,
    INNER_NAMESPACE,
    HostArgs,
    examples,
    inside_option,
)
from kubeception.cli.paths import steps

if TYPE_CHECKING:
    from kubeception.cli.host import Host
    from kubeception.cli.progress import Progress
    from kubeception.components.base import Readiness

R = TypeVar("R")


def operator_options(command: Callable[..., R]) -> Callable[..., R]:
    """What an installation may be asked for, and which host is meant."""

    @click.option(
        "--replicas",
        type=click.IntRange(1, 9),
        metavar="N",
        help="One works, the others stand by. [default: as it is, else 1]",
    )
    @click.option(
        "--pod-nodes/--no-pod-nodes",
        default=None,
        help="Whether it may make nodes that are privileged pods. [default: as it is, else no]",
    )
    @click.option("--image", metavar="IMAGE", help="The operator's image, where not the release's.")
    @click.option(
        "--allow-image",
        "allow_images",
        multiple=True,
        metavar="PREFIX",
        help="A registry, path or repository whose images NodePools may name; may be repeated. '' allows none. "
        "[default: as it is, else none but the release's own]",
    )
    @click.option(
        "--digests",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Lines IMAGE:TAG@sha256:…; no image goes without from then on. [default: as it is, else none]",
    )
    @click.option("--no-digests", is_flag=True, help="Images go by their tags again.")
    @click.option(
        "--wait", type=DURATION, default="5m", show_default=True, help="How long it may take."
    )
    @host_only
    @wraps(command)
    def wrapped(**options: Any) -> R:
        return command(**options)

    return wrapped


def host_only(command: Callable[..., R]) -> Callable[..., R]:
    """`--kubeconfig`, `--context` and `--in`, given to the command as `host: HostArgs`."""

    @click.option(
        "--kubeconfig",
        type=click.Path(dir_okay=False, path_type=Path),
        help="kubeconfig of the host cluster; default: what kubectl reads.",
    )
    @click.option("--context", help="Its context; default: the current one.")
    @inside_option
    @wraps(command)
    def wrapped(kubeconfig: Path | None, context: str | None, inside: str, **rest: Any) -> R:
        host = HostArgs(kubeconfig, context, "", steps(inside), INNER_NAMESPACE)
        return command(host=host, **rest)

    return wrapped


@click.command(epilog=examples("install", "install --replicas 2"))
@operator_options
def install(
    replicas: int | None,
    image: str | None,
    wait: float,
    host: HostArgs,
    *,
    pod_nodes: bool | None,
    **images: Any,
) -> None:
    """Install the operator, which keeps tenant clusters as they were asked for.

    Given again, it changes nothing that needn't change. The same as a file for kubectl:
    manifests/install/kubeception.yaml
    """
    from kubeception.cli.host import connect

    bring(connect(host), replicas, image, wait, pod_nodes=pod_nodes, **images)


@click.command(epilog=examples("upgrade"))
@operator_options
def upgrade(
    replicas: int | None,
    image: str | None,
    wait: float,
    host: HostArgs,
    *,
    pod_nodes: bool | None,
    **images: Any,
) -> None:
    """Bring an installed operator to this release. Tenant clusters run on as they are.

    Nothing is changed where this release is the older one, or doesn't know what is stored.
    """
    from kubeception import __version__
    from kubeception.cli.host import connect
    from kubeception.engine.install import installed_version
    from kubeception.errors import NotFoundError

    found = connect(host)
    before = installed_version(found.cluster)
    if not before:
        raise NotFoundError(
            f"{found.cluster.title}: no operator is installed there", hint="kubeception install"
        )
    bring(found, replicas, image, wait, pod_nodes=pod_nodes, **images)
    click.echo(
        f"Release {before} is now {__version__}." if before != __version__ else f"Release {before}."
    )


def bring(
    host: "Host",
    replicas: int | None,
    image: str | None,
    seconds: float,
    *,
    pod_nodes: bool | None,
    allow_images: Sequence[str] = (),
    digests: Path | None = None,
    no_digests: bool = False,
) -> None:
    """Write what is not as this release has it, and wait until the operator works."""
    from kubeception.cli.nesting import check_order
    from kubeception.cli.progress import Progress
    from kubeception.engine import install as installation
    from kubeception.plan import images

    cluster = host.cluster
    installation.check(cluster)
    check_order(host)
    allowed = images.prefixes(allow_images) if allow_images else None
    pins: tuple[str, ...] | None = () if no_digests else None
    if digests is not None:
        pins = images.digests(_text(digests), images.of_release())
    image = image or image_of_lab(host)
    with Progress() as progress:
        options = installation.chosen(
            cluster, image, replicas, pod_nodes, allowed=allowed, digests=pins
        )
        progress.start("Kinds, rights and policies")
        before = cluster.writes.count
        installation.install(cluster)
        installation.install_operator(cluster, options)
        changed = cluster.writes.count - before
        progress.done(f"Kinds, rights and policies  {changed or 'nothing'} changed")
        progress.start("Operator")

        def told(found: "Readiness") -> None:
            progress.detail(found.message)

        found = installation.wait(cluster, seconds, told)
        progress.done(f"Operator  {found.message}")


def _text(file: Path) -> str:
    from kubeception.errors import UsageError

    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: can't be read: {error}") from None


def image_of_lab(host: "Host") -> str | None:
    """In a lab, the image of this very checkout, made if need be; elsewhere nothing."""
    from kubeception.cli.lab import report
    from kubeception.lab import host as labs, state

    for lab in state.labs():
        if lab.kubeconfig.exists() and labs.serves(lab, host.cluster.server):
            with (
                report(lab.name, verbose=False) as telling,
                telling.phase("Image of this checkout"),
            ):
                return labs.operator_image(lab, telling)
    return None


@click.command(epilog=examples("uninstall", "uninstall --keep-tenants", "uninstall --with-tenants"))
@click.option(
    "--keep-tenants",
    is_flag=True,
    help="They run on, and stay with their kinds; commands work on them as without an operator.",
)
@click.option(
    "--with-tenants", is_flag=True, help="Delete all tenant clusters, with their data, first."
)
@click.option(
    "--wait", type=DURATION, default="10m", show_default=True, help="How long it may take."
)
@host_only
def uninstall(wait: float, host: HostArgs, *, keep_tenants: bool, with_tenants: bool) -> None:
    """Remove the operator, its rights and the kinds. While there are tenant clusters, only when told what of them."""
    from kubeception.cli.host import connect
    from kubeception.cli.progress import Progress
    from kubeception.engine import install as installation
    from kubeception.errors import ConflictError, UsageError

    if keep_tenants and with_tenants:
        raise UsageError("tenant clusters can't be both kept and deleted")
    found = connect(host)
    cluster = found.cluster
    places = [
        f"{t['metadata']['namespace']}/{t['metadata']['name']}"
        for t in installation.tenants(cluster)
    ]
    if places and not (keep_tenants or with_tenants):
        raise ConflictError(
            f"{cluster.title}: there are {len(places)} tenant clusters: {', '.join(places[:10])}",
            hint="Delete them first, or choose: --keep-tenants leaves them as they are, without an operator; "
            "--with-tenants deletes them with all their data.",
        )
    with Progress() as progress:
        for place in places if with_tenants else ():
            end(found, place, wait, progress)
        with progress.phase("Operator, its rights and policies"):
            installation.uninstall_operator(cluster)
        if not (places and keep_tenants):
            with progress.phase("Kinds"):
                installation.uninstall(cluster)


def end(host: "Host", place: str, seconds: float, progress: "Progress") -> None:
    """Delete one tenant cluster and wait until nothing of it is left."""
    from kubeception.engine.follow import until_gone
    from kubeception.engine.reconcile import Engine

    namespace, _, name = place.partition("/")
    host.cluster.delete("TenantCluster", name, namespace)
    with Engine(host.cluster, namespace, name) as engine:
        progress.start(f"Tenant cluster {place}")
        until_gone(engine, seconds, lambda report: progress.detail(report.waits_for))
        progress.done()
