"""A lab from nothing to ready, and back to nothing; each step finds what is there and adds what is missing."""

import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NoReturn

import yaml

from kubeception.errors import KubeceptionError, NotFoundError, UsageError
from kubeception.kube.client import Cluster
from kubeception.lab import addons, cilium, images, kubeadm, parts, preflight, state
from kubeception.lab.addons import Wait
from kubeception.lab.cgroup import Cgroups, has_usable_kvm
from kubeception.lab.kept import fetch, forget_stale
from kubeception.lab.network import Network, close_forwarding, open_forwarding, used_ranges
from kubeception.lab.node import Node, delete_tree, enter
from kubeception.lab.process import Process
from kubeception.lab.registry import Registry
from kubeception.lab.report import Report
from kubeception.lab.repository import Reference, Repository
from kubeception.lab.state import Cni, Lab
from kubeception.plan.versions import image

NAMESPACES = ("kube-system", "kube-flannel", "local-path-storage", "metallb-system")
"""Where the add-ons live."""
HEAVY = ("quay.io/kubevirt/", "ghcr.io/kubeception/")
"""Images that take minutes to build; the cluster comes up meanwhile."""


@dataclass(frozen=True)
class Started:
    """The nodes that were started in this run, and when it began."""

    began: datetime
    names: list[str]


