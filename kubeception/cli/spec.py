"""The TenantCluster and the NodePools that a command's file and options say."""

import copy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import yaml

from kubeception import names
from kubeception.api.v1alpha1 import (
    DEFAULT_VERSION,
    NodePool,
    TenantCluster,
    parse_cluster,
    parse_pool,
)
from kubeception.errors import SpecError, UsageError
from kubeception.plan.control_plane import TAKEN, taken
from kubeception.plan.site import problems as unreachable
from kubeception.plan.versions import check_version

Document = dict[str, Any]
T = TypeVar("T")
SIZE_LIMIT = 2 << 20
"""Letters of a file: some thousand clusters."""


@dataclass(frozen=True)
class SpecArgs:
    """What the options of `create` and `render` say."""

    name: str | None
    namespace: str
    file: str | None = None
    sets: Sequence[str] = ()
    workers: int | None = None
    version: str | None = None
    provider: str | None = None
    cpus: int | None = None
    memory: str | None = None
    control_plane: str | None = None
    exposure: str | None = None


@dataclass(frozen=True)
class Wanted:
    """What is asked for."""

    cluster: TenantCluster
    pools: tuple[NodePool, ...]

    def manifests(self) -> list[Document]:
        """The objects to write."""
        return [self.cluster.manifest(), *(pool.manifest() for pool in self.pools)]


@dataclass
class Problems:
    """Every problem of every document, so that a person sees all of them at once."""

    found: list[str] = field(default_factory=list)

    def catch(self, call: Callable[[], T], prefix: str = "") -> T | None:
        try:
            return call()
        except SpecError as error:
            self.found += [f"{prefix}{problem}" for problem in error.problems]
            return None


def load(
    args: SpecArgs,
    cluster: Mapping[str, Any] | None = None,
    pools: Sequence[Mapping[str, Any]] = (),
) -> Wanted:
    """What file and options say, on top of what exists (`cluster`, `pools`) where there is no file.

    Raises SpecError with every problem, and UsageError when options and file don't go together.
    """
    documents = list(read(args.file)) if args.file else []
    clusters = [d for d in documents if d.get("kind") == "TenantCluster"]
    others = [d for d in documents if d.get("kind") not in ("TenantCluster", "NodePool")]
    problems = Problems(
        [f"kind: {d.get('kind')!r} is not TenantCluster or NodePool" for d in others]
    )
    if len(clusters) > 1:
        raise UsageError(f"{args.file}: has {len(clusters)} TenantClusters; one command makes one")
    base = clusters[0] if clusters else _bare(cluster, "TenantCluster")
    _override(base, args, problems)
    name = base["metadata"].get("name")
    wanted_pools = [d for d in documents if d.get("kind") == "NodePool"]
    if not documents:
        wanted_pools = [_bare(pool, "NodePool") for pool in pools]
    _size(wanted_pools, str(name), args, first=cluster is None and not documents)
    for pool in wanted_pools:
        pool.setdefault("metadata", {}).setdefault("namespace", args.namespace)
    parsed = problems.catch(lambda: parse_cluster(base))
    parsed_pools = [
        problems.catch(partial(parse_pool, pool), f"NodePool {_name(pool)}: ")
        for pool in wanted_pools
    ]
    if parsed is not None:
        problems.catch(lambda: check_version(parsed.spec.version))
        for made in filter(None, parsed_pools):
            if (of := made.spec.cluster_ref.name) != parsed.name:
                problems.found.append(
                    f"NodePool {made.name}: spec.clusterRef.name: is {of}, not {parsed.name}"
                )
        made_pools = [pool for pool in parsed_pools if pool is not None]
        problems.found += unreachable(parsed.spec, made_pools)
        problems.found += [
            f"NodePool {pool.name}: {TAKEN}" for pool in made_pools if taken(parsed, pool)
        ]
    if problems.found or parsed is None:
        raise SpecError(problems.found, what=f"the spec of {name or 'the cluster'}")
    return Wanted(parsed, tuple(filter(None, parsed_pools)))


