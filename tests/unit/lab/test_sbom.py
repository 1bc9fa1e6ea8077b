import pytest

from kubeception.lab.disk import Disk
from kubeception.lab.images import Image, program
from kubeception.lab.rootfs import TOOLS, Root
from kubeception.lab.sbom import Piece, debian_packages, document, library, of_image
from kubeception.lab.wheels import Wheels

STATUS = """\
Package: libc6
Status: install ok installed
Source: glibc (2.41-12)
Version: 2.41-12+deb13u1
Architecture: amd64
Description: GNU C Library
 Version: of a line that goes on

Package: gone
Status: deinstall ok config-files
Version: 1
Architecture: all
"""
CONTROL = """\
Package: busybox-static
Version: 1:1.37.0-6+b9
Architecture: amd64
Package: libnftnl11
Version: 1.2.9-1
Architecture: amd64
"""
"""Of two packages, one file after the other."""


def test_dpkg_tells_of_the_packages_that_are_installed() -> None:
    assert [(piece.name, piece.version, piece.purl) for piece in debian_packages(STATUS)] == [
        (
            "libc6",
            "2.41-12+deb13u1",
            "pkg:deb/debian/libc6@2.41-12%2Bdeb13u1?arch=amd64&distro=trixie",
        )
    ]


def test_control_files_tell_of_packages_that_were_only_unpacked() -> None:
    assert [piece.purl for piece in debian_packages(CONTROL)] == [
        "pkg:deb/debian/busybox-static@1:1.37.0-6%2Bb9?arch=amd64&distro=trixie",
        "pkg:deb/debian/libnftnl11@1.2.9-1?arch=amd64&distro=trixie",
    ]


@pytest.mark.parametrize(
    ("piece", "purl"),
    [
        (library("golang", "k8s.io/api", "v0.36.3"), "pkg:golang/k8s.io/api@v0.36.3"),
        (library("golang", "sigs.k8s.io/stub", ""), "pkg:golang/sigs.k8s.io/stub"),
        (library("pypi", "rich", "14.1.0"), "pkg:pypi/rich@14.1.0"),
    ],
)
def test_a_library_is_known_by_its_package_url(piece: Piece, purl: str) -> None:
    assert piece.purl == piece.ref == purl


def test_an_image_is_made_of_whom_its_files_belong_to() -> None:
    layers = (Root("base", ("tar",)), TOOLS, (program("/usr/bin/crane"),), Wheels(("rich",)))
    image = of_image(Image("quay.io/a/b:v1", layers), {"bin/crane": "crane", "bin/etcd": "etcd"})
    assert (image.ref, image.name, image.version) == ("quay.io/a/b:v1", "quay.io/a/b", "v1")
    assert image.needs == {"debian/base", "debian/tools", "crane", "kubeception"}


def test_a_disk_is_made_of_its_roots_its_programs_and_the_images_on_it() -> None:
    image = of_image(Image("disk:v1", (Disk(("pause:3",)),)), {"bin/kubelet": "kubernetes"})
    assert image.needs == {"debian/node", "debian/kernel", "debian/tools", "pause:3", "kubernetes"}


def test_a_document_is_the_same_whatever_order_its_pieces_come_in() -> None:
    rich = library("pypi", "rich", "14.1.0")
    part = Piece("crane", "application", "crane", "v1", needs=frozenset({rich.ref}))
    found = document([part, rich, rich])
    assert found == document([rich, part])
    assert found["components"] == [
        {"type": "application", "bom-ref": "crane", "name": "crane", "version": "v1"},
        {
            "type": "library",
            "bom-ref": rich.ref,
            "name": "rich",
            "version": "14.1.0",
            "purl": rich.purl,
        },
    ]
    lab, *rest = found["dependencies"]
    assert lab == {"ref": "lab", "dependsOn": ["crane"]}
    assert rest == [
        {"ref": "crane", "dependsOn": [rich.ref]},
        {"ref": rich.ref, "dependsOn": []},
    ]
    other = document([library("pypi", "rich", "14.1.1")])
    assert other["serialNumber"] != found["serialNumber"]