@dataclass(frozen=True)
class Host:
    """One lab at work on this machine."""

    lab: Lab
    report: Report
    cgroups: Cgroups

    @property
    def programs(self) -> Path:
        """The folder of the lab's binaries."""
        return state.cache_folder() / "bin"

    @property
    def network(self) -> Network:
        return Network(self.lab, self.report)

    @property
    def registry(self) -> Registry:
        return Registry(self.lab, self.programs, state.cache_folder() / "registry")

    @cached_property
    def cluster(self) -> Cluster:
        """The lab's cluster, as its admin."""
        return connect(self.lab)

    def node(self, number: int) -> Node:
        """A node by its number."""
        place = self.lab.node(number)
        return Node(place, self.programs, self.cgroups, self.network, self.report)

    def up(self, nodes: int, *, kubevirt: bool, upstream: bool) -> None:
        """All of it, in order; without `kubevirt` a cluster of its own whose hosts run no virtual machines."""
        with self.report.phase("Network and registry"):
            open_forwarding(state.labs_folder() / "forwarding")
            self.network.ensure()
            self.registry.ensure(self.cgroups.make(f"{self.lab.cgroup}/registry"))
        with self.report.phase("Images of Kubernetes"):
            self.publish(heavy=False)
        first, *others = [self.node(number) for number in range(1, nodes + 1)]
        with ThreadPoolExecutor(1) as background:  # one worker: what it is given is done in order
            heavy = background.submit(self.publish, heavy=True, kubevirt=kubevirt)
            with self.report.phase("Control plane"):
                started = self.ensure_control_plane(first, upstream=upstream)
            deploying = background.submit(self.apply_kubevirt) if kubevirt else None
            with self.report.phase("Nodes and add-ons"):
                self.ensure_nodes(first, others, started, upstream=upstream)
            what = "Images of KubeVirt and of nodes" if kubevirt else "Image of nodes"
            with self.report.phase(what):
                heavy.result()
                names = [image.name for image in images.images_of(self.lab.cni)]
                in_parallel([partial(forget_stale, node, names) for node in (first, *others)])
            if deploying:
                with self.report.phase("KubeVirt"):
                    deploying.result()
                    disk = [partial(fetch, node, image("node-disk")) for node in (first, *others)]
                    fetching = background.submit(in_parallel, disk)
                    self.wait("KubeVirt", 900, lambda: addons.kubevirt_missing(self.cluster))
                    fetching.result()

    def publish(self, *, heavy: bool, kubevirt: bool = True) -> None:
        """Have those images in the registry that take a Debian installation, or the others."""
        wanted = images.images_of(self.lab.cni)
        chosen = [each for each in wanted if each.name.startswith(HEAVY) == heavy]
        if heavy and not kubevirt:
            chosen = [each for each in chosen if each.name == image("node")]
        with state.locked(state.cache_folder(), wait=True):
            images.publish(state.cache_folder(), self.lab.registry, self.report, chosen)

    def ensure_control_plane(self, first: Node, *, upstream: bool) -> Started:
        """The first node, its API server answering."""
        began = datetime.now(UTC).replace(microsecond=0)
        names = [first.place.name] if first.ensure(upstream=upstream) else []
        if not first.joined:
            kubeadm.initialise(first)
        self.wait("the API server", 120, self.api_missing)
        return Started(began, names)

    def ensure_nodes(
        self, first: Node, others: list[Node], started: Started, *, upstream: bool
    ) -> None:
        """All nodes Ready, all add-ons up."""
        addons.apply(self.cluster, self.network_objects())
        addons.apply(self.cluster, addons.host_objects(self.lab))
        addons.apply(self.cluster, addons.metallb_objects(self.lab, self.programs))
        fresh = [node.place.name for node in others if node.ensure(upstream=upstream)]
        in_parallel([partial(self.join, node, first) for node in others if not node.joined])
        names = [node.place.name for node in (first, *others)]
        self.wait("the nodes", 120, lambda: addons.unready_nodes(self.cluster, names))
        fresh += started.names
        stale = partial(addons.stale_pods, self.cluster, NAMESPACES, fresh, started.began)
        self.wait("the pods of nodes that were started", 120, stale)
        missing = partial(addons.unready_workloads, self.cluster, NAMESPACES)
        self.wait("the add-ons", 300, missing)

    def network_objects(self) -> list[dict[str, Any]]:
        """The network of the lab's pods."""
        if self.lab.cni == "cilium":
            return cilium.objects(self.lab, self.programs, self.report)
        return addons.flannel_objects(self.lab)

    def apply_kubevirt(self) -> None:
        """Have KubeVirt's operator begin."""
        emulation = not has_usable_kvm()
        objects = addons.kubevirt_objects(self.programs, self.report, emulation=emulation)
        addons.apply(self.cluster, objects)

    def join(self, node: Node, first: Node) -> None:
        """Make a further node a member. kubeadm refuses the name of one that half a join has left Ready."""
        self.cluster.delete("Node", node.place.name)
        kubeadm.join(node, first)

    def api_missing(self) -> list[str]:
        """What the API server says it lacks."""
        return [] if self.cluster.raw("/readyz", seconds=5) == "ok" else ["it is not ready"]

    def wait(self, what: str, seconds: float, missing: Callable[[], list[str]]) -> None:
        """Wait until nothing is missing. Raises WaitTimeoutError."""
        hint = f"look with `kubectl --kubeconfig {self.lab.kubeconfig} get pods -A`; the logs are in {self.lab.logs}"
        Wait(what, seconds, missing, hint).wait(self.report)

    def down(self) -> None:
        """Nothing of it is left on the machine, the cache aside."""
        with self.report.phase("Nodes"):
            in_parallel([self.node(place.number).remove for place in self.lab.nodes()])
        with self.report.phase("Registry, network, files"):
            for record in sorted((self.lab.folder / "processes").glob("*.json")):
                end(record)
            self.network.remove()
            if left := self.cgroups.remove(self.lab.cgroup):
                listed = ", ".join(str(path) for path in left)
                raise KubeceptionError(f"cgroups can't be removed: {listed}", hint="repeat")
            delete_tree(self.lab.folder)


def up(
    name: str,
    nodes: int | None,
    source: parts.Source,
    report: Report,
    *,
    kubevirt: bool = True,
    cni: Cni | None = None,
) -> Lab:
    """The lab of this name, with all it shall have. Without `nodes` and `cni` what it has, or one and flannel."""
    state.check_name(name)
    known = state.load(name)
    if known and cni not in (None, known.cni):
        raise UsageError(
            f"the pods of lab {name} are on {known.cni}, and a lab can't change to {cni}",
            hint=f"leave --cni out, or `kubeception lab down --name {name}` first",
        )
    preflight.check(state.labs_folder(), fresh=known is None)
    with state.locked(state.labs_folder() / name):
        lab = known or state.create(name, used_ranges(report), cni or "flannel")
        for folder in (lab.logs, lab.folder / "processes"):
            folder.mkdir(exist_ok=True)
        has = len(lab.nodes())
        if nodes is not None and nodes < has:
            raise UsageError(
                f"lab {name} has {has} nodes and can't shrink to {nodes}",
                hint=f"`kubeception lab down --name {name}` first",
            )
        with state.locked(state.cache_folder(), wait=True):
            cache = state.cache_folder()
            wanted = (*parts.PARTS, *parts.CNI_PARTS[lab.cni])
            roots = partial(images.prepare, cache, report, images.images_of(lab.cni))
            in_parallel([partial(parts.obtain, source, cache, report, wanted), roots])
        work = Host(lab, report, Cgroups.detect())
        work.up(nodes or has or 1, kubevirt=kubevirt, upstream=source.kind != "build")
    return lab