def read(file: str) -> Iterator[Document]:
    """The objects of a YAML file, or of standard input for `-`."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        if len(text) > SIZE_LIMIT:
            raise UsageError(f"{file}: is larger than {SIZE_LIMIT >> 20} MiB", hint="Split it.")
        found = list(yaml.safe_load_all(text))
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise UsageError(f"{file}: can't be read: {error}") from None
    for document in _each(found):
        if not isinstance(document, dict) or not isinstance(document.get("metadata", {}), dict):
            raise UsageError(f"{file}: has a document that is no Kubernetes object")
        yield document


def _each(documents: Sequence[Any]) -> Iterator[Any]:
    """The documents that say something; those of a List one by one, as `get -o yaml` prints them."""
    for document in documents:
        items = document.get("items") if isinstance(document, dict) else None
        if isinstance(items, list) and document.get("kind") == "List":
            yield from items
        elif document is not None:
            yield document


def _bare(obj: Mapping[str, Any] | None, kind: str) -> Document:
    """What a person said of an object that exists; an empty one where there is none."""
    if obj is None:
        spec = {"version": DEFAULT_VERSION} if kind == "TenantCluster" else {}
        return {"apiVersion": names.API_VERSION, "kind": kind, "metadata": {}, "spec": spec}
    meta = {key: obj["metadata"][key] for key in ("name", "namespace")}
    spec = copy.deepcopy(obj.get("spec", {}))
    return {"apiVersion": obj["apiVersion"], "kind": kind, "metadata": meta, "spec": spec}


def _override(base: Document, args: SpecArgs, problems: Problems) -> None:
    """Put the options into the TenantCluster."""
    meta = base.setdefault("metadata", {})
    if args.name and meta.setdefault("name", args.name) != args.name:
        raise UsageError(f"{args.file}: is of {meta['name']!r}, not of {args.name!r}")
    meta.setdefault("namespace", args.namespace)
    spec = base.setdefault("spec", {})
    if not isinstance(spec, dict):
        return
    if args.version:
        spec["version"] = args.version if args.version.startswith("v") else f"v{args.version}"
    if args.control_plane:
        kind = {"vm": "kubevirt"}.get(args.control_plane, args.control_plane)
        _set(spec, ["controlPlane", "provider"], kind)
    if args.exposure:
        _set(spec, ["exposure", "type"], args.exposure)
    for text in args.sets:
        path, equals, value = text.partition("=")
        steps = path.removeprefix("spec.").split(".")
        if not equals or not all(steps):
            raise UsageError(
                f"--set {text}: is not path=value, such as networking.podCIDR=10.128.0.0/16"
            )
        if not _set(spec, steps, yaml.safe_load(value)):
            problems.found.append(
                f"spec.{'.'.join(steps)}: leads through something that has no fields"
            )


def _set(spec: Document, steps: Sequence[str], value: Any) -> bool:
    place: Any = spec
    for step in steps[:-1]:
        place = place.setdefault(step, {})
        if not isinstance(place, dict):
            return False
    place[steps[-1]] = value
    return True


def _size(pools: list[Document], cluster: str, args: SpecArgs, *, first: bool) -> None:
    """Put --workers, --provider, --cpus and --memory into the one pool they can mean."""
    given = (args.workers, args.provider, args.cpus, args.memory)
    if not pools and (first or any(value is not None for value in given)):
        pool = _bare(None, "NodePool")
        pool["metadata"] = {"name": names.worker_pool(cluster), "namespace": args.namespace}
        pool["spec"] = {"clusterRef": {"name": cluster}, "replicas": 1}
        pools.append(pool)
    if all(value is None for value in given):
        return
    if len(pools) > 1:
        named = [p for p in pools if _name(p) == names.worker_pool(cluster)]
        if len(named) != 1:
            raise UsageError(
                "--workers, --provider, --cpus and --memory mean one pool, and there are several",
                hint="Say it in the NodePools of the file.",
            )
        pools = named
    spec = pools[0].setdefault("spec", {})
    if args.workers is not None:
        spec["replicas"] = args.workers
    if args.provider is not None:
        spec["provider"] = args.provider
    for key, value in (("cpus", args.cpus), ("memory", args.memory)):
        if value is not None:
            spec.setdefault(spec.get("provider", "kubevirt"), {})[key] = value


def _name(document: Mapping[str, Any]) -> str:
    return str(document.get("metadata", {}).get("name", "?"))
