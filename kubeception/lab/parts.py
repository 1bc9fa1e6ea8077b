"""The programs of the lab: which, at which versions, and how they come into the cache."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kubeception.errors import KubeceptionError, UsageError
from kubeception.lab import debian, toolchain
from kubeception.lab.build import Builder
from kubeception.lab.part import Cache, Download, Part
from kubeception.lab.release import Releases, UnavailableError, place
from kubeception.lab.report import Report
from kubeception.lab.state import Cni

KUBERNETES = "v1.36.3"
ETCD = "v3.6.16"
CONTAINERD = "v2.2.1"
CNI = "v1.9.1"
COREDNS = "v1.14.0"
KONNECTIVITY = "v0.34.0"
FLANNEL = "v0.28.4"
REGISTRY = "v3.0.0"
CRANE = "v0.20.6"
METRICS_SERVER = "v0.9.0"
LOCAL_PATH_PROVISIONER = "v0.0.30"
KUBEVIRT = "v1.7.0"
METALLB = "v0.15.2"
CILIUM = "v1.20.2"
CILIUM_SAYS = "github.com/cilium/cilium/pkg/version.ciliumVersion"
"""Version, revision and time, all three or it takes none."""
HELM = "v3.22.0"

GIB = 1 << 30
BINARIES = 1.5
"""GiB of finished binaries."""

COMMANDS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubeadm",
    "kubectl",
    "kubelet",
)
PLUGINS = (
    "bandwidth",
    "bridge",
    "firewall",
    "host-local",
    "loopback",
    "portmap",
    "ptp",
    "tuning",
)
KUBEVIRT_COMMANDS = (
    "resource-generator",
    "virt-api",
    "virt-chroot",
    "virt-controller",
    "virt-freezer",
    "virt-handler",
    "virt-launcher",
    "virt-launcher-monitor",
    "virt-operator",
    "virt-probe",
    "virt-tail",
)


def kubernetes_version_flags() -> tuple[str, ...]:
    """What the Kubernetes commands call themselves; without it kubeadm and kubelet say v0.0.0."""
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    values = {
        "gitVersion": KUBERNETES,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "unknown",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return tuple(f"-X={package}.{k}={v}" for package in packages for k, v in values.items())


def kubernetes_download(command: str) -> Download:
    """A Kubernetes command as dl.k8s.io serves it."""
    url = f"https://dl.k8s.io/release/{KUBERNETES}/bin/linux/amd64/{command}"
    return Download(url, f"{url}.sha256", {"": command})


def github(project: str, version: str, archive: str, checksums: str, **takes: str) -> Download:
    """An archive of a GitHub release."""
    base = f"https://github.com/{project}/releases/download/{version}"
    return Download(f"{base}/{archive}", f"{base}/{checksums}", takes)


def archived(prefix: str, *binaries: str) -> dict[str, str]:
    """Binaries below a folder of an archive."""
    return {f"{prefix}{binary}": binary for binary in binaries}


PARTS = (
    Part(
        name="kubernetes",
        version=KUBERNETES,
        disk=3.5,
        binaries=COMMANDS,
        downloads=tuple(map(kubernetes_download, COMMANDS)),
        ldflags=kubernetes_version_flags(),
    ),
    Part(
        name="etcd",
        version=ETCD,
        disk=0.6,
        binaries=("etcd", "etcdctl", "etcdutl"),
        renames={"server": "etcd"},
        downloads=(
            github(
                "etcd-io/etcd",
                ETCD,
                f"etcd-{ETCD}-linux-amd64.tar.gz",
                "SHA256SUMS",
                **archived(f"etcd-{ETCD}-linux-amd64/", "etcd", "etcdctl", "etcdutl"),
            ),
        ),
    ),
    Part(
        name="crane",
        version=CRANE,
        disk=0.1,
        binaries=("crane",),
        downloads=(
            github(
                "google/go-containerregistry",
                CRANE,
                "go-containerregistry_Linux_x86_64.tar.gz",
                "checksums.txt",
                crane="crane",
            ),
        ),
    ),
    Part(
        name="registry",
        version=REGISTRY,
        disk=0.8,
        binaries=("registry",),
        downloads=(
            github(
                "distribution/distribution",
                REGISTRY,
                f"registry_{REGISTRY[1:]}_linux_amd64.tar.gz",
                f"registry_{REGISTRY[1:]}_linux_amd64.tar.gz.sha256",
                registry="registry",
            ),
        ),
    ),
    Part(
        name="containerd",
        version=CONTAINERD,
        disk=0.7,
        binaries=("containerd", "containerd-shim-runc-v2", "ctr"),
        ldflags=(f"-X=github.com/containerd/containerd/v2/version.Version={CONTAINERD}",),
        downloads=(
            github(
                "containerd/containerd",
                CONTAINERD,
                f"containerd-static-{CONTAINERD[1:]}-linux-amd64.tar.gz",
                f"containerd-static-{CONTAINERD[1:]}-linux-amd64.tar.gz.sha256sum",
                **archived("bin/", "containerd", "containerd-shim-runc-v2", "ctr"),
            ),
        ),
    ),
    Part(
        name="cni",
        version=CNI,
        disk=0.1,
        binaries=PLUGINS,
        downloads=(
            github(
                "containernetworking/plugins",
                CNI,
                f"cni-plugins-linux-amd64-{CNI}.tgz",
                f"cni-plugins-linux-amd64-{CNI}.tgz.sha256",
                **archived("", *PLUGINS),
            ),
        ),
    ),
    Part(
        name="pause",
        version="1",
        disk=0.0,
        binaries=("pause",),
        c={"pause": "pause.c"},
        debian=debian.C,
    ),
    Part(
        name="kubevirt",
        version=KUBEVIRT,
        disk=3.0,
        binaries=(*KUBEVIRT_COMMANDS, "container-disk"),
        module="kubevirt.io/kubevirt",
        files={
            "cmd/virt-launcher/qemu.conf": "kubevirt/qemu.conf",
            "cmd/virt-launcher/virtqemud.conf": "kubevirt/virtqemud.conf",
            "cmd/virt-launcher/qemu": "kubevirt/qemu-hook",
            "cmd/virt-launcher/node-labeller/node-labeller.sh": "kubevirt/node-labeller.sh",
        },
        c={"container-disk": "cmd/container-disk-v2alpha/main.c"},
        cgo=True,
        ldflags=(f"-X=kubevirt.io/client-go/version.gitVersion={KUBEVIRT}",),
        debian=(*debian.C, "libvirt-dev", "pkg-config"),
    ),
    Part(
        name="metallb",
        version=METALLB,
        disk=0.3,
        binaries=("metallb-controller", "metallb-speaker"),
        renames={"controller": "metallb-controller", "speaker": "metallb-speaker"},
        module="go.universe.tf/metallb",
        files={"config/manifests/metallb-native.yaml": "metallb.yaml"},
    ),
    Part(
        name="coredns",
        version=COREDNS,
        disk=1.5,
        binaries=("coredns",),
        downloads=(
            github(
                "coredns/coredns",
                COREDNS,
                f"coredns_{COREDNS[1:]}_linux_amd64.tgz",
                f"coredns_{COREDNS[1:]}_linux_amd64.tgz.sha256",
                coredns="coredns",
            ),
        ),
    ),
    Part(
        name="konnectivity",
        version=KONNECTIVITY,
        disk=0.6,
        binaries=("konnectivity-agent", "konnectivity-server"),
        renames={"agent": "konnectivity-agent", "server": "konnectivity-server"},
    ),
    Part(
        name="flannel",
        version=FLANNEL,
        disk=0.6,
        binaries=("flanneld",),
        renames={"flannel": "flanneld"},
        cgo=True,
        ldflags=(
            f"-X=github.com/flannel-io/flannel/pkg/version.Version={FLANNEL}",
            "-linkmode=external",
            "-extldflags=-static",
        ),
        tags=("netgo", "osusergo"),
        debian=debian.C,
    ),
    Part(
        name="local-path-provisioner",
        version=LOCAL_PATH_PROVISIONER,
        disk=0.6,
        binaries=("local-path-provisioner",),
        ldflags=(f"-X=main.VERSION={LOCAL_PATH_PROVISIONER}",),
    ),
    Part(name="metrics-server", version=METRICS_SERVER, disk=1.0, binaries=("metrics-server",)),
)
"""What a lab is made of."""

CONFORMANCE = Part(
    name="conformance",
    version=KUBERNETES,
    disk=2.5,
    binaries=("e2e.test", "ginkgo"),
    tests={"e2e.test": "k8s.io/kubernetes/test/e2e"},
    downloads=(
        Download(
            f"https://dl.k8s.io/release/{KUBERNETES}/kubernetes-test-linux-amd64.tar.gz",
            f"https://dl.k8s.io/release/{KUBERNETES}/kubernetes-test-linux-amd64.tar.gz.sha256",
            archived("kubernetes/test/bin/", "e2e.test", "ginkgo"),
        ),
    ),
    ldflags=kubernetes_version_flags(),
)
"""The tests of Kubernetes itself and what runs many of them at once: for who asks for them, and in no lab."""

CNI_PARTS: Mapping[Cni, tuple[Part, ...]] = {
    "flannel": (),
    "cilium": (
        Part(
            name="helm",
            version=HELM,
            disk=1.0,
            binaries=("helm",),
            downloads=(
                Download(
                    f"https://get.helm.sh/helm-{HELM}-linux-amd64.tar.gz",
                    f"https://get.helm.sh/helm-{HELM}-linux-amd64.tar.gz.sha256sum",
                    archived("linux-amd64/", "helm"),
                ),
            ),
        ),
        Part(
            name="cilium",
            version=CILIUM,
            disk=4.0,
            binaries=("cilium-agent", "cilium-cni", "cilium-dbg", "cilium-operator-generic"),
            renames={"daemon": "cilium-agent", "operator": "cilium-operator-generic"},
            module="github.com/cilium/cilium",
            files={
                "bpf": "cilium/bpf",
                "images/cilium/init-container.sh": "cilium/init-container.sh",
                "install/kubernetes/cilium": "cilium/chart",
                "plugins/cilium-cni/cni-uninstall.sh": "cilium/cni-uninstall.sh",
                "plugins/cilium-cni/install-plugin.sh": "cilium/install-plugin.sh",
            },
            ldflags=(f"'-X={CILIUM_SAYS}={CILIUM[1:]} unknown 1970-01-01T00:00:00Z'",),
            tags=("osusergo", "ipam_provider_operator"),
        ),
    ),
}
"""What a lab needs besides for its pod network. flanneld is a tenant's, too, and so among `PARTS`."""


