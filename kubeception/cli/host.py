"""Which host cluster a command means, and the connection to it."""

import os
from dataclasses import dataclass
from pathlib import Path

from kubeception.cli.options import HostArgs
from kubeception.errors import ApiError, HostUnreachableError, NotFoundError, UsageError
from kubeception.kube.client import Cluster
from kubeception.kube.kubeconfig import Kubeconfig, default_paths, load, origin

NO_HOST_HINT = "`kubeception lab up` makes a host cluster on this machine."
PROBE_SECONDS = 10.0


@dataclass(frozen=True)
class Host:
    """A host cluster that answers, and how it was found."""

    cluster: Cluster
    kubeconfig: str
    """The file its context is in; empty when it is among those kubectl reads."""
    context: str


def connect(args: HostArgs) -> Host:
    """The host cluster the options mean; else of the kubeconfig; else of a running lab.

    Where the current context is a tenant of ours, that tenant's host is meant. Raises
    HostUnreachableError when there is none, or it doesn't answer.
    """
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
