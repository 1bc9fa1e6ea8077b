"""An image as one tar file, laid out as OCI says and as `docker save` does: who loads images reads one of them."""

import io
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from kubeception.lab.images import descriptor
from kubeception.lab.layer import Blob
from kubeception.lab.repository import MANIFEST, Reference, digest_of, encode

INDEX = "application/vnd.oci.image.index.v1+json"


def blob_path(digest: str) -> str:
    """Where an archive has what a digest names."""
    return f"blobs/{digest.replace(':', '/')}"


def documents(
    name: str, config: bytes, manifest: bytes, layers: Sequence[Blob]
) -> Iterator[tuple[str, bytes]]:
    """Path and content of everything but the layers."""
    named = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": Reference.parse(name).tag,
    }
    described = descriptor(MANIFEST, digest_of(manifest), len(manifest)) | {"annotations": named}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [described]}
    saved = {
        "Config": blob_path(digest_of(config)),
        "RepoTags": [name],
        "Layers": [blob_path(layer.digest) for layer in layers],
        "LayerSources": {
            layer.diff_id: descriptor(layer.media_type, layer.digest, layer.size)
            for layer in layers
        },
    }
    yield "oci-layout", encode({"imageLayoutVersion": "1.0.0"})
    yield "index.json", encode(index)
    yield "manifest.json", encode([saved])
    yield blob_path(digest_of(manifest)), manifest
    yield blob_path(digest_of(config)), config


def save(
    target: Path, name: str, config: bytes, manifest: bytes, layers: Sequence[tuple[Blob, Path]]
) -> None:
    """Write the archive of an image, whose layers are in these files."""
    blobs = [blob for blob, _ in layers]
    with tarfile.open(target, "w") as archive:
        for path, content in documents(name, config, manifest, blobs):
            archive.addfile(member(path, len(content)), io.BytesIO(content))
        for blob, file in layers:
            with file.open("rb") as stream:
                archive.addfile(member(blob_path(blob.digest), blob.size), stream)


def member(path: str, size: int) -> tarfile.TarInfo:
    """What stands before a file in the archive."""
    info = tarfile.TarInfo(path)
    info.size = size
    return info
