"""Which host cluster a command means, and the connection to it."""

import os
from dataclasses import dataclass
from pathlib import Path

import click

from kubeception.cli.options import INNER_NAMESPACE, HostArgs
from kubeception.errors import ApiError, HostUnreachableError, NotFoundError, UsageError
from kubeception.kube.client import Cluster
from kubeception.kube.kubeconfig import Kubeconfig, default_paths, load, origin

NO_HOST_HINT = "`kubeception lab up` makes a host cluster on this machine."
PROBE_SECONDS = 10.0
ENTER_SECONDS = 20.0
"""How long the API server of a cluster on the way may take to answer."""


@dataclass(frozen=True)
class Host:
    """A host cluster that answers, and how it was found."""

    cluster: Cluster
    kubeconfig: str
    """The file its context is in, or that of the outermost cluster; empty when it is among those kubectl reads."""
    context: str
    """Of the outermost cluster."""
    outer: "Host | None" = None
    """The host of this one, where it is a tenant itself."""
    namespace: str = ""
    name: str = ""
    """What it is there."""
    uid: str = ""

    @property
    def path(self) -> tuple[str, ...]:
        """The names of the tenants it is reached through, itself the last."""
        return (*self.outer.path, self.name) if self.outer else ()

    @property
    def lineage(self) -> tuple[str, ...]:
        """The uids of the same."""
        return (*self.outer.lineage, self.uid) if self.outer else ()

    @property
    def outer_namespace(self) -> str:
        """Where the first tenant on the way to it is, in the outermost cluster; empty for that itself."""
        return self.outer.outer_namespace or self.namespace if self.outer else ""

    def place(self, namespace: str, name: str) -> str:
        """`namespace/name` of a tenant of it; of one that is deeper, with the names on the way between them."""
        if self.outer is None:
            return f"{namespace}/{name}"
        return f"{self.outer.place(self.namespace, self.name)}/{name}"

    def path_of(self, name: str) -> str:
        """The path of a tenant of it, as commands take it."""
        return "/".join((*self.path, name))

    @property
    def title(self) -> str:
        """What a person calls it."""
        return "/".join(self.path) or self.context


def connect(args: HostArgs) -> Host:
    """The host cluster the options mean; else of the kubeconfig; else of a running lab.

    Where the current context is a tenant of ours, that tenant's host is meant. From there on the way is
    by the names of the path. Raises HostUnreachableError when there is none, or it doesn't answer.
    """
    host, namespace = outermost(args), args.outer_namespace
    for name in args.path:
        host, namespace = enter(host, namespace, name), INNER_NAMESPACE
    return host


def enter(host: Host, namespace: str, name: str, seconds: float = ENTER_SECONDS) -> Host:
    """A tenant of a host as a host, for as long as the command runs. Raises NotFoundError, HostUnreachableError."""
    from kubeception.cli.tenant import find
    from kubeception.engine.reach import reach
    from kubeception.engine.reconcile import Engine
    from kubeception.errors import WaitTimeoutError

    found = find(host.cluster, namespace, name)
    engine = Engine(host.cluster, namespace, name)
    click.get_current_context().call_on_close(engine.close)
    try:
        _, tenant = reach(engine, seconds)
    except WaitTimeoutError as error:
        hint = f"kubeception doctor {host.path_of(name)}"
        raise HostUnreachableError(error.message, hint=hint) from None
    uid = found["metadata"]["uid"]
    return Host(tenant, host.kubeconfig, host.context, host, namespace, name, uid)


def outermost(args: HostArgs) -> Host:
    """The cluster that kubeconfig and context mean."""
    config, file = _config(args)
    name = args.context or config.current
    context = config.context(name)
    known = None if args.context else origin(context)
    if known is not None and known.cluster:
        file, name = known.kubeconfig, known.context
        config = load((Path(file),) if file else default_paths())
    elif not name and not args.kubeconfig:
        config, file, name = _lab()
    if not name:
        raise HostUnreachableError(
            f"{_places(config)}: no current context, so there is no host cluster",
            hint=f"Choose one with --context, or: {NO_HOST_HINT}",
        )
    made_by = origin(config.context(name))
    if made_by is not None and not made_by.cluster:
        file = made_by.kubeconfig  # a lab's own file lives as long as the lab
    try:
        cluster = Cluster(config.select(name), f"host cluster {name}")
    except NotFoundError as error:
        raise UsageError(error.message, hint=error.hint) from None
    _probe(cluster, name)
    return Host(cluster, file, name)


def _config(args: HostArgs) -> tuple[Kubeconfig, str]:
    if args.kubeconfig is None:
        return load(default_paths()), ""
    if not args.kubeconfig.exists():
        raise UsageError(f"{args.kubeconfig}: no such kubeconfig")
    path = args.kubeconfig.absolute()
    return load((path,)), str(path)


def _lab() -> tuple[Kubeconfig, str, str]:
    """The kubeconfig of a lab: the one called `lab`, or else the only one."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    found = sorted((state / "kubeception" / "labs").glob("*/kubeconfig"))
    chosen = [path for path in found if path.parent.name == "lab"] or found
    if len(chosen) != 1:
        many = f"there are {len(found)} labs: choose one with --kubeconfig" if found else ""
        raise HostUnreachableError(
            f"no host cluster: {many or 'there is no kubeconfig, and no lab runs'}",
            hint=NO_HOST_HINT,
        )
    config = load((chosen[0],))
    return config, str(chosen[0]), config.current


def _probe(cluster: Cluster, name: str) -> None:
    try:
        cluster.version(seconds=PROBE_SECONDS)
    except ApiError as error:
        if error.status == 0:
            hint = (
                error.hint
                or f"Is context {name!r} the cluster you mean? If there is none: {NO_HOST_HINT}"
            )
            raise HostUnreachableError(error.message, hint=hint) from None
        raise


def _places(config: Kubeconfig) -> str:
    return ", ".join(str(path) for path in config.paths)
