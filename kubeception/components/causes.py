"""Why a workload isn't ready, as its pods, its claims and the cluster's own words tell. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from kubeception.api.reasons import Reason
from kubeception.components.base import Readiness
from kubeception.plan.facts import Object

PATIENCE: Final = timedelta(seconds=10)
"""Age from which a pod that is not scheduled is worth a word: a volume and the scheduler take a moment."""
NOT_PULLED: Final = frozenset(
    {
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
    }
)
NOT_STARTED: Final = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)


def cause(
    pods: Iterable[Object], claims: Iterable[Object], events: Iterable[Object], now: datetime
) -> Readiness | None:
    """What keeps these pods of one workload from being ready; None when that isn't known yet.

    `events` are Warnings about them and their claims. Texts are as they were found, of any length.
    """
    claimed = {claim["metadata"]["name"]: claim for claim in claims}
    said = {event["involvedObject"]["name"]: str(event.get("message", "")) for event in events}
    for pod in pods:
        for found in (*_containers(pod), *_scheduling(pod, claimed, said, now)):
            name = pod["metadata"]["name"]
            return Readiness.waiting(f"pod {name}: {found.message}", found.reason)
    return None


def refusal(workload: Object, events: Iterable[Object]) -> Readiness | None:
    """Why a workload's pods aren't even made: a quota, or what admission says.

    A Deployment says so itself; of a StatefulSet and a DaemonSet, Events with the reason FailedCreate do.
    """
    said = [
        str(condition.get("message", ""))
        for condition in workload.get("status", {}).get("conditions") or ()
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True"
    ]
    name = workload["metadata"]["name"]
    said += [
        str(event.get("message", ""))
        for event in events
        if event.get("reason") == "FailedCreate" and event["involvedObject"].get("name") == name
    ]
    if not said:
        return None
    reason = Reason.QUOTA_EXCEEDED if "exceeded quota" in said[-1] else Reason.POD_REFUSED
    return Readiness.waiting(f"its pod is refused: {said[-1]}", reason)


def _containers(pod: Object) -> Iterator[Readiness]:
    status: Mapping[str, Any] = pod.get("status", {})
    for container in (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ):
        name, state = container["name"], container.get("state") or {}
        waiting = state.get("waiting") or {}
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        last = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
        if reason in NOT_PULLED:
            image = container.get("image", "")
            text = f"image {image} of container {name}: {reason}: {message}"
            yield Readiness.waiting(text.removesuffix(": "), Reason.IMAGE_NOT_PULLED)
        elif reason in NOT_STARTED:
            text = f"container {name}: {reason}: {message}"
            yield Readiness.waiting(text.removesuffix(": "), Reason.CONTAINER_NOT_STARTED)
        elif (
            last
            and not container.get("ready")
            and (reason == "CrashLoopBackOff" or _often(container))
        ):
            yield Readiness.waiting(f"container {name} {_end(last)}", Reason.CONTAINER_ENDS)


def _often(container: Mapping[str, Any]) -> bool:
    """Whether a container has ended so often that it is no accident of a start."""
    return int(container.get("restartCount", 0)) >= 2


def _end(last: Mapping[str, Any]) -> str:
    """`ended with exit code 1 (Error): the last it said`."""
    reason = f" ({last['reason']})" if last.get("reason") else ""
    lines = str(last.get("message") or "").strip().splitlines()
    words = f": {lines[-1]}" if lines else ""
    return f"ends again and again, with exit code {last.get('exitCode')}{reason}{words}"


def _scheduling(
    pod: Object, claims: Mapping[str, Object], said: Mapping[str, str], now: datetime
) -> Iterator[Readiness]:
    if now - datetime.fromisoformat(pod["metadata"]["creationTimestamp"]) < PATIENCE:
        return
    conditions = pod.get("status", {}).get("conditions") or ()
    unscheduled = [c for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False"]
    if not unscheduled:
        return
    for volume in pod["spec"].get("volumes") or ():
        name = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
        claim = claims.get(name)
        if claim is not None and claim.get("status", {}).get("phase") == "Pending":
            storage_class = claim["spec"].get("storageClassName") or "none"
            text = f"volume claim {name} (StorageClass {storage_class}) is pending"
            words = said.get(name, "")
            yield Readiness.waiting(f"{text}: {words}" if words else text, Reason.VOLUME_PENDING)
    found = unscheduled[0]
    text = f"{found.get('reason', '')}: {found.get('message', '')}"
    yield Readiness.waiting(text.removesuffix(": "), Reason.UNSCHEDULABLE)
