"""A machine that somebody owns: Debian's own sshd on the root filesystem of a lab's nodes, in its own namespaces."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubeception.kube.client import listens
from kubeception.lab import guest
from kubeception.lab.state import cache_folder

STUBS = {
    "containerd": "exit 0",
    "kubelet": "echo started >>/var/log/kubelet; exec sleep 1000",
    "kubeadm": """\
echo "kubeadm $*"
case $1 in
    join)
        [ ! -e /etc/refuse ] || { rm /etc/refuse; exit 1; }
        cp /etc/kubernetes/join.yaml /etc/joined
        mkdir -p /var/lib/kubelet
        echo 'KUBELET_KUBEADM_ARGS="--x=y"' >/var/lib/kubelet/kubeadm-flags.env
        echo '{}' >/var/lib/kubelet/config.yaml ;;
    reset) rm -rf /var/lib/kubelet; echo reset >>/etc/resets ;;
esac""",
    # The image has no sudo. This one takes the words we use, and lets ann do everything.
    "sudo": '[ "$1" = -n ] && shift && exec as-root --reuid 0 --regid 0 --clear-groups "$@"',
}
"""What the machine's owner has installed. What a node's programs do is tested elsewhere."""
INSIDE = """\
mount --make-rprivate /
mount --bind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount -t tmpfs run "$1/run"
mkdir "$1/run/sshd"
exec chroot "$1" /usr/sbin/sshd -D -e -h "/etc/ssh/$2"
"""


@dataclass(frozen=True)
class Box:
    """The machine."""

    root: Path
    namespace: str
    address: str
    key: str
    """The private key that lets root and ann in."""

    def file(self, path: str) -> Path:
        """Where a file of it is."""
        return self.root / path.lstrip("/")

    def host_key(self, name: str) -> str:
        """`type base64` of one of its keys."""
        return " ".join(self.file(f"/etc/ssh/{name}.pub").read_text().split()[:2])

    @contextmanager
    def serving(self, host_key: str = "one") -> Iterator[None]:
        """sshd with one of its host keys, and all that was begun by it ended after that."""
        enter = ("ip", "netns", "exec", self.namespace, "unshare", "--mount", "--pid", "--fork")
        argv = (*enter, "--kill-child", "sh", "-euc", INSIDE, "sh", str(self.root), host_key)
        with subprocess.Popen(argv, stderr=subprocess.PIPE) as process:
            try:
                until = time.monotonic() + 20
                while not listens((self.address, 22)):
                    if process.poll() is not None or time.monotonic() > until:
                        process.kill()
                        _, said = process.communicate()
                        pytest.fail(f"sshd does not serve: {said.decode()}")
                    time.sleep(0.05)
                yield
            finally:
                process.kill()  # it would wait for sshd otherwise
                while listens((self.address, 22)):
                    time.sleep(0.05)


def run(*argv: str) -> str:
    """What a program of this machine says."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(argv)}: {done.stderr}")
    return done.stdout


def build(root: Path) -> str:
    """The root filesystem, with users and what a node needs; the private key of the users."""
    archive = cache_folder() / "rootfs" / f"node-{guest.NODE.fingerprint()}.tar.zst"
    root.mkdir()
    run("tar", "--zstd", "--numeric-owner", "-xpf", str(archive), "-C", str(root))
    for name, body in STUBS.items():
        program = root / "usr/local/bin" / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
    run("cp", str(root / "usr/bin/setpriv"), str(root / "usr/local/bin/as-root"))
    (root / "usr/local/bin/as-root").chmod(0o4755)
    run("chroot", str(root), "useradd", "--create-home", "--shell", "/bin/sh", "ann")
    for name in ("one", "two"):
        key = root / "etc/ssh" / name
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    key = root.with_name("key")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    for home in ("root", "home/ann"):
        folder = root / home / ".ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
    run("chroot", str(root), "chown", "-R", "ann:ann", "/home/ann")
    return key.read_text()


@contextmanager
def box(folder: Path) -> Iterator[Box]:
    """A machine, on a link of its own, until the block ends."""
    root, name = folder / "root", "kc-ssh-test"
    key = build(root)
    run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "address", "add", "10.209.0.1/30", "dev", name)
        run("ip", "link", "set", name, "up")
        inside = ("ip", "-n", name)
        run(*inside, "address", "add", "10.209.0.2/30", "dev", "eth0")
        for link in ("lo", "eth0"):
            run(*inside, "link", "set", link, "up")
        yield Box(root, name, "10.209.0.2", key)
    finally:
        run("ip", "netns", "delete", name)
        run("rm", "-rf", "--one-file-system", str(root))
