"""An image of one's own, put into a lab's registry under the path its name has, whatever the host in it."""

import json
import tarfile
from pathlib import Path

from kubeception.errors import UsageError
from kubeception.lab.command import run
from kubeception.lab.report import Report

HUB = "docker.io"


def load(image: str, registry: str, programs: Path, report: Report) -> list[str]:
    """Put a tar file's images, or one that can be pulled, into the registry; the names a pod may use.

    Raises KubeceptionError.
    """
    crane = str(programs / "crane")
    if Path(image).is_file():
        names = [full_name(name) for name in names_of(Path(image))]
        verb = ["push", image]
    else:
        names = [full_name(image)]
        verb = ["copy", names[0]]
    for name in names:
        target = f"{registry}/{path_of(name)}"
        hint = "is it a tar file of `docker save`, or a name that this machine can pull?"
        run([crane, *verb, target, "--insecure"], report, doing=f"loading {image}", hint=hint)
    return names


def names_of(archive: Path) -> list[str]:
    """The names in an archive as `docker save` writes it. Raises UsageError."""
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("manifest.json")
            entries = json.load(member) if member else []
    except (tarfile.TarError, KeyError, ValueError) as error:
        raise UsageError(
            f"{archive} is not an archive of images: {error}", hint="make one with `docker save`"
        ) from error
    names = [name for entry in entries for name in entry.get("RepoTags") or ()]
    if not names:
        raise UsageError(
            f"no image in {archive} has a name", hint="save it by its name, not by its id"
        )
    return names


def full_name(name: str) -> str:
    """A name as containerd resolves it: with host and tag, `docker.io/library/nginx:latest` for `nginx`."""
    host, slash, rest = name.partition("/")
    if not slash or not (set(host) & {".", ":"} or host == "localhost"):
        host, rest = HUB, name
    if host == HUB and "/" not in rest:
        rest = f"library/{rest}"
    tagged = "@" in rest or ":" in rest.rpartition("/")[2]
    return f"{host}/{rest}" if tagged else f"{host}/{rest}:latest"


def path_of(full: str) -> str:
    """A full name without its host: where a mirror has it."""
    return full.partition("/")[2]
