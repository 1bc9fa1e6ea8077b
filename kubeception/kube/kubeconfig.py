"""Kubeconfig files: read as kubectl reads them, and written without ever losing what is there."""

import base64
import copy
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from kubeception import names
from kubeception.errors import NotFoundError, UsageError

Document = dict[str, Any]
LISTS = ("clusters", "contexts", "users")
SIZE_LIMIT = 8 << 20
"""Octets: some thousand clusters."""
FILE_KEYS = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key", "tokenFile")),
}


@dataclass(frozen=True)
class Kubeconfig:
    """One or more kubeconfig files, merged: of two entries of one name the first counts."""

    document: Mapping[str, Any]
    paths: tuple[Path, ...] = ()

    @property
    def current(self) -> str:
        """The current context; empty when none is set."""
        return self.document.get("current-context") or ""

    def context(self, name: str) -> Mapping[str, Any] | None:
        """The body of a context."""
        found = _find(self.document, "contexts", name)
        return found and found.get("context")

    def select(self, name: str) -> Document:
        """A kubeconfig of this context only.

        Raises NotFoundError when it, its cluster or its user is missing.
        """
        context = self.context(name)
        where = ", ".join(str(path) for path in self.paths) or "the kubeconfig"
        if context is None:
            known = (
                ", ".join(entry["name"] for entry in self.document.get("contexts") or ()) or "none"
            )
            raise NotFoundError(f"{where}: no context {name!r}", hint=f"Contexts there: {known}.")
        cluster = _find(self.document, "clusters", context.get("cluster", ""))
        user = _find(self.document, "users", context.get("user", ""))
        if cluster is None or (context.get("user") and user is None):
            missing = "cluster" if cluster is None else "user"
            raise NotFoundError(f"{where}: context {name!r} names a {missing} that isn't there")
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [cluster],
            "contexts": [{"name": name, "context": dict(context)}],
            "users": [user] if user else [],
        }


def default_paths() -> tuple[Path, ...]:
    """What kubectl would read: the files of $KUBECONFIG, or else ~/.kube/config."""
    listed = [entry for entry in os.environ.get("KUBECONFIG", "").split(os.pathsep) if entry]
    return tuple(Path(entry).expanduser() for entry in listed) or (
        Path.home() / ".kube" / "config",
    )


def load(paths: tuple[Path, ...]) -> Kubeconfig:
    """These files merged; files that don't exist are skipped, paths in them made absolute.

    Raises UsageError for a file that isn't a kubeconfig.
    """
    merged: Document = {"current-context": "", **{key: [] for key in LISTS}}
    for path in paths:
        if not path.exists():
            continue
        document = _absolute(_read(path), path.parent)
        merged["current-context"] = (
            merged["current-context"] or document.get("current-context") or ""
        )
        for key in LISTS:
            known = {entry["name"] for entry in merged[key]}
            merged[key] += [entry for entry in document[key] if entry["name"] not in known]
    return Kubeconfig(merged, paths)


@dataclass(frozen=True)
class Origin:
    """What a context of ours remembers: its tenant, the host that tenant lives in, what was current before."""

    cluster: str = ""
    """`namespace/name` of the TenantCluster, with the names on the way for one in another; empty for a lab's."""
    uid: str = ""
    """Of the TenantCluster."""
    kubeconfig: str = ""
    """File of the host's context; empty: the files kubectl reads."""
    context: str = ""
    previous: str = ""
    lineage: str = ""
    """The uids of the tenants it is in, by commas."""

    def ends_with(self, uid: str) -> bool:
        """Whether it is of this tenant, or of one in it."""
        return uid in (self.uid, *self.lineage.split(","))

    def extension(self) -> Document:
        """As an entry of a context's `extensions`."""
        body = {key: value for key, value in vars(self).items() if value}
        return {"name": names.GROUP, "extension": body}


def origin(context: Mapping[str, Any] | None) -> Origin | None:
    """Where a context comes from when this program wrote it, else None."""
    for entry in (context or {}).get("extensions") or ():
        if entry.get("name") == names.GROUP:
            body = entry.get("extension") or {}
            return Origin(
                **{k: str(v) for k, v in body.items() if k in Origin.__dataclass_fields__}
            )
    return None


def merge(path: Path, document: Mapping[str, Any], comes_from: Origin) -> None:
    """Put the one context of `document` into the file and make it current.

    Entries of the same names are replaced if they are of the same tenant; else it is a UsageError.
    """

    def change(there: Document) -> None:
        name = document["current-context"]
        old = (_find(there, "contexts", name) or {}).get("context")
        known = origin(old)
        if old is not None and known is None:
            raise _taken(path, f"context {name!r} is there and not ours")
        if known is not None and known.cluster != comes_from.cluster:
            raise _taken(path, f"context {name!r} belongs to tenant cluster {known.cluster}")
        for key in ("clusters", "users"):
            for entry in document[key]:
                mine_already = old is not None and old.get(key[:-1]) == entry["name"]
                if _find(there, key, entry["name"]) and not mine_already:
                    raise _taken(path, f"{key[:-1]} {entry['name']!r} is there and not ours")
        current = there.get("current-context") or ""
        before = (origin(old) or Origin()).previous if current == name else current
        mine = copy.deepcopy(dict(document))
        for entry in mine["contexts"]:
            remembered = replace(comes_from, previous=before)
            entry["context"]["extensions"] = [remembered.extension()]
        for key in LISTS:
            fresh = {entry["name"]: entry for entry in mine[key]}
            there[key] = [fresh.pop(entry["name"], entry) for entry in there[key]]
            there[key] += fresh.values()
        there["current-context"] = name

    edit(path, change)


