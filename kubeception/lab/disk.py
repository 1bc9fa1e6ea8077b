"""The disk of a virtual machine node: a root filesystem with images in its store, and a kernel that starts it.

A machine boots its kernel straight from the image, with an initial file system that knows one driver: firmware, boot
loader and a generic initramfs would take more time than all the rest of the kernel's start.
"""

import hashlib
import shutil
import stat
import struct
import subprocess
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubeception.errors import KubeceptionError
from kubeception.lab import debian, guest
from kubeception.lab.command import run
from kubeception.lab.layer import Entry, resolved
from kubeception.lab.report import Report
from kubeception.lab.rootfs import TOOLS, archive
from kubeception.lab.store import Store

SIZE = 12 << 30
"""Octets that the guest sees; the file holds only what is used."""
LABEL = "node-root"
PACKAGES = ("e2fsprogs", "kmod", "qemu-utils", "tar", "util-linux", "xz-utils", "zstd")
ROOTS = (guest.NODE, guest.KERNEL, TOOLS)
QEMU = 107
"""User and group that read the disk, in KubeVirt's images."""
DISK, VMLINUX, INITRD = "disk/disk.qcow2", "boot/vmlinux", "boot/initrd"
FILES = {DISK: 0o440, VMLINUX: 0o444, INITRD: 0o444}
"""Path in the image → mode."""

FIND = f"""\
#!/bin/sh
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in /modules/*; do insmod "$module"; done
tries=0
until root=$(findfs LABEL={LABEL}); do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || {{ echo "no disk is labelled {LABEL}"; exec sh; }}
    sleep 0.1
done
"""
"""The root file system's device."""
MOUNT = """\
mount -t ext4 -o noatime "$root" /root || exec sh
mount --move /dev /root/dev
mount --move /proc /root/proc
mount --move /sys /root/sys
"""
"""The root file system in its place."""
SWITCH = "exec switch_root /root /sbin/init\n"
DRIVERS = ("virtio_blk", "virtio_net")
"""Loaded in this order, each after those it needs."""
HOST_KEYS = "etc/ssh/ssh_host_*"
"""Whoever has the image would know them: each machine makes its own."""
SIGNED = b"~Module signature appended~\n"
SIGNATURE = 12
"""Octets between a signature and that mark; the last four are the signature's length."""
APPLETS = ("findfs", "insmod", "mount", "sh", "sleep", "switch_root")


def unpack(archive: Path, tree: Path, report: Report, *members: str) -> None:
    """Unpack a root filesystem, or some folders of it."""
    tree.mkdir(parents=True, exist_ok=True)
    argv = ["tar", "--zstd", "--numeric-owner", "--xattrs", "-xpf", str(archive), "-C", str(tree)]
    run([*argv, *members], report, doing=f"unpacking {archive.name}")


def strip(tree: Path) -> None:
    """Remove what the packages start at boot, and the identity of the machine they were installed on."""
    for units in ("etc/systemd/system", "usr/lib/systemd/system"):
        for folder in (tree / units).glob("*.target.wants"):
            shutil.rmtree(folder)
    shutil.rmtree(tree / "usr/lib/systemd/system-generators")  # units are what the image says
    for path in (tree / "etc/hostname", tree / "etc/resolv.conf", *tree.glob(HOST_KEYS)):
        path.unlink(missing_ok=True)
    (tree / "etc/machine-id").write_text("")
    shutil.rmtree(tree / "etc/cloud/cloud.cfg.d")  # read six times in a start; ours says all of it


def lay(entries: Sequence[Entry], tree: Path) -> None:
    """Put entries into a folder, over what is there."""
    for entry in entries:
        path = tree / entry.path
        if path.is_symlink() or path.is_file():
            path.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.link:
            path.symlink_to(entry.link)
        elif entry.text is not None:
            path.write_text(entry.text)
        elif entry.source is not None:
            shutil.copyfile(entry.source, path)
        else:
            path.mkdir(exist_ok=True)
        if not entry.link:
            path.chmod(entry.mode)


