"""Images a node keeps: not those whose name means another by now, for a kubelet never asks a second time."""

from collections.abc import Iterable, Mapping

from kubeception.lab.command import output
from kubeception.lab.containerd import MIRRORS
from kubeception.lab.node import Node, enter
from kubeception.lab.repository import Reference, Repository

CTR = ("ctr", "--namespace", "k8s.io", "images")


def forget_stale(node: Node, names: Iterable[str]) -> None:
    """Take those of these images off the node that the lab's registry has anew; what runs of them runs on."""
    wanted = {name: digest(node.place.lab.registry, name) for name in names}
    if stale := differing(kept(node), wanted):
        argv = enter(node.place, [*CTR, "remove", *stale])
        output(argv, node.report, doing="removing images that were made anew")


def fetch(node: Node, name: str) -> None:
    """Have an image on the node before the first pod that wants it, under its digest, too.

    That is what a kubelet calls it by then, and what KubeVirt asks another node for when a machine moves there.
    """
    if name not in kept(node):
        argv = [*CTR, "pull", "--hosts-dir", MIRRORS, name]
        output(enter(node.place, argv), node.report, doing=f"pulling {name}")
        argv = [*CTR, "tag", "--force", name, by_digest(name, kept(node)[name])]
        output(enter(node.place, argv), node.report, doing=f"naming {name} by its digest")


def digest(registry: str, name: str) -> str:
    """What a name means in the registry; empty where it means nothing."""
    reference = Reference.parse(name)
    return Repository(registry, reference.repository).digest(reference.tag)


def by_digest(name: str, found: str) -> str:
    """What an image is called by its digest."""
    return f"{name.rpartition(':')[0]}@{found}"


def kept(node: Node) -> Mapping[str, str]:
    """Name → digest of what a node has."""
    argv = enter(node.place, [*CTR, "list"])
    return table(output(argv, node.report, doing="listing images"))


def table(listing: str) -> Mapping[str, str]:
    """The same, out of what ctr prints: name, media type, digest and more."""
    rows = [line.split() for line in listing.splitlines()[1:]]
    return {row[0]: row[2] for row in rows if len(row) > 2}


def differing(kept: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """The names that are kept with a digest other than the one wanted, and those that are such a digest."""
    known = {name: found for name, found in wanted.items() if found}
    right = {by_digest(name, found) for name, found in known.items()}
    ours = tuple(by_digest(name, "") for name in known)
    old = [ref for ref in kept if ref.startswith(ours) and ref not in right]
    return [*(name for name, found in known.items() if kept.get(name, found) != found), *old]
