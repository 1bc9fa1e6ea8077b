"""The images of the lab, built without an engine: Debian root filesystems and our binaries, under upstream's names."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import kubeception
from kubeception.errors import KubeceptionError
from kubeception.lab import guest, wheels
from kubeception.lab.disk import ROOTS, Disk
from kubeception.lab.layer import NET_BIND_SERVICE, Blob, Entry, pack, packed, resolved
from kubeception.lab.parts import CILIUM, KUBEVIRT, METALLB
from kubeception.lab.report import Report
from kubeception.lab.repository import (
    CONFIG,
    MANIFEST,
    Reference,
    Repository,
    digest_of,
    encode,
)
from kubeception.lab.rootfs import TOOLS, Root, archive
from kubeception.lab.state import Cni
from kubeception.lab.wheels import PYTHON, Wheels, package, requirements
from kubeception.plan.versions import image as name_of

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CREATED = "1970-01-01T00:00:00Z"

Layer = Root | Disk | Wheels | tuple[Entry, ...]
"""A Debian root filesystem, a node's disk, Python packages, or entries: their `source` is relative to the cache."""


@dataclass(frozen=True)
class Image:
    """An image by name: layers from the lowest up, and what it runs."""

    name: str
    layers: tuple[Layer, ...]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""

    def config(self, blobs: list[Blob]) -> bytes:
        """Its OCI configuration."""
        run_config: dict[str, object] = {"Env": [PATH], "WorkingDir": "/"}
        run_config |= {"Entrypoint": list(self.entrypoint)} if self.entrypoint else {}
        run_config |= {"Cmd": list(self.command)} if self.command else {}
        run_config |= {"User": self.user} if self.user else {}
        return encode(
            {
                "architecture": "amd64",
                "os": "linux",
                "created": CREATED,
                "config": run_config,
                "rootfs": {"type": "layers", "diff_ids": [blob.diff_id for blob in blobs]},
            }
        )

    def manifest(self, blobs: list[Blob]) -> bytes:
        """Its OCI manifest."""
        config = self.config(blobs)
        return encode(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": descriptor(CONFIG, digest_of(config), len(config)),
                "layers": [descriptor(blob.media_type, blob.digest, blob.size) for blob in blobs],
            }
        )


def descriptor(media_type: str, digest: str, size: int) -> dict[str, object]:
    """How a manifest names a blob."""
    return {"mediaType": media_type, "digest": digest, "size": size}


def program(path: str, *, binary: str = "", capability: int | None = None) -> Entry:
    """A binary of the bin folder at a path of an image."""
    name = binary or path.rpartition("/")[2]
    return Entry(path.lstrip("/"), source=Path("bin") / name, capability=capability)


def shared(path: str, file: str, *, mode: int = 0o644) -> Entry:
    """A file of the share folder at a path of an image."""
    return Entry(path, source=Path("share") / file, mode=mode)


ACCOUNTS = (
    Entry(
        "etc/passwd",
        text="root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"
        "nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
        mode=0o644,
    ),
    Entry("etc/group", text="root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\ntty:x:5:\n", mode=0o644),
    Entry("etc/nsswitch.conf", text="hosts: files dns\n", mode=0o644),
    Entry("tmp", mode=0o1777),
)
"""What a static program may look for."""

MERGED = tuple(Entry(name, link=f"usr/{name}") for name in ("bin", "lib", "lib64", "sbin"))
"""Debian's links into /usr."""
SHELL = (  # noqa: SIM905 - words read better than a list
    "[ cat chmod chown cp cut date df du echo env false find grep head hostname id kill ln ls mkdir"
    " mv nslookup ping ps pwd rm rmdir sed sh sleep sort stat sync tail tar tee test timeout touch"
    " tr true uname vi wc wget which xargs"
).split()
NET = (
    TOOLS,
    (
        *ACCOUNTS,
        *MERGED,
        *(Entry(f"usr/bin/{applet}", link="busybox") for applet in SHELL),
        *(
            Entry(f"usr/sbin/{name}", link="xtables-nft-multi")
            for family in ("iptables", "ip6tables")
            for name in (family, f"{family}-save", f"{family}-restore")
        ),
    ),
)
"""nft, iptables (nft), ip, conntrack and a shell: below kube-proxy, flannel and busybox."""

