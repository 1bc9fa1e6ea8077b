"""Why a condition is as it is: every reason there is, what it means, and who must act."""

from enum import StrEnum
from typing import Final, Self


class Actor(StrEnum):
    """Who must do something before it goes on."""

    NOBODY = "nobody"
    OWNER = "owner"
    """Whoever wrote the TenantCluster or NodePool."""
    HOST = "host administrator"


class Reason(StrEnum):
    """`reason` of a condition, and of the Event when it becomes so."""

    meaning: str
    actor: Actor

    def __new__(cls, value: str, actor: Actor, meaning: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.actor, member.meaning = actor, meaning
        return member

    # it is well, or on its way
    READY = "Ready", Actor.NOBODY, "It is as it was asked for."
    WAITING = "Waiting", Actor.NOBODY, "It waits for what the message says."
    IN_PROGRESS = (
        "InProgress",
        Actor.NOBODY,
        "It is being made or changed; the message says what is next.",
    )
    NOT_CREATED = "NotCreated", Actor.NOBODY, "It hasn't been made yet."
    LOAD_BALANCER_PENDING = (
        "LoadBalancerPending",
        Actor.HOST,
        "The host has given the Service of type LoadBalancer no address: is anything there that does?",
    )
    DATASTORE_NOT_READY = "DatastoreNotReady", Actor.NOBODY, "The control plane waits for etcd."
    DATASTORE_FULL = (
        "DatastoreFull",
        Actor.OWNER,
        "etcd has used up its quota, and nothing of it is left to compact: the tenant's API refuses writes.",
    )
    NO_ADDRESS = (
        "NoAddress",
        Actor.NOBODY,
        "The host has given the API server's Service no address.",
    )
    NO_ANSWER = "NoAnswer", Actor.NOBODY, "The API server runs and doesn't answer yet."
    EXCESS = (
        "Excess",
        Actor.OWNER,
        "The tenant's API server answers more, or slower, than is read of one: it is looked at seldom.",
    )
    REPLICAS_NOT_READY = "ReplicasNotReady", Actor.NOBODY, "Pods are there and not ready yet."
    NODES_NOT_READY = "NodesNotReady", Actor.NOBODY, "Workers are being made, boot, join or leave."
    MACHINES_FAIL = (
        "MachinesFail",
        Actor.NOBODY,
        "Machines ended, did not join in time, or their nodes are not ready: they are replaced.",
    )
    MACHINE_NOT_STARTED = (
        "MachineNotStarted",
        Actor.HOST,
        "The host doesn't start a worker's machine.",
    )
    MACHINE_LOST = (
        "MachineLost",
        Actor.OWNER,
        "A machine of the control plane ended, and with it its disk and its part of the datastore.",
    )
    DRAIN_BLOCKED = (
        "DrainBlocked",
        Actor.OWNER,
        "Pods keep a node that is to go; when spec.drainTimeout of its pool is over, it goes with them.",
    )
    TOO_MANY_UNHEALTHY = (
        "TooManyUnhealthy",
        Actor.OWNER,
        "More machines of a pool fail at once than may be replaced: the cause is elsewhere.",
    )
    INFRA_CREDENTIALS = (
        "InfraCredentials",
        Actor.OWNER,
        "The Secret that leads to the cluster of a pool's machines is missing, or not to be used.",
    )
    INFRA_UNREACHABLE = (
        "InfraUnreachable",
        Actor.OWNER,
        "The cluster of a pool's machines doesn't answer: they are left as they are.",
    )
    INFRA_UNFIT = (
        "InfraUnfit",
        Actor.OWNER,
        "The cluster of a pool's machines has no KubeVirt that may be used.",
    )
    REWRITE_REFUSED = (
        "RewriteRefused",
        Actor.OWNER,
        "The tenant refuses that a Secret is stored anew with the new encryption key: the old one stays.",
    )
    RETRYING = (
        "Retrying",
        Actor.NOBODY,
        "An API server failed a request in a way that time may mend.",
    )
    NOT_TESTED = "NotTested", Actor.NOBODY, "It could not be looked at yet."
    NOT_ENFORCED = (
        "NotEnforced",
        Actor.HOST,
        "The host's network lets through what NetworkPolicies forbid: what keeps tenants from it is missing.",
    )
    NOT_PAUSED = "NotPaused", Actor.NOBODY, "It is being worked on."
    PAUSED = "Paused", Actor.OWNER, "It is left alone, as its field or annotation says."
    DELETING = "Deleting", Actor.NOBODY, "It is being removed; the message says what is left."
    FINALIZERS_CLEARED = (
        "FinalizersCleared",
        Actor.HOST,
        "What hindered the removal for a minute lost its finalizers; what those were for may be left.",
    )
    # a workload can't run
    UNSCHEDULABLE = "Unschedulable", Actor.HOST, "No node takes a pod."
    VOLUME_PENDING = "VolumePending", Actor.HOST, "A volume claim gets no volume."
    IMAGE_NOT_PULLED = "ImageNotPulled", Actor.HOST, "A container's image can't be pulled."
    CONTAINER_ENDS = "ContainerEnds", Actor.HOST, "A container ends again and again."
    CONTAINER_NOT_STARTED = "ContainerNotStarted", Actor.HOST, "A container can't be started."
    QUOTA_EXCEEDED = "QuotaExceeded", Actor.HOST, "A quota has no room for a pod."
    POD_REFUSED = "PodRefused", Actor.HOST, "The host refuses to make a pod."
    # nothing mends it but a person
    SPEC_REFUSED = "SpecRefused", Actor.OWNER, "The spec asks for what can't be."
    BUDGET_EXCEEDED = (
        "BudgetExceeded",
        Actor.OWNER,
        "The budget of the cluster, or of one it is in, has no room for what is asked for.",
    )
    VERSION_SKEW = (
        "VersionSkew",
        Actor.OWNER,
        "A pool asks for kubelets that can't serve this version of the control plane.",
    )
    CONFLICT = "Conflict", Actor.HOST, "An object of that name exists and belongs to somebody else."
    REQUEST_REFUSED = "RequestRefused", Actor.HOST, "An API server refuses a request."
    FAILED = "Failed", Actor.HOST, "Something failed that repeating doesn't mend."


TROUBLES: Final = frozenset(reason for reason in Reason if reason.actor is not Actor.NOBODY)
"""Reasons for which a person must act."""
