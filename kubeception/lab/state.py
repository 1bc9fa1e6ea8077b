"""What a lab is on its machine: a name, a number, and every folder, range and link name that follows from them."""

import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Literal

from kubeception import names
from kubeception.errors import ConflictError, KubeceptionError, UsageError

Cni = Literal["flannel", "cilium"]
"""What the pods' network of a lab is made by; only the latter enforces NetworkPolicies."""
LABS = 16
"""How many labs fit on a machine side by side: the ranges below are laid out for this many."""
NODES = 99
DEFAULT = "lab"
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?")


@dataclass(frozen=True)
class LabNode:
    """One node of a lab: its number counts from 1, and 1 is the control plane."""

    lab: "Lab"
    number: int

    @property
    def name(self) -> str:
        """Host name and name of the Node object."""
        return f"{self.lab.name}-{self.number}"

    @property
    def address(self) -> IPv4Address:
        return self.lab.node_range[self.number + 1]

    @property
    def folder(self) -> Path:
        """Everything the node ever wrote."""
        return self.lab.folder / "nodes" / str(self.number)

    @property
    def record(self) -> Path:
        """Record of its process 1."""
        return self.lab.folder / "processes" / f"node-{self.number}.json"

    @property
    def log(self) -> Path:
        return self.lab.logs / f"node-{self.number}.log"

    @property
    def link(self) -> str:
        """The machine's end of its veth pair."""
        return f"{self.lab.bridge}-{self.number}"

    @property
    def cgroup(self) -> str:
        return f"{self.lab.cgroup}/node-{self.number}"


@dataclass(frozen=True)
class Lab:
    """A lab by name and index. Lab `index` of a machine owns nodes 10.200.I.0/24, pods 10.(208+I).0.0/16 and
    services 10.201.(16·I).0/20; the machine is the first address of the nodes' range.
    """  # noqa: D205 - one sentence of three ranges

    name: str
    index: int
    folder: Path
    """All of its state."""
    cni: Cni = "flannel"

    @property
    def node_range(self) -> IPv4Network:
        return IPv4Network(f"10.200.{self.index}.0/24")

    @property
    def pod_range(self) -> IPv4Network:
        return IPv4Network(f"10.{208 + self.index}.0.0/16")

    @property
    def service_range(self) -> IPv4Network:
        return IPv4Network(f"10.201.{16 * self.index}.0/20")

    @property
    def ranges(self) -> tuple[IPv4Network, ...]:
        return (self.node_range, self.pod_range, self.service_range)

    @property
    def machine(self) -> IPv4Address:
        """The machine's address on the lab's bridge."""
        return self.node_range[1]

    @property
    def balanced(self) -> str:
        """The addresses of its load balancers, of the nodes' range: `first-last`."""
        return f"{self.node_range[200]}-{self.node_range[250]}"

    @property
    def registry(self) -> str:
        """`host:port` of the image registry."""
        return f"{self.machine}:5000"

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.node(1).address}:6443"

    @property
    def context(self) -> str:
        """Name of its context in the user's kubeconfig."""
        return f"kubeception-{self.name}"

    @property
    def bridge(self) -> str:
        """At most 11 octets, so that a link name made from it keeps to the kernel's 15."""
        short = (
            self.name if len(self.name) <= 8 else self.name[:2] + names.digest(self.name, length=6)
        )
        return f"kc-{short}"

    @property
    def table(self) -> str:
        """Name of its nftables table."""
        return f"kubeception-{self.name}"

    @property
    def cgroup(self) -> str:
        return f"kubeception-{self.name}"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def node(self, number: int) -> LabNode:
        return LabNode(self, number)

    def nodes(self) -> list[LabNode]:
        """The nodes that were ever started and not removed, by number."""
        found = (self.folder / "nodes").glob("*") if self.folder.exists() else ()
        return [self.node(number) for number in sorted(int(path.name) for path in found)]


def home(variable: str, default: str) -> Path:
    """A folder of the XDG base directory specification, ours below it."""
    return Path(os.environ.get(variable) or Path.home() / default) / "kubeception"


def cache_folder() -> Path:
    """Parts, images and the registry's blobs: shared by all labs."""
    return home("XDG_CACHE_HOME", ".cache")


def labs_folder() -> Path:
    """The labs of this machine, one folder each."""
    return home("XDG_STATE_HOME", ".local/state") / "labs"


def log_file(name: str) -> Path:
    """What every command on a lab did; it outlives the lab."""
    return home("XDG_STATE_HOME", ".local/state") / f"{name}.log"


def check_name(name: str) -> None:
    """Raise UsageError when a lab can't be called so."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"a lab can't be named {name!r}",
            hint="up to 30 lower case letters, digits and dashes; a letter or digit at both ends",
        )


def load(name: str) -> Lab | None:
    """The lab of this name; None where there is none."""
    check_name(name)
    folder = labs_folder() / name
    try:
        found = json.loads((folder / "lab.json").read_text())
        return Lab(name, int(found["index"]), folder, known_cni(found.get("cni", "flannel")))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise KubeceptionError(
            f"the record of lab {name} is broken: {folder / 'lab.json'}: {error}",
            hint=f"`kubeception lab down --name {name}` removes what is left of it; then start anew",
        ) from error


def known_cni(text: str) -> Cni:
    """One of the choices. Raises ValueError."""
    match text:
        case "flannel" | "cilium":
            return text
    raise ValueError(f"no network is called {text!r}")


def labs() -> list[Lab]:
    """All labs of this machine."""
    found = sorted(labs_folder().glob("*/lab.json"))
    return [lab for path in found if (lab := load(path.parent.name))]


def create(name: str, used: Iterable[IPv4Network], cni: Cni = "flannel") -> Lab:
    """The lab of this name, its record written; ranges that overlap none of `used` nor another lab's."""
    folder = labs_folder() / name
    with locked(labs_folder(), wait=True):
        lab = Lab(name, free_index(name, labs(), used), folder, cni)
        folder.mkdir(exist_ok=True, mode=0o700)
        draft = folder / "lab.new"
        draft.write_text(json.dumps({"name": name, "index": lab.index, "cni": cni}))
        draft.replace(folder / "lab.json")
    return lab


def free_index(name: str, others: Iterable[Lab], used: Iterable[IPv4Network]) -> int:
    """The lowest index whose ranges are free. Raises KubeceptionError."""
    taken = {lab.index for lab in others if lab.name != name}
    held = list(used)
    for index in range(LABS):
        ranges = Lab(name, index, Path()).ranges
        if index not in taken and not any(a.overlaps(b) for a in ranges for b in held):
            return index
    raise KubeceptionError(
        f"no address range is free for lab {name}: {LABS} were tried",
        hint="end a lab (`kubeception lab down --name NAME`); 10.200.0.0-10.223.255.255 are what labs use",
    )


@contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Nobody else changes what is in the folder, which is made. Raises ConflictError when somebody does already."""
    while True:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if same(descriptor, folder):  # else it was deleted before it could be locked
                yield
                return
        except BlockingIOError:
            raise ConflictError(
                f"another command is changing the lab {folder.name}",
                hint="wait until it has ended, then repeat",
            ) from None
        finally:
            os.close(descriptor)


def same(descriptor: int, path: Path) -> bool:
    """Whether a path still leads to what was opened."""
    return path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())
