"""Images of nodes, as files: nobody's secrets are in them, any firmware boots them, what they bring along runs."""

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubeception.lab import bootable, disk, export
from kubeception.lab.images import PRELOADED
from kubeception.lab.layer import ZSTD
from kubeception.lab.load import names_of
from kubeception.lab.parts import KUBERNETES
from kubeception.lab.registry import serving
from kubeception.lab.repository import MANIFEST
from kubeception.lab.state import cache_folder
from kubeception.plan.versions import image as name_of
from tests.blocks import blocks_of
from tests.e2e.conftest import PARTS
from tests.e2e.machine import MORE, Machine, machine, run
from tests.reports import Recorder

pytestmark = pytest.mark.slow
MOST = 350 * 1000 * 1000
"""Octets of an image as a registry has it."""
USER_DATA = """\
#cloud-config
users:
  - {name: root, ssh_authorized_keys: [ssh-ed25519 AAAA somebody]}
write_files:
  - path: /etc/standalone.yaml
    content: |
      apiVersion: kubelet.config.k8s.io/v1beta1
      kind: KubeletConfiguration
      staticPodPath: /etc/pods
      authentication: {webhook: {enabled: false}, anonymous: {enabled: false}}
      authorization: {mode: AlwaysAllow}
  - path: /etc/pods/proxy.yaml
    content: |
      apiVersion: v1
      kind: Pod
      metadata: {name: proxy, namespace: default}
      spec:
        hostNetwork: true
        restartPolicy: Never
        containers: [{name: proxy, image: PROXY, imagePullPolicy: Never, args: [--version]}]
  - path: /root/say
    content: |
      exec >/dev/console 2>&1
      echo "SAYS containerd $(systemctl is-active containerd)"
      echo "SAYS containerd-after $(systemctl show --value -p ActiveEnterTimestampMonotonic containerd)"
      echo "SAYS cloud-init-after $(cut -d' ' -f1 /proc/uptime)"
      echo "SAYS root $(df --output=size -B1 / | tail -1)"
      echo "SAYS keys $(cat /root/.ssh/authorized_keys)"
      echo "SAYS machine-id $(cat /etc/machine-id)"
      echo "SAYS failed $(systemctl list-units --failed --no-legend --plain | cut -d' ' -f1)"
      for image in $(ctr -n k8s.io images list -q); do echo "SAYS image $image"; done
      systemd-run -q --unit standalone kubelet --config /etc/standalone.yaml
      for _ in $(seq 120); do
          ! grep -hs stdout /var/log/pods/*/*/*.log || break
          sleep 1
      done
      echo "SAYS kubelet $(systemctl is-active standalone)"
      echo "SAYS ran $(grep -hs stdout /var/log/pods/*/*/*.log)"
      echo "SAYS all"
      systemctl poweroff --force --force
runcmd:
  - [sh, /root/say]
""".replace("PROXY", name_of("kube-proxy"))


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine, and its folder for images."""
    folder = tmp_path_factory.mktemp("machine")
    yield machine(folder)
    run("rm", "-rf", "--one-file-system", str(folder))


@pytest.fixture(scope="module")
def built(guest: Machine) -> Path:
    """The folder in which somebody typed what the page shows."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for line in (line for block in blocks_of(__file__) for line in block.lines):
        done = subprocess.run(
            ["bash", "-c", f"{line.command} --parts {PARTS}"],
            cwd=guest.folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() in line.command.split()
        assert "✓ File system of the node" in done.stderr
    assert not [file for file in guest.folder.iterdir() if file.suffix == ".new"]
    return guest.folder


@pytest.fixture(scope="module")
def raw(built: Path) -> Path:
    """The disk for any hypervisor."""
    return built / "node.raw"


@pytest.fixture(scope="module")
def container_disk(built: Path) -> Path:
    """The archive of the image for KubeVirt."""
    return built / "node.tar"


@contextmanager
def mounted(image: Path, place: Path) -> Iterator[Path]:
    """The root file system of a raw disk."""
    begin = bootable.partitions(disk.SIZE)[1].begin
    place.mkdir()
    run("mount", "-o", f"loop,ro,noload,offset={begin}", str(image), str(place))
    try:
        yield place
    finally:
        run("umount", str(place))


def test_nobody_is_in_an_image(raw: Path, tmp_path: Path) -> None:
    with mounted(raw, tmp_path / "root") as root:
        assert (root / "etc/machine-id").read_text() == ""
        assert not (root / "etc/hostname").exists()
        found = [path.relative_to(root) for path in walk(root)]
        names = {path.name for path in found}
        assert "kubelet" in names  # it is a node's
        keys = [name for name in names if re.match(r"ssh_host_.*|authorized_keys.*|id_\w+$", name)]
        assert keys == []
        assert not names & {"random-seed", ".bash_history", "hosts.toml", "kubelet.conf"}
        assert [path for path in found if path.match("var/lib/cloud/*")] == []
        assert [path for path in found if path.match("var/log/journal/*")] == []
        shadow = (root / "etc/shadow").read_text().splitlines()
        passwords = {line.split(":")[0]: line.split(":")[1] for line in shadow}
        assert "root" in passwords
        assert set(passwords.values()) <= {"*", "!", "!*"}
        accounts = (root / "etc/passwd").read_text().splitlines()
        assert {line.split(":")[1] for line in accounts} == {"x"}
        assert list((root / "etc/sudoers.d").glob("*")) in ([], [root / "etc/sudoers.d/README"])


def walk(root: Path) -> Iterator[Path]:
    """All that is there, but what images of containers are made of."""
    for path in root.iterdir():
        yield path
        if path.is_dir() and not path.is_symlink() and path.name != "snapshots":
            yield from walk(path)


def test_a_container_disk_is_small_and_has_two_layouts(container_disk: Path) -> None:
    assert names_of(container_disk) == [name_of("node-disk")]
    assert container_disk.stat().st_size < MOST
    with tarfile.open(container_disk) as archive:
        saved = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest"))
        index = json.load(archive.extractfile("index.json") or pytest.fail("no index"))
    (described,) = index["manifests"]
    assert described["annotations"]["io.containerd.image.name"] in saved[0]["RepoTags"]


def test_a_registry_takes_a_container_disk(container_disk: Path, tmp_path: Path) -> None:
    programs = cache_folder() / "bin"
    with serving(programs, tmp_path / "blobs") as address:
        ours, theirs = (f"{address}/nodes/node:{tag}" for tag in ("ours", "theirs"))
        export.push(container_disk, ours, programs, tmp_path / "layout", Recorder())
        run(str(programs / "crane"), "push", str(container_disk), theirs)
        told = [json.loads(run(str(programs / "crane"), "manifest", ref)) for ref in (ours, theirs)]
    assert told[0]["mediaType"] == MANIFEST
    assert [layer["mediaType"] for layer in told[0]["layers"]] == [ZSTD]
    assert told[0]["layers"] == told[1]["layers"]


def says(console: str, what: str) -> list[str]:
    """What the guest said of something."""
    return re.findall(rf"^.*SAYS {what}(?: (.*))?$", console, re.MULTILINE)


def assert_is_up(console: str) -> None:
    """It is a node but for joining, its disk is used to its end, and its store is whole."""
    assert says(console, "all") == [""], console[-4000:]
    assert says(console, "containerd") == ["active"]
    assert says(console, "failed") == [""]
    assert {name_of(name) for name in PRELOADED} <= set(says(console, "image"))
    assert says(console, "kubelet") == ["active"]
    assert says(console, "ran")[0].endswith(f"Kubernetes {KUBERNETES}")
    assert says(console, "keys")[0].endswith("AAAA somebody")
    assert len(says(console, "machine-id")[0]) == 32
    (micros,) = says(console, "containerd-after")
    sys.stderr.write(
        f"containerd {int(micros) / 1e6:.1f} s after the kernel's start,"
        f" cloud-init's commands {says(console, 'cloud-init-after')[0]} s\n"
    )


@pytest.mark.parametrize(
    ("options", "bus"),
    [
        pytest.param((), "virtio", id="BIOS, virtio-blk"),
        pytest.param(("-bios", "/usr/share/ovmf/OVMF.fd"), "scsi", id="UEFI, virtio-scsi"),
    ],
)
def test_a_disk_boots_by_itself(
    guest: Machine, raw: Path, options: tuple[str, ...], bus: str
) -> None:
    console = guest.boot(raw, USER_DATA, *options, bus=bus)
    assert_is_up(console)
    assert int(says(console, "root")[0]) > disk.SIZE + MORE // 2
