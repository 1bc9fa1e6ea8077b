"""Images a node keeps under a name that means another by now: a kubelet never asks a second time for what it has."""

from collections.abc import Iterable, Mapping

from kubeception.lab.command import output
from kubeception.lab.node import Node, enter
from kubeception.lab.repository import Reference, Repository

CTR = ("ctr", "--namespace", "k8s.io", "images")


def forget_stale(node: Node, names: Iterable[str]) -> None:
    """Take those of these images off the node that the lab's registry has anew; what runs of them runs on."""
    listing = output(enter(node.place, [*CTR, "list"]), node.report, doing="listing images")
    wanted = {name: digest(node.place.lab.registry, name) for name in names}
    if stale := differing(kept(listing), wanted):
        argv = enter(node.place, [*CTR, "remove", *stale])
        output(argv, node.report, doing="removing images that were made anew")


def digest(registry: str, name: str) -> str:
    """What a name means in the registry; empty where it means nothing."""
    reference = Reference.parse(name)
    return Repository(registry, reference.repository).digest(reference.tag)


def kept(listing: str) -> Mapping[str, str]:
    """Name → digest, out of the table that ctr prints: name, media type, digest and more."""
    rows = [line.split() for line in listing.splitlines()[1:]]
    return {row[0]: row[2] for row in rows if len(row) > 2}


def differing(kept: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """The names that are kept with a digest other than the one wanted."""
    return [name for name, found in wanted.items() if found and kept.get(name, found) != found]
