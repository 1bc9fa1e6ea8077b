"""The image of a node to take elsewhere: the disk of a lab's machines, made bootable by itself."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from kubeception.errors import UsageError
from kubeception.lab import (
    archive,
    bootable,
    disk,
    guest,
    images,
    parts,
    preflight,
    registry,
    state,
)
from kubeception.lab.command import run
from kubeception.lab.images import Image, Publisher
from kubeception.lab.layer import Blob, Entry, pack
from kubeception.lab.part import Part
from kubeception.lab.parts import KUBERNETES, PARTS
from kubeception.lab.report import Report
from kubeception.lab.repository import Reference, Repository
from kubeception.lab.rootfs import Root, archive as root_archive
from kubeception.plan.versions import image as name_of

Format = Literal["containerdisk", "raw", "qcow2"]
SUFFIXES: Final = {"containerdisk": "tar", "raw": "raw", "qcow2": "qcow2"}
LEVEL: Final = 3
"""Of packing: a tenth smaller than a lab's own, whose disk goes no further than its registry."""
WORK: Final = 6.0
"""GiB in the cache while an image is made, where nothing of it was made before."""
RESULT: Final = {"containerdisk": 0.5, "raw": 1.5, "qcow2": 0.5}
"""GiB of the file."""


@dataclass(frozen=True)
class Order:
    """What is asked for."""

    version: str = KUBERNETES
    format: Format = "containerdisk"
    output: Path | None = None
    push: str = ""
    """`REGISTRY/NAME:TAG` to push to; empty: nowhere."""
    source: parts.Source = field(default_factory=parts.Source)

    @property
    def file(self) -> Path | None:
        """What is written; None where it is only pushed."""
        if self.output or self.push:
            return self.output
        return Path(f"node-{self.version}.{SUFFIXES[self.format]}")

    def check(self) -> None:
        """Raise UsageError for what can't be done."""
        if self.version != KUBERNETES:
            raise UsageError(
                f"no image of Kubernetes {self.version} can be built: this release of kubeception"
                f" builds {KUBERNETES} and no other",
                hint=f"leave --version out, or take a release of kubeception for {self.version};"
                f" --parts changes where programs come from, not their version",
            )
        if self.push and self.format != "containerdisk":
            raise UsageError(
                f"--push {self.push}: a registry takes images, and {self.format} is a disk",
                hint="leave --format out, or --push",
            )
        if self.push:
            Reference.parse(self.push)
        if self.file and self.file.is_dir():
            raise UsageError(
                f"--output {self.file} is a folder", hint=f"name a file: {self.file}/node.raw"
            )
        if self.file and not self.file.absolute().parent.is_dir():
            raise UsageError(
                f"--output {self.file}: there is no folder {self.file.parent}",
                hint=f"mkdir -p {self.file.parent}",
            )


def build(order: Order, report: Report) -> None:
    """Make the image, write it, push it. Raises KubeceptionError."""
    order.check()
    cache = state.cache_folder()
    rooms = {cache: WORK}
    if order.file:
        rooms[order.file.absolute().parent] = RESULT[order.format]
    preflight.check_builder(rooms)
    node, ingredients = chosen()
    with state.locked(cache, wait=True):
        parts.obtain(order.source, cache, report, needed(ingredients))
        with report.phase("Debian root filesystems"):
            for root in {*disk.ROOTS, bootable.LOADERS, *roots(ingredients)}:
                root_archive(root, cache, report)
        work = cache / "work" / "export"
        shutil.rmtree(work, ignore_errors=True)  # of a run that was killed
        try:
            layer = node_layer(node, ingredients, cache, work, report)
            finish(order, layer, cache, work, report)
        finally:
            shutil.rmtree(cache / "work", ignore_errors=True)


