"""Working on a tenant cluster until it is as asked for, told on progress lines."""

from typing import TYPE_CHECKING

from kubeception.cli.create import Ticks
from kubeception.cli.host import Host
from kubeception.cli.progress import Progress

if TYPE_CHECKING:
    from kubeception.engine.report import Report


def bring(host: Host, namespace: str, name: str, seconds: float, progress: Progress) -> "Report":
    """Work on a tenant until it is ready; raises as `until_ready` does."""
    from kubeception.engine.follow import until_ready
    from kubeception.engine.reconcile import Engine

    with Engine(host.cluster, namespace, name) as engine:
        return until_ready(engine, seconds, Ticks(progress).told)
