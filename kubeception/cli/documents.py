"""Files of TenantClusters and NodePools: any number of documents, with all their problems at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from kubeception.api.v1alpha1 import NodePool, TenantCluster, parse_cluster, parse_pool
from kubeception.cli.spec import Problems, read
from kubeception.errors import SpecError, UsageError
from kubeception.plan.versions import check_version

if TYPE_CHECKING:
    from kubeception.kube.client import Cluster

KINDS = ("TenantCluster", "NodePool")


@dataclass(frozen=True)
class Documents:
    """What files say."""

    clusters: tuple[TenantCluster, ...]
    pools: tuple[NodePool, ...]

    def names(self) -> list[tuple[str, str]]:
        """(namespace, name) of every tenant cluster that is meant, its own or by a pool."""
        own = [(c.namespace, c.name) for c in self.clusters]
        theirs = [(p.namespace, p.spec.cluster_ref.name) for p in self.pools]
        return list(dict.fromkeys([*own, *theirs]))

    def manifests(self) -> list[dict[str, Any]]:
        """The objects to write, clusters first."""
        return [*(c.manifest() for c in self.clusters), *(p.manifest() for p in self.pools)]


def load(files: Sequence[str], namespace: str) -> Documents:
    """All documents of all files; `-` is standard input.

    Raises SpecError with every problem of all of them, and UsageError for a file that is none of ours.
    """
    problems = Problems()
    clusters: list[TenantCluster | None] = []
    pools: list[NodePool | None] = []
    seen: set[tuple[str, str, str]] = set()
    for file in files:
        for document in read(file):
            kind, meta = document.get("kind"), document.setdefault("metadata", {})
            if kind not in KINDS:
                problems.found.append(f"{file}: kind: {kind!r} is not TenantCluster or NodePool")
                continue
            meta.setdefault("namespace", namespace)
            name = str(meta.get("name", "?"))
            key = (str(kind), str(meta["namespace"]), name)
            if key in seen:
                problems.found.append(f"{kind} {name}: metadata.name: is there twice")
            seen.add(key)
            prefix = f"{kind} {name}: "
            if kind == "NodePool":
                pools.append(problems.catch(partial(parse_pool, document), prefix))
                continue
            parsed = problems.catch(partial(parse_cluster, document), prefix)
            if parsed is not None:
                problems.catch(partial(check_version, parsed.spec.version), prefix)
            clusters.append(parsed)
    if problems.found:
        raise SpecError(problems.found, what=", ".join(files))
    if not clusters and not pools:
        raise UsageError(f"{', '.join(files)}: has no TenantCluster and no NodePool")
    return Documents(tuple(filter(None, clusters)), tuple(filter(None, pools)))


def check(host: "Cluster", documents: Documents) -> None:
    """Let the host say what is wrong with the objects, all of them, before one is written.

    Raises SpecError; a cluster that a pool names must be among the documents or exist.
    """
    from kubeception.errors import KubeceptionError

    found = []
    own = {(c.namespace, c.name) for c in documents.clusters}
    for pool in documents.pools:
        of = (pool.namespace, pool.spec.cluster_ref.name)
        if of not in own and host.get("TenantCluster", of[1], of[0]) is None:
            found.append(f"NodePool {pool.name}: spec.clusterRef.name: there is no {of[1]}")
    for manifest in documents.manifests():
        try:
            host.apply(manifest, dry_run=True)
        except KubeceptionError as error:
            found.append(f"{manifest['kind']} {manifest['metadata']['name']}: {error.message}")
    if found:
        raise SpecError(found, what="what was asked for")