def unsigned(module: bytes) -> bytes:
    """A kernel module without the signature at its end (include/linux/module_signature.h)."""
    if not module.endswith(SIGNED):
        return module
    (length,) = struct.unpack_from(">I", module, len(module) - len(SIGNED) - 4)
    return module[: -(len(SIGNED) + SIGNATURE + length)]


def modules(tree: Path, report: Report) -> Path:
    """Make the kernel's modules ready to load, without unpacking or verifying them; their folder.

    They come with the disk, which nobody's signature vouches for: verifying one takes an emulated processor half a
    second, and a node loads forty.
    """
    (folder,) = (tree / "usr/lib/modules").iterdir()
    packed = [str(path) for path in folder.rglob("*.ko.xz")]
    run(["xz", "-d", "-T0", *packed], report, doing="unpacking kernel modules")
    for path in folder.rglob("*.ko"):
        path.write_bytes(unsigned(path.read_bytes()))
    run(["depmod", "-b", str(tree), folder.name], report, doing="indexing kernel modules")
    return folder


def compile_python(tree: Path, report: Report) -> None:
    """Byte code that is valid whatever the time of its source: cloud-init starts in a quarter of the time."""
    packages = tree / "usr/lib/python3/dist-packages"
    shutil.rmtree(packages / "jsonschema")  # only for warnings
    shutil.rmtree(
        packages / "charset_normalizer"
    )  # where there is chardet, only its version is asked
    argv = ["chroot", str(tree), "python3", "-m", "compileall", "-q", "-f", "-j", "2"]
    argv += ["--invalidation-mode", "unchecked-hash", "/usr/lib/python3", "/usr/lib/python3.13"]
    run(argv, report, doing="compiling the node's Python files")


def kernel(image: Path) -> bytes:
    """The ELF kernel inside a bzImage, which QEMU can start without unpacking. Raises KubeceptionError."""
    data = image.read_bytes()
    setup = (data[0x1F1] or 4) + 1
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = setup * 512 + offset
    payload = data[start : start + length - 4]  # the last four bytes are the size of the result
    argv = ["zstd", "-q", "-d", "-c"]
    result = subprocess.run(argv, input=payload, capture_output=True, check=False)
    if result.returncode or not result.stdout.startswith(b"\x7fELF"):
        raise KubeceptionError(
            f"{image.name} holds no kernel packed with zstd", output=result.stderr.decode()
        )
    return result.stdout


