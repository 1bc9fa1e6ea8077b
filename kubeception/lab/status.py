"""How a lab is: its processes as they are on this machine, and what its cluster says of itself."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kubeception.errors import KubeceptionError
from kubeception.lab import addons, host, init, state
from kubeception.lab.process import Process
from kubeception.lab.registry import Registry
from kubeception.lab.state import Lab, LabNode

DOWN = "down"
UP = "up"


@dataclass(frozen=True)
class Piece:
    """A piece of a lab: what it is, whether it is `up`, and more about it."""

    name: str
    state: str
    detail: str


@dataclass(frozen=True)
class Status:
    """A lab, piece by piece."""

    lab: Lab
    pieces: tuple[Piece, ...]

    @property
    def healthy(self) -> bool:
        """Whether every piece is up."""
        return all(piece.state == UP for piece in self.pieces)

    def document(self) -> dict[str, Any]:
        """For programs."""
        lab = self.lab
        return {
            "name": lab.name,
            "healthy": self.healthy,
            "server": lab.server,
            "registry": lab.registry,
            "cni": lab.cni,
            "kubeconfig": str(lab.kubeconfig),
            "nodeRange": str(lab.node_range),
            "podRange": str(lab.pod_range),
            "serviceRange": str(lab.service_range),
            "pieces": [asdict(piece) for piece in self.pieces],
        }


def look(lab: Lab) -> Status:
    """The lab as it is now; what doesn't answer is down."""
    return Status(lab, (registry(lab), *nodes(lab), *cluster(lab)))


def registry(lab: Lab) -> Piece:
    """The image registry."""
    service = Registry(lab, state.cache_folder() / "bin", state.cache_folder() / "registry")
    process = Process.load(service.record)
    answers = bool(process and process.alive() and service.answers())
    return Piece("registry", UP if answers else DOWN, lab.registry)


def nodes(lab: Lab) -> Iterator[Piece]:
    """Each node with its services."""
    for place in lab.nodes():
        process = Process.load(place.record)
        if process and process.alive():
            yield Piece(place.name, UP, f"{place.address}, process {process.pid}")
            yield from services(place, process)
        else:
            yield Piece(place.name, DOWN, str(place.address))


def services(place: LabNode, process: Process) -> Iterator[Piece]:
    """What process 1 of a node keeps running."""
    seen = Path(f"/proc/{process.pid}/root{init.STATUS}")
    try:
        found = json.loads(seen.read_text())
    except (OSError, ValueError):
        found = {}
    for name, service in found.items():
        detail = f"started {service['starts']} times" if service["starts"] > 1 else ""
        yield Piece(f"{place.name}/{name}", UP if service["pid"] else DOWN, detail)


def cluster(lab: Lab) -> Iterator[Piece]:
    """The API server, the Node objects, the add-ons, KubeVirt."""
    try:
        with host.connect(lab) as api:
            version = api.version(seconds=3)
            yield Piece("kubernetes", UP, f"{version} with {lab.cni} at {lab.server}")
            checks = {
                "nodes": addons.unready_nodes(api, [place.name for place in lab.nodes()]),
                "add-ons": addons.unready_workloads(api, host.NAMESPACES),
            }
            if api.get("Namespace", "kubevirt"):
                checks["kubevirt"] = addons.kubevirt_missing(api)
            for name, missing in checks.items():
                yield Piece(name, "waiting" if missing else UP, "; ".join(missing))
    except KubeceptionError as error:
        yield Piece("kubernetes", DOWN, error.message)