VIRTUAL = Root(
    "kubevirt",
    (
        "acl",
        "genisoimage",
        "iproute2",
        "iptables",
        "libnbd0",
        "libvirt-clients",
        "libvirt-daemon",
        "libvirt-daemon-driver-qemu",
        "libvirt-daemon-lock",
        "libvirt-daemon-log",
        "libvirt-daemon-system",
        "nftables",
        "ovmf",
        "passt",
        "procps",
        "qemu-system-x86",
        "qemu-utils",
        "seabios",
        "swtpm",
        "xorriso",
    ),
)
VIRTQEMUD = """\
#!/bin/sh
# Debian's libvirt has one daemon for all drivers, and its sockets have other names.
mkdir -p /var/run/libvirt
ln -sf libvirt-sock /var/run/libvirt/virtqemud-sock
ln -sf libvirt-admin-sock /var/run/libvirt/virtqemud-admin-sock
exec libvirtd "$@"
"""
QEMU = (
    Entry(
        "etc/passwd",
        text="root:x:0:0:root:/root:/bin/bash\nqemu:x:107:107:qemu:/home/qemu:/bin/bash\n"
        "libvirt-qemu:x:64055:36:libvirt:/var/lib/libvirt:/usr/sbin/nologin\n",
        mode=0o644,
    ),
    Entry(
        "etc/group",
        text="root:x:0:\ntty:x:5:\nkvm:x:36:qemu\nqemu:x:107:\nlibvirt-qemu:x:64055:\n",
        mode=0o644,
    ),
    shared("etc/libvirt/qemu.conf", "kubevirt/qemu.conf"),
    shared("etc/libvirt/virtqemud.conf", "kubevirt/virtqemud.conf"),
    shared("etc/libvirt/hooks/qemu", "kubevirt/qemu-hook", mode=0o755),
    shared("usr/bin/node-labeller.sh", "kubevirt/node-labeller.sh", mode=0o755),
    Entry("usr/sbin/virtqemud", text=VIRTQEMUD),
    # virt-handler comes here from outside, where an absolute link leads to its own /run.
    Entry("var/run", link="../run"),
)
"""What KubeVirt's images have that Debian's packages don't bring."""


def static(name: str, path: str, *, binary: str = "", user: str = "") -> Image:
    """An image that is one program."""
    return Image(name, (ACCOUNTS, (program(path, binary=binary),)), (path,), user=user)


def kubernetes(component: str) -> Image:
    """A control plane component's image."""
    return static(name_of(component), f"/usr/local/bin/{component}")


def kubevirt(component: str, layers: tuple[Layer, ...], *programs: Entry, user: str = "") -> Image:
    """One of KubeVirt's images."""
    path = f"/usr/bin/{component}"
    name = f"quay.io/kubevirt/{component}:{KUBEVIRT}"
    return Image(name, (*layers, programs or (program(path),)), (path,), user=user)


PACKAGE = Path(kubeception.__file__).parent
"""This very program, as it stands in the checkout or where it is installed."""

PRELOADED = (
    "pause",
    "kube-proxy",
    "flannel",
    "konnectivity-agent",
    "coredns",
    "local-path-provisioner",
    "metrics-server",
)
"""Images that a machine's disk brings along, by their names in `plan.versions`."""

