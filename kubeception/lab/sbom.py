"""The software bill of materials of a lab's programs and images: read from what was made, not from what was asked for.

Programs say themselves which Go modules they are from, root filesystems which Debian packages, and the operator's
layer has a folder for each Python distribution.
"""

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from kubeception import __version__
from kubeception.errors import KubeceptionError
from kubeception.lab import buildinfo, guest, rootfs, wheels
from kubeception.lab.command import output
from kubeception.lab.disk import ROOTS, Disk
from kubeception.lab.images import Image, Layer
from kubeception.lab.part import Cache, Part
from kubeception.lab.report import Report
from kubeception.lab.rootfs import Root
from kubeception.lab.wheels import Wheels

NAMESPACE: Final = uuid.UUID("742f3e67-95a2-5502-a703-a862bc99f16d")
"""Of serial numbers: equal contents have an equal one."""
DISTRIBUTION: Final = re.compile(r"/([^/]+)-([^/-]+)\.dist-info/METADATA$", re.MULTILINE)
LAB: Final = "lab"
OPERATOR: Final = "kubeception"


@dataclass(frozen=True)
class Piece:
    """A component of the bill."""

    ref: str
    """Unlike any other's."""
    type: Literal["application", "container", "library", "operating-system"]
    name: str
    version: str = ""
    purl: str = ""
    """The package URL, by which scanners know it."""
    needs: frozenset[str] = frozenset()
    """What it is made of, by reference."""

    def component(self) -> dict[str, str]:
        """The piece as CycloneDX has it."""
        said = {"version": self.version, "purl": self.purl}
        kept = {key: value for key, value in said.items() if value}
        return {"type": self.type, "bom-ref": self.ref, "name": self.name, **kept}


def bill(
    cache: Path, report: Report, parts: Sequence[Part], images: Sequence[Image]
) -> dict[str, Any]:
    """A CycloneDX 1.6 document of these parts and images. Raises KubeceptionError for one that the cache lacks."""
    store = Cache(cache)
    pieces = [piece for part in parts for piece in of_part(part, store)]
    layers = [layer for image in images for layer in image.layers]
    for root in dict.fromkeys(root for layer in layers for root in roots(layer)):
        pieces += of_root(root, cache, report)
    for layer in dict.fromkeys(layer for layer in layers if isinstance(layer, Wheels)):
        pieces += of_wheels(layer, cache, report)
    owners = {f"bin/{name}": part.name for part in parts for name in part.binaries}
    owners |= {f"share/{name}": part.name for part in parts for name in part.files.values()}
    pieces += [of_image(image, owners) for image in images]
    return document(pieces)


def document(pieces: Sequence[Piece]) -> dict[str, Any]:
    """The document, the same for the same pieces whatever their order."""
    known = {piece.ref: piece for piece in pieces}
    tops = {piece.ref for piece in pieces if piece.type in ("application", "container")}
    lab = Piece(LAB, "application", "kubeception lab", __version__, needs=frozenset(tops))
    listed = [known[ref] for ref in sorted(known)]
    body = {
        "metadata": {"component": lab.component()},
        "components": [piece.component() for piece in listed],
        "dependencies": [
            {"ref": piece.ref, "dependsOn": sorted(piece.needs)} for piece in (lab, *listed)
        ],
    }
    serial = uuid.uuid5(NAMESPACE, json.dumps(body, sort_keys=True))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial.urn,
        "version": 1,
        **body,
    }


def of_part(part: Part, store: Cache) -> Iterator[Piece]:
    """A part of the lab, and the Go modules and the Go that its programs are from."""
    if not store.holds(part):
        raise _missing(part.name)
    found = [buildinfo.read(store.bin / name) for name in part.binaries]
    infos = [info for info in found if info]
    modules = {module for info in infos for module in info.modules}
    modules |= {buildinfo.Module("stdlib", info.go) for info in infos}
    libraries = [library("golang", m.path, m.version) for m in sorted(modules)]
    yield from libraries
    needs = frozenset(piece.ref for piece in libraries)
    yield Piece(part.name, "application", part.name, part.version, needs=needs)


