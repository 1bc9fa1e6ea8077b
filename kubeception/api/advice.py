"""What to do about a reason: for the people it asks to act, in commands they have."""

from collections.abc import Mapping
from typing import Final

from kubeception.api.reasons import Reason

LOOK: Final = "kubeception events NAME shows more."

ADVICE: Final[Mapping[Reason, str]] = {
    Reason.PAUSED: "kubeception resume NAME",
    Reason.NOT_ENFORCED: "Give the host a CNI that enforces NetworkPolicies before strangers get machines.",
    Reason.LOAD_BALANCER_PENDING: "Install a load balancer in the host, or use exposure.type NodePort.",
    Reason.NO_ADDRESS: "Wait; if it stays so, look at the Service in the control plane's namespace.",
    Reason.NO_ANSWER: "Wait; if it stays so: kubeception logs NAME apiserver --tail 30",
    Reason.DATASTORE_FULL: "Delete objects in the tenant; apiserver_resource_objects of kubectl get --raw /metrics "
    "counts them by kind. What is marked before it goes can't go yet: namespaces, what has finalizers, and running "
    "pods unless they are deleted with --grace-period=0 --force.",
    Reason.EXCESS: "Remove from the tenant what the message says there is too much of; if its requests are slow: "
    "kubeception logs NAME apiserver --tail 30",
    Reason.FINALIZERS_CLEARED: "Look for what the events name, and remove it by hand.",
    Reason.UNSCHEDULABLE: "Give the host a node with room, or ask for less CPU and memory.",
    Reason.VOLUME_PENDING: "Give the host a StorageClass that makes volumes, or name one with "
    "datastore.storageClassName; datastore.storage Ephemeral needs none.",
    Reason.IMAGE_NOT_PULLED: "Let the host's nodes reach the registry, or give them a mirror; in a lab: "
    "kubeception lab up",
    Reason.CONTAINER_ENDS: "kubeception logs NAME COMPONENT --previous says why it ended.",
    Reason.CONTAINER_NOT_STARTED: LOOK,
    Reason.QUOTA_EXCEEDED: "Raise the ResourceQuota of the namespace the message names.",
    Reason.POD_REFUSED: f"An admission policy or webhook of the host refuses it. {LOOK}",
    Reason.MACHINE_NOT_STARTED: "Mend what the message names: room on a host node, or the machine's image. "
    "kubeception events NAME shows more.",
    Reason.MACHINE_LOST: "Do as the message says; with one machine, what the cluster held is lost.",
    Reason.DRAIN_BLOCKED: "Let the PodDisruptionBudget or the pod that the message names allow it, or wait.",
    Reason.TOO_MANY_UNHEALTHY: "Mend what the message names: network, image, host. A higher health.maxUnhealthy "
    "of the NodePool has them replaced all the same.",
    Reason.INFRA_CREDENTIALS: "Mend the Secret that the message names; its key is kubeconfig.",
    Reason.INFRA_UNREACHABLE: "Let the operator reach the API server that the Secret names, and its user work there.",
    Reason.INFRA_UNFIT: "Mend KubeVirt there as the message says, or let its user list kubevirts.kubevirt.io.",
    Reason.BUDGET_EXCEEDED: "Ask for less, or have spec.budget of the cluster that the message names raised.",
    Reason.REWRITE_REFUSED: "Mend the webhook or policy in the tenant that the message names: it refuses an update "
    "that changes nothing.",
    Reason.VERSION_SKEW: "Set spec.version of the NodePool to one the message allows, or remove it.",
    Reason.SPEC_REFUSED: "kubeception edit NAME, and mend what the message names.",
    Reason.CONFLICT: "Look at the object the message names; delete or rename it if it is yours.",
    Reason.REQUEST_REFUSED: "Give whoever works on it the right that the message names.",
    Reason.FAILED: f"Mend what the message says, then: kubeception create NAME. {LOOK}",
}
"""By reason; those for which nobody must act have none."""


def advice(reason: Reason, name: str) -> str:
    """What to do about it for the tenant cluster `name`."""
    return ADVICE.get(reason, LOOK).replace("NAME", name)