def remove(path: Path, gone: Callable[[Origin], bool]) -> bool:
    """Take those contexts of ours that are `gone` out of the file, with their users and clusters.

    What was current before them becomes current again if it is still there. True if there was one.
    """
    removed: dict[str, str] = {}

    def change(there: Document) -> None:
        for entry in list(there["contexts"]):
            known = origin(entry.get("context"))
            if known is None or not gone(known):
                continue
            removed[entry["name"]] = known.previous
            there["contexts"].remove(entry)
            for key, reference in (("clusters", "cluster"), ("users", "user")):
                name = entry["context"].get(reference)
                if not any(c["context"].get(reference) == name for c in there["contexts"]):
                    there[key] = [other for other in there[key] if other["name"] != name]
        current, before = there.get("current-context") or "", dict(removed)
        if current in before:
            while current in before:
                current = before.pop(current)
            there["current-context"] = current if _find(there, "contexts", current) else ""

    if path.exists():
        edit(path, change)
    return bool(removed)


def edit(path: Path, change: Callable[[Document], None]) -> None:
    """Read the file, change it, write it: whole or not at all, mode 0600, one writer at a time, links kept."""
    target = Path(os.path.realpath(path))
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(target):
        document = _read(target) if target.exists() else _empty()
        before = copy.deepcopy(document)
        change(document)
        if document == before:
            return
        write(target, document)


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write a kubeconfig, whole or not at all, readable by its owner only."""
    write_text(path, yaml.safe_dump(dict(document), sort_keys=False))


def write_text(path: Path, text: str) -> None:
    """The same for what is text already."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@dataclass
class Files:
    """Data that a library wants as files, in memory: no key ever touches a disk."""

    descriptors: list[int] = field(default_factory=list)

    def path(self, data: bytes) -> str:
        """A path that reads as `data` while this process lives and the files aren't closed."""
        descriptor = os.memfd_create("kubeception", os.MFD_CLOEXEC)
        os.write(descriptor, data)
        self.descriptors.append(descriptor)
        return f"/proc/self/fd/{descriptor}"

    def close(self) -> None:
        while self.descriptors:
            os.close(self.descriptors.pop())


def with_files(document: Mapping[str, Any], files: Files) -> Document:
    """The same kubeconfig with each `…-data` entry turned into a path of `files`."""
    result = copy.deepcopy(dict(document))
    for key, (body, file_keys) in FILE_KEYS.items():
        for entry in result.get(key) or ():
            for file_key in file_keys:
                if data := entry[body].pop(f"{file_key}-data", None):
                    entry[body][file_key] = files.path(base64.b64decode(data))
    return result


def _taken(path: Path, what: str) -> UsageError:
    hint = "Rename it, or keep them apart: --no-merge, then `kubeception kubeconfig`."
    return UsageError(f"{path}: {what}", hint=hint)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer of `path` at a time; kubectl's own lock file is respected by name only, so ours lies beside it."""
    lock = path.with_name(f".{path.name}.kubeception-lock")
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _empty() -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [],
        "contexts": [],
        "users": [],
        "current-context": "",
    }


def _read(path: Path) -> Document:
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise UsageError(f"{path}: is larger than {SIZE_LIMIT >> 20} MiB: not a kubeconfig")
        document = yaml.load(path.read_text(), _Loader)  # noqa: S506  # a safe loader
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: can't be read as a kubeconfig: {error}") from None
    document = _empty() if document is None else document
    if not isinstance(document, dict):
        raise UsageError(f"{path}: is not a kubeconfig")
    for key in LISTS:
        document[key] = document.get(key) or []
        if not isinstance(document[key], list) or not all(
            isinstance(e, dict) and e.get("name") and _body(e, key) for e in document[key]
        ):
            raise UsageError(f"{path}: {key} is not a list of named entries")
    return document


def _body(entry: Mapping[str, Any], key: str) -> bool:
    return isinstance(entry.setdefault(key[:-1], {}), dict) if isinstance(entry, dict) else False


def _find(document: Mapping[str, Any], key: str, name: str) -> Document | None:
    return next((e for e in document.get(key) or () if e.get("name") == name), None)


def _absolute(document: Document, folder: Path) -> Document:
    for key, (body, file_keys) in FILE_KEYS.items():
        for entry in document[key]:
            for file_key in file_keys:
                if value := entry[body].get(file_key):
                    entry[body][file_key] = str(folder.absolute() / value)
    return document


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