def chosen() -> tuple[Image, list[Image]]:
    """The image with the disk, and those that are in the store of it."""
    names = {name_of(name) for name in images.PRELOADED}
    (node,) = (image for image in images.IMAGES if image.name == name_of("node-disk"))
    return node, [image for image in images.IMAGES if image.name in names]


def needed(ingredients: Iterable[Image]) -> list[Part]:
    """The parts that an image with these in it takes, those that build it included."""
    entries = [e for image in ingredients for layer in image.layers for e in own(layer)]
    files = {entry.source.name for entry in (*entries, *guest.programs()) if entry.source}
    files |= {"crane", "registry"}
    return [part for part in PARTS if files & set(part.binaries)]


def own(layer: images.Layer) -> Sequence[Entry]:
    """The entries of a layer that is made of such."""
    return layer if isinstance(layer, tuple) else ()


def roots(ingredients: Iterable[Image]) -> set[Root]:
    """The Debian root filesystems below these images."""
    return {layer for image in ingredients for layer in image.layers if isinstance(layer, Root)}


def node_layer(
    node: Image, ingredients: Sequence[Image], cache: Path, work: Path, report: Report
) -> Path:
    """A folder with disk, kernel and initial file system as a lab has them, made if the cache lacks them."""
    with registry.serving(cache / "bin", cache / "registry") as address:
        with report.phase("Images that a node starts with"):
            images.publish(cache, address, report, ingredients)
        with report.phase("File system of the node"):
            images.publish(cache, address, report, [node])
            record = Publisher(cache, address, report).record(node.layers[0])
            blob = Blob.load(record)
            assert blob  # noqa: S101 - it was published
            work.mkdir(parents=True)
            packed = work / "layer.tar.zst"
            Repository(address, Reference.parse(node.name).repository).pull(blob.digest, packed)
    with report.phase("Unpacking it"):
        disk.unpack(packed, work / "node", report)
        packed.unlink()
    return work / "node"


def finish(order: Order, node: Path, cache: Path, work: Path, report: Report) -> None:
    """The disk with its boot partition, in the form that is asked for."""
    file = order.file or work / f"node.{SUFFIXES[order.format]}"
    draft = file.absolute().with_name(f".{file.name}.new")
    raw = draft if order.format == "raw" else work / "disk.raw"
    try:
        bootable.build(node, raw, cache, work, report)
        if order.format == "qcow2":
            with report.phase("Packing the disk"):
                bootable.convert(raw, draft, report, packed=True)
        elif order.format == "containerdisk":
            with report.phase("Packing the image"):
                container_disk(raw, node, draft, work, report)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    if order.push:
        with report.phase(f"Pushing to {order.push}"):
            push(file, order.push, cache / "bin", work / "layout", report)


def container_disk(raw: Path, node: Path, target: Path, work: Path, report: Report) -> None:
    """The archive of the image that KubeVirt takes a machine's disk from, and if told so its kernel."""
    whole = node / disk.DISK
    whole.unlink()
    bootable.convert(raw, whole, report)
    raw.unlink()
    disk.pad(whole)
    layer = work / "layer.tar.zst"
    blob = pack(disk.contents(node), layer, level=LEVEL)
    image, _ = chosen()
    config, manifest = image.config([blob]), image.manifest([blob])
    archive.save(target, image.name, config, manifest, [(blob, layer)])
    layer.unlink()


def push(file: Path, name: str, programs: Path, layout: Path, report: Report) -> None:
    """Push an archive, by the credentials that docker or podman has for that registry. Raises KubeceptionError.

    It is unpacked for it: of an archive crane makes a manifest of Docker's kind, which knows no zstd.
    """
    layout.mkdir()
    run(["tar", "-xf", str(file), "-C", str(layout)], report, doing=f"unpacking {file.name}")
    hint = "does the registry exist, and may you write there? `docker login` or `crane auth login` says who you are"
    argv = [str(programs / "crane"), "push", str(layout), name]
    run(argv, report, doing=f"pushing to {name}", hint=hint)
