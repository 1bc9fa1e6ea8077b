"""`kubeception connect`: a shell or a command inside a tenant cluster, without touching your kubeconfig."""

import copy
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kubeception.cli.options import DURATION, HostArgs, examples, host_options, name_argument

if TYPE_CHECKING:
    from kubeception.engine.reconcile import Engine


@click.command(
    epilog=examples("connect acme", "connect acme -- kubectl get nodes", "connect acme --print-way")
)
@name_argument
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD...]")
@click.option("--print-way", is_flag=True, help="Say how it is reached, and end.")
@click.option(
    "--wait",
    type=DURATION,
    default="20s",
    show_default=True,
    help="How long its API server may take to answer.",
)
@host_options
def connect(
    name: str, command: tuple[str, ...], wait: float, *, print_way: bool, host: HostArgs
) -> None:
    """Run CMD, or else a shell, with a kubeconfig of tenant cluster NAME that ends with it.

    Where its endpoint can't be reached from here, its API is carried through the host's for as long.
    The exit code is that of CMD.
    """
    from kubeception.cli.host import connect as to_host
    from kubeception.engine.reconcile import Engine

    found = to_host(host)
    with Engine(found.cluster, host.namespace, name) as engine:
        document, around = way(engine, wait)
        server = document["clusters"][0]["cluster"]["server"]
        if around:
            click.echo(f"The endpoint can't be reached from here: {server} leads there.", err=True)
        if print_way:
            click.echo(server)
            return
        with kubeconfig_file(document) as file:
            sys.exit(run(command, name, file))


def way(engine: "Engine", seconds: float) -> tuple[dict[str, Any], bool]:
    """The administrator's kubeconfig, with the server it is reached by from here; whether that is a way round.

    Raises WaitTimeoutError.
    """
    from kubeception.engine.link import SERVER_NAME
    from kubeception.engine.reach import reach

    ctx, tenant = reach(engine, seconds)
    document = copy.deepcopy(ctx.pki.admin_kubeconfig())
    cluster = document["clusters"][0]["cluster"]
    if tenant.server == cluster["server"]:
        return document, False
    cluster.update({"server": tenant.server, "tls-server-name": SERVER_NAME})
    return document, True


@contextmanager
def kubeconfig_file(document: dict[str, Any]) -> Iterator[Path]:
    """The kubeconfig as a file that only its owner reads, and that is gone afterwards."""
    from kubeception.kube.kubeconfig import write

    with tempfile.TemporaryDirectory(prefix="kubeception-") as folder:
        path = Path(folder) / "kubeconfig"
        write(path, document)
        yield path


def run(command: Sequence[str], name: str, kubeconfig: Path) -> int:
    """Run a command to its end with this kubeconfig; its exit code, as a shell says it."""
    from kubeception.errors import UsageError

    argv = list(command) or [os.environ.get("SHELL") or "/bin/sh"]
    if not command:
        click.echo(f"kubectl means {name} in this shell; leave it with `exit`.", err=True)
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "KUBECEPTION_TENANT": name}
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the command
    try:
        code = subprocess.run(argv, env=environment, check=False, preexec_fn=listen).returncode
    except OSError as error:
        raise UsageError(f"{argv[0]}: can't be run: {error.strerror}") from None
    finally:
        signal.signal(signal.SIGINT, before)
    return code if code >= 0 else 128 - code


def listen() -> None:
    """Let a child be interrupted, though its parent isn't."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
