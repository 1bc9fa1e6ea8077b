"""What makes a Debian root filesystem a node: the same for a virtual machine and for a pod."""

from pathlib import Path

from kubeception.lab import pod as pod_init
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
        "crun",
        "dbus",
        "e2fsprogs",
        "ethtool",
        "iproute2",
        "iptables",
        "kmod",
        "nftables",
        "openssh-server",
        "qemu-guest-agent",
        "socat",
        "systemd-sysv",
        "udev",
    ),
)
KERNEL = Root("kernel", ("linux-image-cloud-amd64",), variant="extract")

PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "kubeadm", "kubectl", "kubelet")

OF_A_POD = """
[plugins."io.containerd.cri.v1.runtime"]
# A tenant's container can't claim to be worth more to the host than its node is.
restrict_oom_score_adj = true
"""
"""Added to containerd's configuration in a pod."""

WANTED = {
    "sysinit.target": (
        "systemd-journald.service",
        "systemd-sysctl.service",
        "systemd-udev-trigger.service",
        "systemd-udevd.service",
    ),
    "sockets.target": (
        "dbus.socket",
        "systemd-journald-dev-log.socket",
        "systemd-journald.socket",
        "systemd-udevd-control.socket",
        "systemd-udevd-kernel.socket",
    ),
    "multi-user.target": (
        "cloud-init-main.service",
        "containerd.service",
        "kubelet.service",
        "late.timer",
        "network-facts.path",
        "seed.service",
        "systemd-networkd.service",
    ),
    "late.target": (
        "coldplug.service",
        "qemu-guest-agent.service",
        "ssh.service",
        "systemd-logind.service",
        "systemd-tmpfiles-setup.service",
    ),
}
"""Target → all units it starts: what Debian would start besides costs an emulated processor half a minute."""
MASKED = ("systemd-networkd-persistent-storage.service", "systemd-udev-load-credentials.service")
"""Units that others want, for what no node has: network state and device rules from before it was one."""
RULES = (
    "60-autosuspend",
    "60-drm",
    "60-evdev",
    "60-fido-id",
    "60-infiniband",
    "60-persistent-alsa",
    "60-persistent-input",
    "60-persistent-storage-mtd",
    "60-persistent-storage-tape",
    "60-persistent-v4l",
    "60-sensor",
    "64-btrfs",
    "66-azure-ephemeral",
    "70-camera",
    "70-joystick",
    "70-mouse",
    "70-touchpad",
    "70-uaccess",
    "73-seat-late",
    "75-probe_mtd",
    "78-sound-card",
    "90-iocost",
    "96-e2scrub",
)
"""Rules of udev for what no virtual machine has: it reads all it has before it looks at the first device."""


def overlay() -> tuple[Entry, ...]:
    """Files and links laid over the Debian root filesystem of a node."""
    files = sorted(path for path in FILES.rglob("*") if path.is_file())
    texts = (
        Entry(str(path.relative_to(FILES)), text=path.read_text(), mode=0o644) for path in files
    )
    wanted = (
        Entry(f"etc/systemd/system/{target}.wants/{unit}", link=f"../{unit}")
        for target, units in WANTED.items()
        for unit in units
    )
    masked = (Entry(f"etc/systemd/system/{unit}", link="/dev/null") for unit in MASKED)
    rules = (Entry(f"etc/udev/rules.d/{name}.rules", link="/dev/null") for name in RULES)
    folder = Entry("etc/kubernetes/manifests")  # without it kubelet says so three times a minute
    return (*texts, *wanted, *masked, *rules, folder)


def pod() -> tuple[Entry, ...]:
    """What a node that is a pod has besides: no systemd, and a process 1 of its own."""
    config = (FILES / "etc/containerd/config.toml").read_text()
    config = config.replace("SystemdCgroup = true", "SystemdCgroup = false")
    return (
        Entry("etc/containerd/config.toml", text=config + OF_A_POD, mode=0o644),
        Entry("usr/local/sbin/node-init", text=Path(pod_init.__file__).read_text()),
    )


def programs() -> tuple[Entry, ...]:
    """Our binaries on a node; `source` is relative to the cache folder."""
    return (
        *(Entry(f"usr/local/bin/{name}", source=Path("bin") / name) for name in PROGRAMS),
        *(Entry(f"opt/cni/bin/{name}", source=Path("bin") / name) for name in PLUGINS),
    )