def of_root(root: Root, cache: Path, report: Report) -> Iterator[Piece]:
    """A root filesystem, and its Debian packages."""
    file = rootfs.place(root, cache)
    member = rootfs.STATUS if root.variant == "minbase" else f"{rootfs.RECORDS}/*"
    text = _listed(file, root.name, report, "--to-stdout", "-x", "--wildcards", member)
    packages = list(debian_packages(text))
    yield from packages
    needs = frozenset(piece.ref for piece in packages)
    yield Piece(_ref(root), "operating-system", f"Debian, {root.name}", rootfs.SUITE, needs=needs)


def of_wheels(layer: Wheels, cache: Path, report: Report) -> Iterator[Piece]:
    """This very program, and the Python distributions that its image has for it."""
    listing = _listed(wheels.place(layer, cache), "the operator's image", report, "-t")
    found = [
        library("pypi", name.lower().replace("_", "-"), version)
        for name, version in DISTRIBUTION.findall(listing)
    ]
    yield from found
    needs = frozenset(piece.ref for piece in found)
    yield Piece(OPERATOR, "application", "kubeception", __version__, needs=needs)


def of_image(image: Image, owners: Mapping[str, str]) -> Piece:
    """An image, made of whom its files belong to: `owners` has the part of each file of the cache."""
    name, _, tag = image.name.rpartition(":")
    needs = {ref for layer in image.layers for ref in _refs(layer, owners)}
    return Piece(image.name, "container", name, tag, needs=frozenset(needs))


def debian_packages(text: str) -> Iterator[Piece]:
    """The packages that dpkg's status, or the control files of packages one after the other, tell of."""
    for stanza in re.split(r"^(?=Package: )", text, flags=re.MULTILINE)[1:]:
        fields = dict(re.findall(r"^([\w-]+): (.*)$", stanza, re.MULTILINE))
        if fields.get("Status", "install ok installed").endswith(" installed"):
            package, version = fields["Package"], fields["Version"]
            where = f"?arch={fields['Architecture']}&distro={rootfs.SUITE}"
            yield library("deb", package, version, "debian/", where)


def library(kind: str, name: str, version: str, namespace: str = "", qualifiers: str = "") -> Piece:
    """A package by its URL."""
    purl = f"pkg:{kind}/{namespace}{quote(name, safe='/')}"
    purl += f"@{quote(version, safe=':')}" if version else ""
    purl += qualifiers
    return Piece(purl, "library", name, version, purl)


def roots(layer: Layer) -> tuple[Root, ...]:
    """The root filesystems that a layer is made from."""
    if isinstance(layer, Disk):
        return ROOTS
    return (layer,) if isinstance(layer, Root) else ()


def _refs(layer: Layer, owners: Mapping[str, str]) -> Iterator[str]:
    """What a layer is made of, by reference."""
    yield from map(_ref, roots(layer))
    if isinstance(layer, Disk):
        yield from layer.images
        yield from _refs((*guest.overlay(), *guest.programs()), owners)
    elif isinstance(layer, Wheels):
        yield OPERATOR
    elif isinstance(layer, tuple):
        yield from (owners[str(e.source)] for e in layer if str(e.source) in owners)


def _ref(root: Root) -> str:
    return f"debian/{root.name}"


def _listed(file: Path, what: str, report: Report, *options: str) -> str:
    """What tar prints of an archive of the cache."""
    if not file.exists():
        raise _missing(what)
    argv = ["tar", "--zstd", "--file", str(file), *options]
    return output(argv, report, doing=f"reading what is in {file}", hint="install tar and zstd")


def _missing(what: str) -> KubeceptionError:
    message = f"the bill of materials: the cache lacks {what}, or has another version of it"
    return KubeceptionError(message, hint="kubeception lab up makes it")
