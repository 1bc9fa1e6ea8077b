"""`kubeception wait`: until something is so of a tenant cluster."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Final

import click

from kubeception.cli.options import DURATION, HostArgs, examples, host_options, name_argument

if TYPE_CHECKING:
    from kubeception.kube.client import Object

LONGEST_PAUSE: Final = 10.0
"""Seconds after which it is looked at although nothing was heard."""

Test = Callable[["Object | None"], bool]


@click.command(
    epilog=examples(
        "wait acme --for condition=Ready --timeout 5m",
        "wait acme --for nodes=3",
        "wait acme --for delete",
    )
)
@name_argument
@click.option(
    "--for",
    "what",
    default="condition=Ready",
    show_default=True,
    metavar="WHAT",
    help="condition=TYPE[=STATUS], phase=PHASE, nodes=N (ready ones) or delete.",
)
@click.option(
    "--timeout", type=DURATION, default="10m", show_default=True, help="How long at most."
)
@host_options
def wait(name: str, what: str, timeout: float, host: HostArgs) -> None:
    """Wait until something is so of tenant cluster NAME. It only looks: somebody else must work on it."""
    from kubeception.cli.host import connect
    from kubeception.cli.progress import Progress
    from kubeception.cli.tenant import condition, find
    from kubeception.engine.changes import Changes
    from kubeception.errors import NotFoundError, WaitTimeoutError

    test = parse(what)
    cluster = connect(host).cluster
    if what != "delete":
        find(cluster, host.namespace, name)
    deadline = time.monotonic() + timeout
    with closing(Changes()) as changes, Progress() as progress:
        changes.watch_all(cluster, ("TenantCluster",), host.namespace)
        progress.start(f"{name}: {what}")
        while not test(found := cluster.get("TenantCluster", name, host.namespace)):
            if found is None:
                raise NotFoundError(f"{cluster.title}: {name} was deleted while it was awaited")
            message = condition(found, "Ready").get("message", "")
            progress.detail(message)
            left = deadline - time.monotonic()
            if left <= 0:
                raise WaitTimeoutError(
                    f"{name}: not {what} after {timeout:.0f} s{': ' if message else ''}{message}",
                    hint=f"`kubeception describe {name}` shows more.",
                )
            changes.wait(min(left, LONGEST_PAUSE))
        progress.done()


def parse(what: str) -> Test:
    """The test that `--for` means. Raises UsageError."""
    from kubeception.cli.tenant import condition
    from kubeception.errors import UsageError

    kind, _, rest = what.partition("=")
    if kind == "delete" and not rest:
        return lambda found: found is None
    if kind == "condition" and rest:
        name, _, status = rest.partition("=")
        return lambda found: bool(
            found and current(found) and condition(found, name).get("status") == (status or "True")
        )
    if kind == "phase" and rest:
        return lambda found: bool(found and (found.get("status") or {}).get("phase") == rest)
    if kind == "nodes" and rest.isdecimal():
        return lambda found: bool(
            found and (found.get("status") or {}).get("readyNodes", 0) == int(rest)
        )
    raise UsageError(
        f"--for {what}: is none of condition=TYPE[=STATUS], phase=PHASE, nodes=N, delete"
    )


def current(found: "Object") -> bool:
    """Whether the status is about the spec as it is now."""
    seen = (found.get("status") or {}).get("observedGeneration", 0)
    return bool(seen >= found["metadata"].get("generation", 0))
