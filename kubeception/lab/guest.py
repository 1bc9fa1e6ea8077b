"""What makes a Debian root filesystem a node: the same for a virtual machine and for a pod."""

from pathlib import Path

from kubeception.lab.layer import Entry
from kubeception.lab.parts import PLUGINS
from kubeception.lab.rootfs import Root

FILES = Path(__file__).with_name("guest")
"""Laid over the root filesystem as they are."""

NODE = Root(
    "node",
    (
        "ca-certificates",
        "cloud-init",
        "conntrack",
        "dbus",
        "e2fsprogs",
        "ethtool",
        "iproute2",
        "iptables",
        "kmod",
        "nftables",
        "openssh-server",
        "qemu-guest-agent",
        "runc",
        "socat",
        "systemd-sysv",
        "udev",
    ),
)
KERNEL = Root("kernel", ("linux-image-cloud-amd64",), variant="extract")

PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "kubeadm", "kubectl", "kubelet")

MASKED_UNITS = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "cloud-config.service",
    "cloud-final.service",
    "cloud-init-hotplugd.socket",
    "cloud-init-local.service",
    "cloud-init-network.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "kmod-static-nodes.service",
    "ldconfig.service",
    "modprobe@.service",
    "proc-sys-fs-binfmt_misc.automount",
    "run-lock.mount",
    "serial-getty@ttyS0.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-binfmt.service",
    "systemd-creds.socket",
    "systemd-hostnamed.socket",
    "systemd-initctl.socket",
    "systemd-journal-catalog-update.service",
    "systemd-journal-flush.service",
    "systemd-modules-load.service",
    "systemd-networkd-persistent-storage.service",
    "systemd-networkd-wait-online.service",
    "systemd-pcrextend.socket",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-remount-fs.service",
    "systemd-sysext.socket",
    "systemd-sysusers.service",
    "systemd-tmpfiles-setup-dev-early.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-udev-load-credentials.service",
    "systemd-update-done.service",
    "systemd-update-utmp.service",
    "systemd-user-sessions.service",
    "tmp.mount",
)
"""Nothing on a node needs these, and each costs an emulated processor its time."""
MASKED_GENERATORS = (
    "cloud-init-generator",
    "systemd-debug-generator",
    "systemd-getty-generator",
    "systemd-gpt-auto-generator",
    "systemd-hibernate-resume-generator",
    "systemd-rc-local-generator",
    "systemd-run-generator",
    "systemd-ssh-generator",
    "systemd-system-update-generator",
    "systemd-sysv-generator",
    "systemd-tpm2-generator",
)
"""What they would find is known: cloud-init is enabled below, and there is nothing else."""
WANTED = {
    "containerd.service": "/etc/systemd/system",
    "kubelet.service": "/etc/systemd/system",
    "late.timer": "/etc/systemd/system",
    "resolv-conf.path": "/etc/systemd/system",
    "cloud-init-main.service": "/usr/lib/systemd/system",
    "systemd-networkd.service": "/usr/lib/systemd/system",
}
"""Unit that multi-user.target starts → its folder."""


def overlay() -> tuple[Entry, ...]:
    """Files and links laid over the Debian root filesystem of a node."""
    files = sorted(path for path in FILES.rglob("*") if path.is_file())
    texts = (
        Entry(str(path.relative_to(FILES)), text=path.read_text(), mode=0o644) for path in files
    )
    units = "etc/systemd/system"
    masks = [f"{units}/{unit}" for unit in MASKED_UNITS]
    masks += [f"etc/systemd/system-generators/{name}" for name in MASKED_GENERATORS]
    enabled = (
        Entry(f"{units}/multi-user.target.wants/{unit}", link=f"{folder}/{unit}")
        for unit, folder in WANTED.items()
    )
    return (*texts, *(Entry(mask, link="/dev/null") for mask in masks), *enabled)


def programs() -> tuple[Entry, ...]:
    """Our binaries on a node; `source` is relative to the cache folder."""
    return (
        *(Entry(f"usr/local/bin/{name}", source=Path("bin") / name) for name in PROGRAMS),
        *(Entry(f"opt/cni/bin/{name}", source=Path("bin") / name) for name in PLUGINS),
    )
