"""`kubeception rotate-keys`: Secrets at rest get a new encryption key, and the old one is forgotten."""

from typing import TYPE_CHECKING, Any

import click

from kubeception.cli.options import DURATION, HostArgs, examples, host_options, name_argument

if TYPE_CHECKING:
    from kubeception.cli.progress import Progress
    from kubeception.engine.report import Report


@click.command(epilog=examples("rotate-keys acme"))
@name_argument
@click.option(
    "--wait",
    type=DURATION,
    default="30m",
    show_default=True,
    help="How long until it must be done; with 0 it is only asked for.",
)
@host_options
def rotate_keys(name: str, wait: float, host: HostArgs) -> None:
    """Encrypt the Secrets of tenant cluster NAME in etcd with a new key, and drop the old one.

    Given again while that is under way, it goes on with it. The API server is restarted three times.
    """
    from datetime import UTC, datetime

    from kubeception.cli.host import connect
    from kubeception.cli.progress import Progress
    from kubeception.cli.tenant import find
    from kubeception.engine.follow import until_ready
    from kubeception.engine.reconcile import Engine

    cluster = connect(host).cluster
    if not under_way(find(cluster, host.namespace, name)):
        rotation = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        change = {"spec": {"encryption": {"rotation": rotation}}}
        cluster.patch("TenantCluster", name, change, host.namespace)
    if wait:
        with Progress() as progress, Engine(cluster, host.namespace, name) as engine:
            until_ready(engine, wait, Steps(progress).told)


def under_way(cluster: dict[str, Any]) -> bool:
    """Whether a rotation was asked for that isn't done, as far as the status tells."""
    status = cluster.get("status") or {}
    unseen = status.get("observedGeneration") != cluster["metadata"]["generation"]
    asked = bool(cluster["spec"].get("encryption", {}).get("rotation"))
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    return (unseen and asked) or conditions.get("EncryptionReady") == "False"


class Steps:
    """A ticked line for each step of the rotation, and one for what is left to be ready after it."""

    def __init__(self, progress: "Progress") -> None:
        self._progress, self._running = progress, ""

    def told(self, report: "Report") -> None:
        """What the latest pass found."""
        found = report.encryption
        title, _, detail = found.message.partition(", ")
        if found.ok and not report.ready:
            title, detail = "Everything is ready", report.waits_for
        if title != self._running:
            if self._running:
                self._progress.done()
            self._progress.start(title)
            self._running = title
        self._progress.detail(detail)
        if report.ready:
            self._progress.done()
