"""A machine that somebody owns: the disk of the lab's virtual machines, systemd and all, started by hand under QEMU."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Final

import pytest

from kubeception.api.v1alpha1 import DEFAULT_VERSION
from kubeception.kube.client import listens
from kubeception.lab.images import VIRTUAL
from kubeception.lab.state import cache_folder
from tests.e2e.conftest import Lab, programs

BOOT_SECONDS: Final = 300
HOST_OF_LAB: Final = 60
"""Number of its address in the lab's range: nodes are counted from 2."""
NETWORK: Final = """\
[Match]
Type=ether
Driver=virtio_net
[Network]
Address={address}/24
Gateway={machine}
DNS={servers}
[Route]
Destination={pods}
Gateway={node}
"""
"""What its owner sees to: that it reaches the pods of the host, which other nodes are."""
QEMU: Final = """\
mount --make-rprivate /
mount --bind /dev "$1/tools/dev"
mount --bind "$1" "$1/tools/mnt"
cd /
exec chroot "$1/tools" qemu-system-x86_64 -machine q35 -accel "$3" -m 1536 -display none -monitor none \
    -kernel /mnt/boot/vmlinux -initrd /mnt/boot/initrd \
    -append "console=ttyS0 loglevel=4 net.ifnames=0 rw" -serial file:/mnt/console \
    -drive file=/mnt/disk/disk.qcow2,format=raw,if=virtio,cache=unsafe -device virtio-rng-pci \
    -netdev "tap,id=n,ifname=$2,script=no,downscript=no" -device virtio-net-pci,netdev=n
"""


@dataclass(frozen=True)
class Owned:
    """The machine."""

    address: str
    key: str
    """The private key that lets root in."""
    host_key: str
    """`type base64`."""
    folder: Path

    def wait(self) -> None:
        """Return when its sshd listens."""
        until = time.monotonic() + BOOT_SECONDS
        while not listens((self.address, 22)):
            if time.monotonic() > until:
                pytest.fail(f"it does not boot: {(self.folder / 'console').read_text()[-2000:]}")
            time.sleep(1)

    def run(self, command: str) -> str:
        """What root's shell there says."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        argv = ["ssh", "-i", str(self.folder / "key"), *(f"-o{o}" for o in options)]
        return run(*argv, f"root@{self.address}", command)


def run(*argv: str) -> str:
    """What a program of this machine says."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(argv)}: {done.stderr}")
    return done.stdout


@contextmanager
def owned(lab: Lab, folder: Path) -> Iterator[Owned]:
    """The machine on the lab's bridge, booting, until the block ends."""
    status = lab.status()
    nodes = ip_network(status["nodeRange"])
    link, address = f"kc-{lab.name}-own", str(nodes[HOST_OF_LAB])
    network = NETWORK.format(
        address=address,
        machine=nodes[1],
        servers=" ".join(name_servers()),
        node=nodes[2],
        pods=status["podRange"],
    )
    host_key = build(folder, status["registry"], network)
    run("ip", "tuntap", "add", link, "mode", "tap")
    try:
        run("ip", "link", "set", link, "master", f"kc-{lab.name}", "up")
        enter = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
        argv = (*enter, "sh", "-euc", QEMU, "sh", str(folder), link, "tcg")
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as process:
            try:
                yield Owned(address, (folder / "key").read_text(), host_key, folder)
            finally:
                process.kill()
    finally:
        run("ip", "link", "delete", link)
        run("rm", "-rf", "--one-file-system", str(folder))


def name_servers() -> list[str]:
    """Those of this machine."""
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith("nameserver ")]


def build(folder: Path, registry: str, network: str) -> str:
    """Disk, kernel and QEMU in a folder, and the owner's key on the disk; the key of its sshd."""
    image = f"{registry}/kubeception/node-disk:{DEFAULT_VERSION}"
    archive = folder / "image.tar"
    run(str(programs() / "crane"), "export", "--insecure", image, str(archive))
    run("tar", "-C", str(folder), "-xf", str(archive))
    archive.unlink()
    tools = folder / "tools"
    tools.mkdir()
    virtual = cache_folder() / "rootfs" / f"{VIRTUAL.name}-{VIRTUAL.fingerprint()}.tar.zst"
    run("tar", "--zstd", "--numeric-owner", "-xpf", str(virtual), "-C", str(tools))
    for key in ("key", "host"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key))
    raw, root = folder / "disk.raw", folder / "root"
    disk = folder / "disk" / "disk.qcow2"
    run("qemu-img", "convert", "-O", "raw", str(disk), str(raw))
    root.mkdir()
    run("mount", "-o", "loop", str(raw), str(root))
    try:
        (root / "etc/hostname").write_text("owned\n")
        (root / "etc/systemd/network/10-machine.network").write_text(network)
        wanted = root / "etc/systemd/system/multi-user.target.wants/ssh.service"
        wanted.symlink_to("/usr/lib/systemd/system/ssh.service")
        (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
        (root / "root/.ssh/authorized_keys").write_text((folder / "key.pub").read_text())
        for name in ("host", "host.pub"):
            target = root / "etc/ssh" / name.replace("host", "ssh_host_ed25519_key")
            target.write_bytes((folder / name).read_bytes())
            target.chmod(0o600)
    finally:
        run("umount", str(root))
    raw.replace(disk)  # for QEMU; a file of its own format would be no smaller by now
    return " ".join((folder / "host.pub").read_text().split()[:2])
