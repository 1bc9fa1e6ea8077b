"""A machine that somebody owns: the disk of the lab's virtual machines, systemd and all, started by hand under QEMU."""

import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from kubeception import names
from kubeception.api.v1alpha1 import DEFAULT_VERSION
from kubeception.kube.client import listens
from kubeception.lab import disk
from kubeception.providers.kubevirt import kernel_boot
from tests.e2e.conftest import Lab, programs
from tests.e2e.machine import QEMU, machine, run

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
BOOT: Final = (
    *("-kernel", f"/mnt/{disk.VMLINUX}", "-initrd", f"/mnt/{disk.INITRD}"),
    *("-append", kernel_boot("")["kernelArgs"]),
    *("-drive", f"file=/mnt/{disk.DISK},format=raw,if=virtio,cache=unsafe"),
)


@dataclass(frozen=True)
class Owned:
    """The machine."""

    address: str
    key: str
    """The private key that lets root in."""
    host_key: str
    """`type base64`."""
    folder: Path

    @contextmanager
    def lent(self, lab: Lab, name: str) -> Iterator[dict[str, Any]]:
        """`spec.ssh` of a pool that may have it, until the block ends: its key is a Secret of that name."""
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/ssh-auth",
            "metadata": {"name": name, "namespace": "default"},
            "data": {"ssh-privatekey": b64encode(self.key.encode()).decode()},
        }
        lab.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(secret))
        lab.kubectl("label", "namespace", "default", f"{names.ALLOW_SSH_NODES}=true", "--overwrite")
        yield {
            "keySecretRef": {"name": name},
            "machines": [{"address": self.address, "hostKey": self.host_key}],
        }
        lab.kubectl("label", "namespace", "default", f"{names.ALLOW_SSH_NODES}-")
        lab.kubectl("delete", "secret", name)

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
    folder.mkdir(exist_ok=True)
    qemu = machine(folder)
    host_key = build(folder, status["registry"], network)
    run("ip", "tuntap", "add", link, "mode", "tap")
    try:
        run("ip", "link", "set", link, "master", f"kc-{lab.name}", "up")
        card = ("-netdev", f"tap,id=net,ifname={link},script=no,downscript=no")
        with qemu.run(*QEMU, *card, *BOOT) as process:
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
    """Disk and kernel in a folder, and the owner's key on the disk; the key of its sshd."""
    image = f"{registry}/kubeception/node-disk:{DEFAULT_VERSION}"
    archive = folder / "image.tar"
    run(str(programs() / "crane"), "export", "--insecure", image, str(archive))
    run("tar", "-C", str(folder), "-xf", str(archive))
    archive.unlink()
    for key in ("key", "host"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key))
    raw, root = folder / "disk.raw", folder / "root"
    file = folder / disk.DISK
    run("qemu-img", "convert", "-O", "raw", str(file), str(raw))
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
    raw.replace(file)  # for QEMU; a file of its own format would be no smaller by now
    return " ".join((folder / "host.pub").read_text().split()[:2])