IMAGES = (
    static(name_of("pause"), "/pause", user="65535:65535"),
    Image(
        name_of("etcd"),
        (ACCOUNTS, tuple(program(f"/usr/local/bin/{e}") for e in ("etcd", "etcdctl", "etcdutl"))),
    ),
    kubernetes("kube-apiserver"),
    kubernetes("kube-controller-manager"),
    kubernetes("kube-scheduler"),
    Image(
        name_of("kube-proxy"),
        (*NET, (program("/usr/local/bin/kube-proxy"),)),
        ("/usr/local/bin/kube-proxy",),
    ),
    static(name_of("coredns"), "/coredns", user="65532:65532"),
    static(name_of("konnectivity-server"), "/proxy-server", binary="konnectivity-server"),
    static(name_of("konnectivity-agent"), "/proxy-agent", binary="konnectivity-agent"),
    Image(name_of("flannel"), (*NET, (program("/opt/bin/flanneld"),)), ("/opt/bin/flanneld",)),
    Image(
        name_of("local-path-provisioner"),
        (ACCOUNTS, (program("/usr/bin/local-path-provisioner"),)),
        command=("local-path-provisioner",),
    ),
    static(name_of("metrics-server"), "/metrics-server", user="65534"),
    *(
        static(f"quay.io/metallb/{part}:{METALLB}", f"/{part}", binary=f"metallb-{part}")
        for part in ("controller", "speaker")
    ),
    Image(name_of("busybox"), NET, command=("sh",)),
    kubevirt("virt-operator", (VIRTUAL, QEMU), user="1001"),
    kubevirt("virt-api", (VIRTUAL, QEMU), user="1001"),
    kubevirt("virt-controller", (VIRTUAL, QEMU), user="1001"),
    kubevirt(
        "virt-handler",
        (VIRTUAL, QEMU),
        program("usr/bin/virt-handler"),
        program("usr/bin/virt-chroot"),
    ),
    kubevirt(
        "virt-launcher",
        (VIRTUAL, QEMU),
        program("usr/bin/container-disk"),
        program("usr/bin/virt-freezer"),
        program("usr/bin/virt-launcher", capability=NET_BIND_SERVICE),
        program("usr/bin/virt-launcher-monitor", capability=NET_BIND_SERVICE),
        program("usr/bin/virt-probe"),
        program("usr/bin/virt-tail"),
    ),
    Image(
        name_of("kubeception"),
        (PYTHON, (*ACCOUNTS, *MERGED), Wheels(requirements("kubeception")), package(PACKAGE)),
        command=("python3", "-m", "kubeception"),
        user="65532:65532",
    ),
    Image(
        name_of("node"),
        (guest.NODE, guest.overlay(), guest.programs(), guest.pod()),
        command=("/usr/local/sbin/node-init",),
    ),
    Image(name_of("node-disk"), (Disk(tuple(map(name_of, PRELOADED))),)),
)
"""In an order in which each finds the images it is made from."""

COMPILER = Root(
    "cilium",
    ("bpftool", "clang-19", "conntrack", "iproute2", "ipset", "iptables", "kmod"),
)
CNI_IMAGES: Mapping[Cni, tuple[Image, ...]] = {
    "flannel": (),
    "cilium": (
        Image(
            f"quay.io/cilium/cilium:{CILIUM}",
            (
                COMPILER,
                (
                    program("/usr/bin/cilium-agent"),
                    program("/usr/bin/cilium-dbg"),
                    Entry("usr/bin/cilium", link="cilium-dbg"),
                    Entry("usr/bin/clang", link="clang-19"),
                    program("/opt/cni/bin/cilium-cni"),
                    program("/cni/loopback"),
                    shared("cni-uninstall.sh", "cilium/cni-uninstall.sh", mode=0o755),
                    shared("init-container.sh", "cilium/init-container.sh", mode=0o755),
                    shared("install-plugin.sh", "cilium/install-plugin.sh", mode=0o755),
                    shared("var/lib/cilium/bpf", "cilium/bpf"),
                ),
            ),
        ),
        static(
            f"quay.io/cilium/operator-generic:{CILIUM}",
            "/usr/bin/cilium-operator-generic",
        ),
    ),
}
"""What a lab has besides for its pod network; the agent compiles its programs for the kernel when it starts."""


def images_of(cni: Cni) -> tuple[Image, ...]:
    """All images of a lab with this pod network."""
    return (*IMAGES, *CNI_IMAGES[cni])


