"""What a pod is to its node: pure."""

from collections.abc import Iterable
from typing import Final

from kubeception.plan.facts import Object

CORDONED: Final[Object] = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
"""The taint of a cordoned node: who tolerates it comes back at once."""


def of_daemonset(pod: Object) -> bool:
    """Whether every node has one like it."""
    return any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences", ()))


def stays(pod: Object) -> bool:
    """Whether it ends with its node and nothing is lost."""
    mirror = "kubernetes.io/config.mirror" in pod["metadata"].get("annotations", {})
    return mirror or of_daemonset(pod)


def ended(pod: Object) -> bool:
    """Whether it has done what it was for, or failed to."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def tolerates(pod: Object, taints: Iterable[Object]) -> bool:
    """Whether a pod may run on a node with these taints, as the scheduler has it."""
    known = pod.get("spec", {}).get("tolerations", ())
    hard = [taint for taint in taints if taint["effect"] in ("NoSchedule", "NoExecute")]
    return all(any(_fits(toleration, taint) for toleration in known) for taint in hard)


def _fits(toleration: Object, taint: Object) -> bool:
    """Without a key Exists is any taint, without an effect any effect."""
    if toleration.get("effect", "") not in ("", taint["effect"]):
        return False
    key, exists = toleration.get("key", ""), toleration.get("operator") == "Exists"
    if key not in ("", taint["key"]) or (not key and not exists):
        return False
    return exists or toleration.get("value", "") == taint.get("value", "")