def down(name: str, report: Report) -> bool:
    """End a lab, whatever state it is in; False when there is none."""
    state.check_name(name)
    folder = state.labs_folder() / name
    if not folder.exists():
        return False
    with state.locked(folder):
        lab = state.load(name) or Lab(
            name, 0, folder
        )  # killed before it had a number: no trace shows one
        Host(lab, report, Cgroups.detect()).down()
    if not state.labs():
        close_forwarding(state.labs_folder() / "forwarding")
        shutil.rmtree(state.labs_folder())
    return True


def purge() -> None:
    """Delete the cache. Raises UsageError while a lab uses it."""
    if using := state.labs():
        raise UsageError(
            f"the cache is used by lab {', '.join(lab.name for lab in using)}",
            hint="`kubeception lab down --name NAME` first",
        )
    delete_tree(state.cache_folder())


def operator_image(lab: Lab, report: Report) -> str:
    """Have the operator's image in a lab's registry as the checkout is now; its name by digest."""
    chosen = [each for each in images.IMAGES if each.name == image("kubeception")]
    with state.locked(state.cache_folder(), wait=True):
        images.publish(state.cache_folder(), lab.registry, report, chosen)
    reference = Reference.parse(chosen[0].name)
    digest = Repository(lab.registry, reference.repository).digest(reference.tag)
    return f"{reference.host}/{reference.repository}@{digest}"


def serves(lab: Lab, server: str) -> bool:
    """Whether a URL is that of the lab's API server."""
    return any(each["cluster"]["server"] == server for each in kubeconfig(lab)["clusters"])


def existing(name: str) -> Lab:
    """A lab that was made. Raises NotFoundError."""
    lab = state.load(name)
    if lab is None:
        others = ", ".join(lab.name for lab in state.labs()) or "none"
        raise NotFoundError(
            f"there is no lab {name}", hint=f"labs here: {others}; `kubeception lab up`"
        )
    return lab


def connect(lab: Lab) -> Cluster:
    """The lab's cluster, as its admin. Raises NotFoundError before there is one."""
    return Cluster(kubeconfig(lab), f"lab {lab.name}")


def kubeconfig(lab: Lab) -> dict[str, Any]:
    """The lab's kubeconfig. Raises NotFoundError before there is one."""
    try:
        document: dict[str, Any] = yaml.safe_load(lab.kubeconfig.read_text())
    except FileNotFoundError:
        raise NotFoundError(
            f"lab {lab.name} has no cluster yet", hint="`kubeception lab up` completes it"
        ) from None
    return document


def shell(lab: Lab, number: int) -> NoReturn:
    """Become a shell inside a node. Raises NotFoundError where there is no such node."""
    if number not in [place.number for place in lab.nodes()]:
        raise NotFoundError(
            f"lab {lab.name} has no node {number}", hint=f"it has {len(lab.nodes())}"
        )
    argv = enter(lab.node(number), ["bash", "-l"] if shutil.which("bash") else ["sh", "-l"])
    os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted


def end(record: Path) -> None:
    """End the process of a record. Raises KubeceptionError."""
    process = Process.load(record)
    if process and not process.end(grace=2):
        raise KubeceptionError(f"process {process.pid} does not end", hint="repeat")
    record.unlink()


def in_parallel(works: Sequence[Callable[[], object]]) -> None:
    """Do all of these at once; raise what the first that failed raised."""
    if works:
        with ThreadPoolExecutor(len(works)) as pool:
            for done in [pool.submit(work) for work in works]:
                done.result()
