import json
import tarfile
from pathlib import Path

from kubeception.lab import archive
from kubeception.lab.images import Image
from kubeception.lab.layer import ZSTD, Blob
from kubeception.lab.load import names_of
from kubeception.lab.repository import digest_of

NAME = "ghcr.io/nodes/node:v1"
CONTENT = b"packed"
BLOB = Blob(digest_of(CONTENT), len(CONTENT), "sha256:" + "2" * 64)
IMAGE = Image(NAME, ())


def saved(folder: Path) -> tarfile.TarFile:
    """An archive of one layer."""
    layer = folder / "layer"
    layer.write_bytes(CONTENT)
    config, manifest = IMAGE.config([BLOB]), IMAGE.manifest([BLOB])
    archive.save(folder / "image.tar", NAME, config, manifest, [(BLOB, layer)])
    return tarfile.open(folder / "image.tar")


def content(tar: tarfile.TarFile, path: str) -> bytes:
    stream = tar.extractfile(path)
    assert stream
    return stream.read()


def test_who_reads_oci_finds_manifest_and_blobs(tmp_path: Path) -> None:
    with saved(tmp_path) as tar:
        assert json.loads(content(tar, "oci-layout")) == {"imageLayoutVersion": "1.0.0"}
        (found,) = json.loads(content(tar, "index.json"))["manifests"]
        assert found["annotations"]["org.opencontainers.image.ref.name"] == "v1"
        manifest = content(tar, archive.blob_path(found["digest"]))
        assert digest_of(manifest) == found["digest"]
        assert len(manifest) == found["size"]
        for blob in (json.loads(manifest)["config"], *json.loads(manifest)["layers"]):
            data = content(tar, archive.blob_path(blob["digest"]))
            assert (digest_of(data), len(data)) == (blob["digest"], blob["size"])


def test_who_reads_docker_finds_name_layer_and_what_it_is_packed_with(tmp_path: Path) -> None:
    with saved(tmp_path) as tar:
        (entry,) = json.loads(content(tar, "manifest.json"))
        assert content(tar, entry["Layers"][0]) == CONTENT
        config = json.loads(content(tar, entry["Config"]))
        assert list(entry["LayerSources"]) == config["rootfs"]["diff_ids"]
        assert entry["LayerSources"][BLOB.diff_id]["mediaType"] == ZSTD
    assert names_of(tmp_path / "image.tar") == [NAME]