def cpio(entries: Sequence[Entry]) -> bytes:
    """An initial file system of these entries, in the kernel's newc form."""
    archive = bytearray()
    made: set[str] = set()

    def add(name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        numbers = (len(archive) + 1, mode, 0, 0, 1, 0, len(content), 0, 0, *device)
        header = "070701" + "".join(f"{n:08X}" for n in (*numbers, len(name) + 1, 0))
        archive.extend(header.encode() + name.encode() + b"\0")
        archive.extend(bytes(-len(archive) % 4) + content)
        archive.extend(bytes(-len(archive) % 4))

    for folder in ("dev", "proc", "sys", "root"):
        add(folder, stat.S_IFDIR | 0o755)
    add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    for entry in entries:
        for parent in reversed(list(Path(entry.path).parents)[:-1]):
            if str(parent) not in made:
                made.add(str(parent))
                add(str(parent), stat.S_IFDIR | 0o755)
        if entry.link:
            add(entry.path, stat.S_IFLNK | 0o777, entry.link.encode())
        else:
            content = entry.source.read_bytes() if entry.source else (entry.text or "").encode()
            add(entry.path, stat.S_IFREG | entry.mode, content)
    add("TRAILER!!!", 0)
    return bytes(archive)


def load_order(index: str, drivers: Iterable[str]) -> list[str]:
    """Files of drivers and of all they need, in an order in which each can be loaded, by depmod's index.

    Raises KubeceptionError for one that the kernel doesn't have.
    """
    lines = [line.partition(":") for line in index.splitlines()]
    needs = {Path(file).name.partition(".")[0]: (file, rest.split()) for file, _, rest in lines}
    order: dict[str, None] = {}
    for driver in drivers:
        if driver not in needs:
            raise KubeceptionError(f"the node's kernel has no driver {driver}")
        file, needed = needs[driver]
        order.update(dict.fromkeys((*reversed(needed), file)))
    return list(order)


def initrd(
    busybox: Path,
    modules: Path,
    *,
    drivers: Sequence[str] = DRIVERS,
    applets: Sequence[str] = APPLETS,
    script: str = FIND + MOUNT + SWITCH,
) -> bytes:
    """An initial file system: busybox, drivers, and a script that goes on to the disk."""
    files = load_order((modules / "modules.dep").read_text(), drivers)
    return cpio(
        (
            Entry("bin/busybox", source=busybox),
            *(Entry(f"bin/{applet}", link="busybox") for applet in applets),
            *(Entry(f"modules/{n:02}.ko", source=modules / file) for n, file in enumerate(files)),
            Entry("init", text=script),
        )
    )


def pad(file: Path) -> None:
    """Append zeros, which no reader minds, until the file's CRC-32 is below 2³¹.

    KubeVirt reports it in a field of the VirtualMachineInstance that its own schema limits to an int32; a status
    with a larger one is refused, and the machine never counts as running.
    """
    with file.open("r+b") as stream:
        checksum = 0
        while block := stream.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
        while checksum >= 1 << 31:
            stream.write(bytes(512))
            checksum = zlib.crc32(bytes(512), checksum)


def format_disk(tree: Path, target: Path, report: Report) -> None:
    """A qcow2 disk whose whole is an ext4 file system with the tree in it.

    It is not compressed: unpacking clusters would cost three seconds of every start.
    """
    raw = target.with_suffix(".raw")
    raw.unlink(missing_ok=True)
    options = ("-q", "-F", "-t", "ext4", "-L", LABEL, "-m", "0", "-i", "32768")
    extended = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    size = f"{SIZE >> 20}M"
    argv = ["mke2fs", *options, "-J", "size=16", "-E", extended, "-d", str(tree), str(raw), size]
    run(argv, report, doing="formatting the node's disk")
    argv = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(target)]
    run(argv, report, doing="converting the node's disk")
    raw.unlink()


def contents(folder: Path) -> tuple[Entry, ...]:
    """Disk, kernel and initial file system of a folder, as entries of an image."""
    return tuple(
        Entry(name, source=folder / name, mode=mode, owner=QEMU) for name, mode in FILES.items()
    )


@dataclass(frozen=True)
class Disk:
    """Everything a node's disk is made from."""

    images: tuple[str, ...]
    """Images the node starts with."""

    def facts(self) -> tuple[object, ...]:
        """What changes when another disk would come out, beside the images and the node's own files."""
        recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
        return (recipe, self.images, *(root.fingerprint() for root in ROOTS))

    def build(self, cache: Path, registry: str, work: Path, report: Report) -> tuple[Entry, ...]:
        """The disk, the kernel and the initial file system, as entries of an image.

        The images are pulled from the registry at `host:port`. Raises KubeceptionError.
        """
        debian.install(PACKAGES, report)
        shutil.rmtree(work, ignore_errors=True)
        tree, tools = work / "root", work / "tools"
        unpack(archive(guest.NODE, cache, report), tree, report)
        boot = ("./usr/lib/modules", "./boot")
        unpack(archive(guest.KERNEL, cache, report), tree, report, *boot)
        unpack(archive(TOOLS, cache, report), tools, report, "./usr/bin/busybox")
        strip(tree)
        lay((*guest.overlay(), *resolved(guest.programs(), cache)), tree)
        compile_python(tree, report)
        drivers = modules(tree, report)
        (packed,) = (tree / "boot").glob("vmlinuz-*")
        node = work / "node"
        for name in FILES:
            (node / name).parent.mkdir(parents=True, exist_ok=True)
        (node / VMLINUX).write_bytes(kernel(packed))
        (node / INITRD).write_bytes(initrd(tools / "usr/bin/busybox", drivers))
        shutil.rmtree(tree / "boot")
        store = Store(cache / "bin", tree / "var/lib/containerd", work / "containerd")
        store.fill(self.images, registry, report)
        format_disk(tree, node / DISK, report)
        shutil.rmtree(tree)
        made = contents(node)
        for entry in made:
            if entry.source:
                pad(entry.source)
        return made
