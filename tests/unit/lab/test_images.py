import json
from pathlib import Path

import pytest

from kubeception.errors import KubeceptionError
from kubeception.lab.disk import Disk
from kubeception.lab.images import CNI_IMAGES, IMAGES, PACKAGE, Image, Publisher
from kubeception.lab.layer import Blob, Entry, resolved, with_folders
from kubeception.lab.parts import CNI_PARTS, PARTS
from kubeception.lab.repository import Reference, digest_of
from kubeception.lab.rootfs import Root
from kubeception.lab.state import Cni
from kubeception.plan.versions import IMAGES as NAMES, image as name_of
from tests.reports import Recorder

ALL = (*IMAGES, *(image for images in CNI_IMAGES.values() for image in images))
BLOB = Blob("sha256:" + "1" * 64, 10, "sha256:" + "2" * 64)


NOT_MADE = {
    *("csi-driver", "csi-provisioner", "csi-attacher", "csi-node-driver-registrar"),
    "node-local-dns",
}
"""Tenants' storage, which the lab can't have: kubevirt's driver and its CDI can't be had as Go modules. And what
nobody has unless they ask for it."""


def entries(image: Image) -> list[Entry]:
    return [entry for layer in image.layers if isinstance(layer, tuple) for entry in layer]


def test_every_image_a_tenant_needs_is_made() -> None:
    made = {image.name for image in IMAGES}
    assert {name_of(name) for name in NAMES.keys() - NOT_MADE} <= made
    assert len(made) == len(IMAGES)


@pytest.mark.parametrize(("cni", "images"), CNI_IMAGES.items())
def test_every_file_of_an_image_comes_from_a_part(cni: Cni, images: tuple[Image, ...]) -> None:
    parts = (*PARTS, *CNI_PARTS[cni])
    known = {Path("bin") / name for part in parts for name in part.binaries}
    known |= {Path("share") / name for part in parts for name in part.files.values()}
    used = {entry.source for image in (*IMAGES, *images) for entry in entries(image)}
    assert {source for source in used if source and not source.is_relative_to(PACKAGE)} <= known


@pytest.mark.parametrize("image", ALL, ids=lambda image: image.name)
def test_what_an_image_runs_is_in_it(image: Image) -> None:
    paths = {f"/{entry.path}" for entry in entries(image)}
    assert set(image.entrypoint) <= paths


@pytest.mark.parametrize("image", ALL, ids=lambda image: image.name)
def test_no_layer_has_a_path_twice(image: Image) -> None:
    for layer in image.layers:
        if isinstance(layer, tuple):
            paths = [entry.path for entry in layer]
            assert len(paths) == len(set(paths))


def test_a_disk_is_made_after_the_images_in_it() -> None:
    order = [image.name for image in IMAGES]
    disks = [layer for image in IMAGES for layer in image.layers if isinstance(layer, Disk)]
    for disk in disks:
        assert all(name in order[:-1] for name in disk.images)
    assert any(isinstance(layer, Disk) for layer in IMAGES[-1].layers)


def test_a_manifest_names_its_configuration_and_layers() -> None:
    image = Image("registry.k8s.io/x:1", ((), ()), ("/x",), user="1")
    manifest = json.loads(image.manifest([BLOB, BLOB]))
    config = image.config([BLOB, BLOB])
    assert manifest["config"]["digest"] == digest_of(config)
    assert [layer["digest"] for layer in manifest["layers"]] == [BLOB.digest] * 2
    assert json.loads(config)["rootfs"]["diff_ids"] == [BLOB.diff_id] * 2
    assert json.loads(config)["config"]["User"] == "1"


def test_folders_come_before_what_is_in_them() -> None:
    names = [entry.path for entry in with_folders((Entry("a/b/c", text=""), Entry("a/d", text="")))]
    assert names == ["a", "a/b", "a/b/c", "a/d"]


def test_a_capability_is_packed_as_the_kernel_reads_it() -> None:
    header = Entry("x", text="", capability=10).header()
    value = header.pax_headers["SCHILY.xattr.security.capability"].encode()
    assert value == bytes.fromhex("01000002 00040000 00000000 00000000 00000000")


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag"),
    [
        ("registry.k8s.io/pause:3.10.1", "registry.k8s.io", "pause", "3.10.1"),
        ("docker.io/library/busybox:1.36", "docker.io", "library/busybox", "1.36"),
        ("10.200.0.1:5000/a/b:c", "10.200.0.1:5000", "a/b", "c"),
    ],
)
def test_references(text: str, host: str, repository: str, tag: str) -> None:
    reference = Reference.parse(text)
    assert (reference.host, reference.repository, reference.tag) == (host, repository, tag)
    assert str(reference) == text


@pytest.mark.parametrize("text", ["busybox", "busybox:1.36", "registry:5000/busybox", ""])
def test_a_name_that_is_not_whole_is_refused(text: str) -> None:
    with pytest.raises(KubeceptionError, match="not of the form"):
        Reference.parse(text)


def test_a_layer_is_another_one_when_a_file_of_it_changed(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path, "127.0.0.1:1", Recorder())
    layer = (Entry("x", source=Path("bin/x")),)
    with pytest.raises(KubeceptionError, match="bin/x is missing in the cache"):
        publisher.fingerprint(layer)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/x").write_text("one")
    first = publisher.fingerprint(layer)
    assert publisher.fingerprint(layer) == first
    (tmp_path / "bin/x").write_text("three")
    assert publisher.fingerprint(layer) != first


def test_sources_are_resolved_and_absolute_ones_stay(tmp_path: Path) -> None:
    found = resolved((Entry("a", source=Path("bin/a")), Entry("b", source=Path("/b"))), tmp_path)
    assert [entry.source for entry in found] == [tmp_path / "bin/a", Path("/b")]


def test_a_folder_as_source_is_its_files(tmp_path: Path) -> None:
    (tmp_path / "share/bpf/lib").mkdir(parents=True)
    for name in ("a.c", "lib/b.h"):
        (tmp_path / "share/bpf" / name).write_text(name)
    found = resolved((Entry("var/bpf", source=Path("share/bpf"), mode=0o644),), tmp_path)
    assert [(entry.path, entry.mode) for entry in found] == [
        ("var/bpf/a.c", 0o644),
        ("var/bpf/lib/b.h", 0o644),
    ]


def test_a_blob_is_kept_and_half_a_record_is_none(tmp_path: Path) -> None:
    BLOB.save(tmp_path / "x.json")
    assert Blob.load(tmp_path / "x.json") == BLOB
    (tmp_path / "x.json").write_text('{"digest": "sha')
    assert Blob.load(tmp_path / "x.json") is None


def test_a_root_changes_with_its_packages() -> None:
    assert Root("a", ("x",)).fingerprint() != Root("a", ("x", "y")).fingerprint()
    assert Root("a", ("x",)).fingerprint() != Root("a", ("x",), variant="extract").fingerprint()
