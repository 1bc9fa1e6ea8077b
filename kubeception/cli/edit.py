"""`kubeception edit`: a tenant cluster and its pools in your editor."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kubeception.cli.options import DURATION, HostArgs, examples, host_options, name_argument

if TYPE_CHECKING:
    from kubeception.cli.documents import Documents

HEAD = (
    "# Save and leave to apply it; an empty file, or one without a change, leaves all as it is.\n"
)


@click.command(epilog=examples("edit acme"))
@name_argument
@click.option(
    "--wait",
    type=DURATION,
    default="10m",
    show_default=True,
    help="How long until it must be ready; with 0 it is only written.",
)
@host_options
def edit(name: str, wait: float, host: HostArgs) -> None:
    """Edit tenant cluster NAME and its pools with $EDITOR, then work on it until it is so.

    What is wrong with it is written into the file, and the editor opens again.
    """
    from kubeception.cli.host import connect
    from kubeception.cli.progress import Progress
    from kubeception.cli.work import bring

    found = connect(host)
    cluster = found.cluster
    text = HEAD + current(cluster, name, host.namespace)
    documents = edited(cluster, text, host.namespace)
    if documents is None:
        click.echo("Nothing was changed.", err=True)
        return
    for manifest in documents.manifests():
        cluster.apply(manifest)
    with Progress() as progress:
        for namespace, one in documents.names() if wait else ():
            bring(found, namespace, one, wait, progress)


def current(cluster: Any, name: str, namespace: str) -> str:
    """The tenant and its pools, as a person would write them."""
    import yaml

    from kubeception.cli.tenant import find, pools_of

    objects = [find(cluster, namespace, name), *pools_of(cluster, namespace, name)]
    documents = [
        {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            "metadata": {key: obj["metadata"][key] for key in ("name", "namespace")},
            "spec": obj["spec"],
        }
        for obj in objects
    ]
    return str(yaml.safe_dump_all(documents, sort_keys=False))


def edited(cluster: Any, text: str, namespace: str) -> "Documents | None":
    """What a person made of the text, once nothing is wrong with it; None where nothing was changed.

    Raises the error itself when it is left as it was refused.
    """
    from kubeception.cli.documents import check, load
    from kubeception.errors import UsageError

    original, shown = body(text), text
    while True:
        answer = click.edit(shown, extension=".yaml", require_save=False) or ""
        if not body(answer).strip() or body(answer) == original:
            return None
        descriptor, file = tempfile.mkstemp(prefix="kubeception-edit-", suffix=".yaml")
        with os.fdopen(descriptor, "w") as opened:
            opened.write(answer)
        try:
            documents = load((file,), namespace)
            check(cluster, documents)
        except UsageError as error:
            if body(answer) == body(shown):
                raise
            problems = "".join(f"# {line}\n" for line in error.message.splitlines())
            shown = problems.replace(file, "this file") + body(answer)
        else:
            return documents
        finally:
            Path(file).unlink()


def body(text: str) -> str:
    """The text without the comments at its head."""
    lines = text.splitlines(keepends=True)
    while lines and lines[0].startswith("#"):
        lines.pop(0)
    return "".join(lines)
