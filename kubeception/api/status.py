"""What is reported about a TenantCluster and a NodePool."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Phase(StrEnum):
    """One word for how a tenant cluster is."""

    PROGRESSING = "Progressing"
    READY = "Ready"
    FAILED = "Failed"
    PAUSED = "Paused"
    DELETING = "Deleting"


class Reported(BaseModel):
    """Frozen, camelCase outside; unknown keys are those of another release."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class Condition(Reported):
    """One aspect of how it is, and since when; the reason says who must act."""

    type: Annotated[str, Field(max_length=316)] = Field(
        description="Of a TenantCluster: Ready, DatastoreReady, APIServerReady, EncryptionReady, AddonsReady, "
        "NodesReady, Paused, NetworkPolicyEnforced where an operator in a pod looked, and while it is being deleted "
        "ForcedDeletion. Of a NodePool: Ready, UpToDate, Healthy, "
        "Paused."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it is so.")
    reason: Annotated[str, Field(max_length=1024)] = Field(
        description="One word for why; the page Troubleshooting of the documentation lists all, and who must act."
    )
    message: Annotated[str, Field(max_length=32768)] = Field(
        default="", description="Why, in words, with the cause as it was found."
    )
    observed_generation: int = Field(default=0, description="The generation this was found for.")
    last_transition_time: Time = Field(description="Since when the status is what it is.")


class LastOperation(Reported):
    """What is being done, or was done last."""

    type: Literal["Create", "Reconcile", "Delete"] = Field(
        description="Create until it was ready for the first time, Reconcile after that."
    )
    state: Literal["Processing", "Succeeded", "Error"] = Field(
        description="Error: a person must act; it goes on by itself after that."
    )
    progress: Annotated[int, Field(ge=0, le=100)] = Field(description="How far it is, in percent.")
    description: str = Field(default="", description="What it waits for, or what came of it.")
    last_update_time: Time = Field(description="When any of this changed.")


class TenantClusterStatus(Reported):
    """How a tenant cluster is."""

    observed_generation: int = Field(default=0, description="The generation this was found for.")
    phase: str = Field(default="", description=f"{', '.join(Phase)}.")
    last_operation: LastOperation | None = None
    version: str = Field(default="", description="Kubernetes version of the control plane.")
    endpoint: str = Field(default="", description="URL of the API server, for people.")
    control_plane_namespace: str = Field(
        default="", description="Host namespace of the control plane."
    )
    nodes_namespace: str = Field(default="", description="Host namespace of the worker machines.")
    pod_cidr: str = Field(default="", alias="podCIDR", description="IPv4 range of pods.")
    service_cidr: str = Field(
        default="", alias="serviceCIDR", description="IPv4 range of Services."
    )
    pod_cidr6: str = Field(
        default="",
        alias="podCIDRv6",
        description="IPv6 range of pods, where they have such addresses.",
    )
    service_cidr6: str = Field(
        default="",
        alias="serviceCIDRv6",
        description="IPv6 range of Services, where they have such addresses.",
    )
    nodes: int = Field(default=0, description="How many nodes are asked for, all pools together.")
    ready_nodes: int = Field(default=0, description="How many nodes are ready.")
    clusters: int | None = Field(
        default=None,
        description="How many tenant clusters are in it, at any depth; counted where a budget bounds them.",
    )
    conditions: tuple[Condition, ...] = Field(
        default=(), description="How it is, aspect by aspect."
    )


class NodePoolStatus(Reported):
    """How the workers of a pool are."""

    observed_generation: int = Field(default=0, description="The generation this was found for.")
    replicas: int = Field(default=0, description="How many machines there are.")
    ready_replicas: int = Field(default=0, description="How many of them are ready nodes.")
    updated_replicas: int = Field(
        default=0,
        description="How many of them are as a new one would be; the others are replaced.",
    )
    unhealthy_replicas: int = Field(
        default=0, description="How many of them fail and are to be replaced."
    )
    version: str = Field(default="", description="Kubernetes version of the kubelets.")
    conditions: tuple[Condition, ...] = Field(
        default=(), description="How it is, aspect by aspect."
    )