@dataclass(frozen=True)
class Publisher:
    """Packs layers into the cache and pushes images to one registry."""

    cache: Path
    registry: str
    report: Report

    def publish(self, image: Image) -> bool:
        """Have the image in the registry; False where it was there already. Raises KubeceptionError."""
        reference = Reference.parse(image.name)
        repository = Repository(self.registry, reference.repository)
        known = [Blob.load(self.record(layer)) for layer in image.layers]
        blobs = [blob for blob in known if blob]
        if len(blobs) == len(known):
            manifest = image.manifest(blobs)
            if repository.digest(reference.tag) == digest_of(manifest):
                return False
        blobs = [self.push(layer, repository) for layer in image.layers]
        config = image.config(blobs)
        if not repository.has(digest_of(config)):
            repository.push(digest_of(config), config, len(config))
        repository.push_manifest(reference.tag, image.manifest(blobs))
        self.report.log(f"pushed {image.name}")
        return True

    def push(self, layer: Layer, repository: Repository) -> Blob:
        """Have a layer in the repository, packed if need be."""
        record = self.record(layer)
        blob = Blob.load(record)
        if blob and repository.has(blob.digest):
            return blob
        blob, file = self.pack(layer)
        blob.save(record)
        if not repository.has(blob.digest):
            repository.push_file(blob.digest, file)
        return blob

    def pack(self, layer: Layer) -> tuple[Blob, Path]:
        """A layer and the file it is in."""
        if isinstance(layer, Root):
            file = archive(layer, self.cache, self.report)
            return packed(file), file
        if isinstance(layer, Wheels):
            file = wheels.archive(layer, self.cache, self.report)
            return packed(file), file
        work = self.cache / "work"
        file = work / "layers" / f"{self.fingerprint(layer)}.tar.zst"
        if isinstance(layer, Disk):
            entries = layer.build(self.cache, self.registry, work / "disk", self.report)
        else:
            entries = resolved(layer, self.cache)
        return pack(entries, file), file

    def record(self, layer: Layer) -> Path:
        """Where the layer's digests are noted."""
        return self.cache / "layers" / f"{self.fingerprint(layer)}.json"

    def fingerprint(self, layer: Layer) -> str:
        """Changes with what the layer would contain. Raises KubeceptionError where a source is missing."""
        if isinstance(layer, Root | Wheels):
            return layer.fingerprint()
        if isinstance(layer, Disk):
            pushed = [self.pushed(image) for image in layer.images]
            own = (*guest.overlay(), *guest.programs())
            return shorten((layer.facts(), pushed, self.fingerprint(own)))
        facts: list[object] = []
        for entry in resolved(layer, self.cache):
            fact: dict[str, object] = asdict(entry)
            if entry.source:
                try:
                    status = entry.source.stat()
                except FileNotFoundError:
                    raise KubeceptionError(
                        f"{entry.source} is missing in the cache",
                        hint="kubeception lab up makes it",
                    ) from None
                fact["source"] = (status.st_size, status.st_mtime_ns)
            facts.append(fact)
        return shorten(facts)

    def pushed(self, name: str) -> str:
        """Digest of an image as the registry has it."""
        reference = Reference.parse(name)
        return Repository(self.registry, reference.repository).digest(reference.tag)


def shorten(facts: object) -> str:
    """A digest of facts, short enough for a file name."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def prepare(cache: Path, report: Report, images: Sequence[Image] = IMAGES) -> None:
    """Have every Debian root filesystem in the cache: it can be done while parts are built."""
    layers = [layer for image in images for layer in image.layers]
    roots = {layer for layer in layers if isinstance(layer, Root)}
    roots |= {root for layer in layers if isinstance(layer, Disk) for root in ROOTS}
    for root in sorted(roots, key=lambda each: each.name):
        archive(root, cache, report)
    for layer in layers:
        if isinstance(layer, Wheels):
            wheels.archive(layer, cache, report)


def publish(cache: Path, registry: str, report: Report, images: Sequence[Image] = IMAGES) -> None:
    """Have all images in the registry at `host:port`; what is there is left alone. Raises KubeceptionError."""
    publisher = Publisher(cache, registry, report)
    for number, image in enumerate(images):
        report.progress(number, len(images), "images")
        publisher.publish(image)
    shutil.rmtree(cache / "work", ignore_errors=True)