@dataclass(frozen=True)
class Source:
    """Where parts come from that the cache lacks: a folder if given, then `kind`."""

    kind: Literal["auto", "release", "build"] = "auto"
    """`auto` builds what it can't download; `release` builds only what nobody publishes."""
    folder: Path | None = None
    """Binaries somebody put there, by their names."""
    releases: Releases = field(default_factory=Releases)

    @classmethod
    def parse(cls, text: str) -> "Source":
        """`auto`, `release`, `build` or a folder. Raises UsageError."""
        releases = Releases(mirror=os.environ.get("KUBECEPTION_RELEASES", ""))
        match text:
            case "auto" | "release" | "build":
                return cls(kind=text, releases=releases)
            case _ if Path(text).is_dir():
                return cls(folder=Path(text), releases=releases)
        message = f"--parts {text}: neither auto, release nor build, nor a folder"
        raise UsageError(message, hint="give one of them, or a folder that holds the binaries")


def obtain(source: Source, cache: Path, report: Report, wanted: Sequence[Part] = PARTS) -> Path:
    """Complete the cache's bin folder, and return it. Raises KubeceptionError.

    A part that is in place is left alone, and each finished one stays, so a killed run goes on where it was.
    """
    store = Cache(cache)
    store.folder.mkdir(parents=True, exist_ok=True)
    lacking = [part for part in wanted if not store.holds(part)]
    if source.folder:
        lacking = [part for part in lacking if not copied(part, source.folder, store, report)]
    published = [part for part in lacking if part.downloads]
    if published and source.kind != "build":
        done = downloaded(published, source, store, report)
        lacking = [part for part in lacking if part not in done]
    if lacking:
        build(lacking, source.releases, store, report)
    shutil.rmtree(store.work, ignore_errors=True)
    return store.bin


