"""Which machines fail, and when the next one may: pure, from what is seen of machine and node."""

from datetime import datetime, timedelta

from kubeception.api.lifecycle import Health, duration
from kubeception.kube.conditions import condition
from kubeception.plan.facts import Object
from kubeception.providers.base import Machine, Phase

WITHOUT_TOKEN = timedelta(minutes=1)
"""After which a machine that is no node and has no token is one that a run left half-made."""


def unready_since(node: Object) -> datetime | None:
    """Since when a node is not Ready; None while it is."""
    ready = condition(node, "Ready")
    if ready.get("status") == "True":
        return None
    since = ready.get("lastTransitionTime") or node["metadata"]["creationTimestamp"]
    return datetime.fromisoformat(since)


def failure(
    machine: Machine, node: Object | None, health: Health, now: datetime, *, token: bool
) -> str:
    """Why a machine has failed for as long as it may; empty as long as it hasn't."""
    due = deadline(machine, node, health, token=token)
    if due is None or now <= due:
        return ""
    if node is not None:
        ready = condition(node, "Ready")
        said = f": {ready['message']}" if ready.get("message") else ""
        return f"its node is not ready for {health.unready_timeout}{said}"
    if not token:
        return "it is no node, and has no token to become one"
    return f"it did not join within {health.join_timeout}"


def deadline(
    machine: Machine, node: Object | None, health: Health, *, token: bool
) -> datetime | None:
    """When a machine has failed for as long as it may, if nothing changes; None for one that is well."""
    if machine.phase not in (Phase.PENDING, Phase.RUNNING):
        return None
    if node is not None:
        since = unready_since(node)
        return since + duration(health.unready_timeout) if since else None
    return machine.created + (duration(health.join_timeout) if token else WITHOUT_TOKEN)
