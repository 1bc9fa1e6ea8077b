"""The bill of materials of a cache: what is read with tar, and whether another program reads the document."""

import shutil
import subprocess
from pathlib import Path

import pytest

from kubeception.errors import KubeceptionError
from kubeception.lab import rootfs, wheels
from kubeception.lab.images import Image, program
from kubeception.lab.part import Cache, Part
from kubeception.lab.rootfs import Root
from kubeception.lab.sbom import bill
from kubeception.lab.wheels import Wheels
from tests.integration.servers import binary
from tests.reports import Recorder

ETCD = Part(name="etcd", version="v3", binaries=("etcd",))
INSTALLED = Root("installed", ("adduser",))
UNPACKED = Root("unpacked", ("nftables", "zstd"), variant="extract")
PYTHON = Wheels(("rich",))
LAYERS = (INSTALLED, UNPACKED, PYTHON, (program("/etcd"),))
IMAGE = Image("registry.example.com/all:v1", LAYERS)


def pack(file: Path, work: Path, **files: str) -> None:
    """An archive of the cache with these files."""
    for name, text in files.items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    file.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "--zstd", "-cf", file, "-C", work, "."], check=True)


def control(package: str, version: str, status: str = "") -> str:
    return f"Package: {package}\n{status}Version: {version}\nArchitecture: all\n"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    made = Cache(tmp_path / "cache")
    made.bin.mkdir(parents=True)
    shutil.copy2(binary("etcd"), made.bin)
    made.seal(ETCD, "build")
    status = control("adduser", "3.152", "Status: install ok installed\n")
    pack(rootfs.place(INSTALLED, made.folder), tmp_path / "a", **{rootfs.STATUS: status})
    records = {
        f"{rootfs.RECORDS}/nftables": control("nftables", "1.1.3-1"),
        f"{rootfs.RECORDS}/zstd": control("zstd", "1.5.7"),
    }
    pack(rootfs.place(UNPACKED, made.folder), tmp_path / "b", **records)
    metadata = f"{wheels.FOLDER}/typing_extensions-4.15.0.dist-info/METADATA"
    pack(wheels.place(PYTHON, made.folder), tmp_path / "c", **{metadata: "Version: 9"})
    return made.folder


def test_all_that_the_cache_holds_is_in_it_and_who_is_made_of_it(cache: Path) -> None:
    found = bill(cache, Recorder(), [ETCD], [IMAGE])
    needs = {each["ref"]: each["dependsOn"] for each in found["dependencies"]}
    assert needs["lab"] == ["etcd", "kubeception", IMAGE.name]
    assert needs[IMAGE.name] == ["debian/installed", "debian/unpacked", "etcd", "kubeception"]
    where = "?arch=all&distro=trixie"
    assert needs["debian/installed"] == [f"pkg:deb/debian/adduser@3.152{where}"]
    assert needs["debian/unpacked"] == [
        f"pkg:deb/debian/nftables@1.1.3-1{where}",
        f"pkg:deb/debian/zstd@1.5.7{where}",
    ]
    assert needs["kubeception"] == ["pkg:pypi/typing-extensions@4.15.0"]
    assert [ref for ref in needs["etcd"] if ref.startswith("pkg:golang/stdlib@1.")]
    assert [ref for ref in needs["etcd"] if ref.startswith("pkg:golang/go.etcd.io/bbolt@v")]
    assert {each["bom-ref"] for each in found["components"]} == needs.keys() - {"lab"}
    assert {ref for refs in needs.values() for ref in refs} <= needs.keys()


def test_whoever_reads_cyclonedx_reads_it(cache: Path) -> None:
    reason = "cyclonedx-python-lib: `make venv` installs it"
    reader = pytest.importorskip("cyclonedx.model.bom", reason=reason).Bom
    found = bill(cache, Recorder(), [ETCD], [IMAGE])
    read = reader.from_json(found)
    assert read.validate()
    assert read.serial_number.urn == found["serialNumber"]
    urls = {each.purl.to_string(): each.version for each in read.components if each.purl}
    assert urls == {each["purl"]: each["version"] for each in found["components"] if "purl" in each}
    assert {each.ref.value for each in read.dependencies} == {
        each["ref"] for each in found["dependencies"]
    }


@pytest.mark.parametrize(
    ("lost", "named"),
    [("bin/etcd", "etcd"), ("rootfs", "installed"), ("wheels", "the operator's image")],
)
def test_what_the_cache_lacks_is_named(cache: Path, lost: str, named: str) -> None:
    path = cache / lost
    path.unlink() if path.is_file() else shutil.rmtree(path)
    with pytest.raises(KubeceptionError, match=f"the cache lacks {named}") as caught:
        bill(cache, Recorder(), [ETCD], [IMAGE])
    assert caught.value.hint == "kubeception lab up makes it"