def copied(part: Part, folder: Path, store: Cache, report: Report) -> bool:
    """Whether the folder had the whole part, which is in the cache now."""
    paths = [folder / name for name in (*part.binaries, *part.files.values())]
    if absent := [path.name for path in paths if not path.exists()]:
        report.log(f"{folder} lacks {', '.join(absent)} of {part.name}")
        return False
    for name in part.binaries:
        store.bin.mkdir(parents=True, exist_ok=True)
        place((folder / name).open("rb"), store.bin / name)
    for name in part.files.values():
        store.share_copy(folder / name, name)
    store.seal(part, str(folder))
    return True


def downloaded(parts: Sequence[Part], source: Source, store: Cache, report: Report) -> list[Part]:
    """Those parts that were downloaded. What can't be had is left out in `auto` and raised in `release`."""
    if source.kind == "auto" and not source.releases.reachable():
        report.log("no release downloads from here: building from source")
        return []
    done = []
    for part in parts:
        try:
            with report.phase(f"Downloading {part.name} {part.version}"):
                for download in part.downloads:
                    source.releases.fetch(download, store.bin, store.work, report)
                store.seal(part, "release")
        except UnavailableError as error:
            if source.kind == "release":
                raise
            report.log(f"{error.message}: building {part.name} from source")
            continue
        done.append(part)
    return done


def build(parts: Sequence[Part], releases: Releases, store: Cache, report: Report) -> None:
    """Build parts one after the other; the disk they need is checked before. Raises KubeceptionError."""
    need_disk(parts, store)
    packages = {package for part in parts for package in part.debian}
    if debian.missing(packages):
        with report.phase("Installing compilers"):
            debian.install(packages, report)
    go = toolchain.go(store.work, releases, report) if any(part.go for part in parts) else ""
    builder = Builder(store, report, go)
    builder.prefetch(parts)
    for number, part in enumerate(parts):
        report.progress(number, len(parts), "parts built")
        with report.phase(f"Building {part.name} {part.version}"):
            builder.build(part)


def need_disk(parts: Sequence[Part], store: Cache) -> None:
    """Refuse to begin what would fill the disk. Raises KubeceptionError."""
    needed = BINARIES + sum(part.disk for part in parts)
    free = shutil.disk_usage(store.folder).free / GIB
    if free < needed:
        raise KubeceptionError(
            f"building {len(parts)} parts takes {needed:.0f} GiB of disk while it runs,"
            f" and {store.folder} has {free:.1f} GiB free",
            hint="free some, or set XDG_CACHE_HOME to a folder on a larger disk",
        )
