"""What is reported about a TenantCluster and a NodePool."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Reported(BaseModel):
    """Frozen, camelCase outside; unknown keys are those of another release."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class Condition(Reported):
    """One aspect of how it is, and since when; the reason says who must act."""

    type: Annotated[str, Field(max_length=316)]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, Field(max_length=1024)]
    message: Annotated[str, Field(max_length=32768)] = ""
    observed_generation: int = 0
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class TenantClusterStatus(Reported):
    """How a tenant cluster is."""

    observed_generation: int = Field(default=0, description="The generation this was found for.")
    phase: str = Field(default="", description="Progressing, Ready, Failed or Deleting.")
    version: str = Field(default="", description="Kubernetes version of the control plane.")
    endpoint: str = Field(default="", description="URL of the API server, for people.")
    control_plane_namespace: str = ""
    nodes_namespace: str = ""
    pod_cidr: str = Field(default="", alias="podCIDR")
    service_cidr: str = Field(default="", alias="serviceCIDR")
    nodes: int = Field(default=0, description="How many nodes are asked for.")
    ready_nodes: int = 0
    conditions: tuple[Condition, ...] = ()


class NodePoolStatus(Reported):
    """How the workers of a pool are."""

    observed_generation: int = Field(default=0, description="The generation this was found for.")
    replicas: int = Field(default=0, description="How many machines there are.")
    ready_replicas: int = 0
    conditions: tuple[Condition, ...] = ()
