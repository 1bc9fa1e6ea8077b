"""Emptying a node: which pods must leave it, and what keeps one there."""

from collections.abc import Iterable
from dataclasses import dataclass

from kubeception.engine.pods import CORDONED, ended, stays, tolerates
from kubeception.errors import ApiError, ConflictError
from kubeception.kube.client import Cluster
from kubeception.plan.facts import Object


def leaves(pod: Object) -> bool:
    """Whether a pod must leave before its node goes.

    Those of DaemonSets, static ones, ended ones and those that tolerate a cordoned node need not.
    """
    return not (stays(pod) or ended(pod) or tolerates(pod, [CORDONED]))


@dataclass(frozen=True)
class Kept:
    """A pod that is still there."""

    message: str
    refused: bool = False
    """Whether it may not leave; else it is on its way."""


def evict(tenant: Cluster, pods: Iterable[Object]) -> list[Kept]:
    """Ask each pod to leave; those that are still there, the ones that may not leave first.

    Raises ApiError when the API server doesn't answer.
    """
    return sorted((_evict(tenant, pod) for pod in pods), key=lambda kept: not kept.refused)


def _evict(tenant: Cluster, pod: Object) -> Kept:
    meta = pod["metadata"]
    name = f"pod {meta['namespace']}/{meta['name']}"
    if "deletionTimestamp" in meta:
        return Kept(f"{name} is ending")
    try:
        tenant.evict(pod)
    except ConflictError:
        pass  # another pod of that name by now
    except ApiError as error:
        if error.status == 0:
            raise
        return Kept(f"{name}: {'; '.join(error.causes) or error.message}", refused=True)
    return Kept(f"{name} is ending")
