"""Small edits on a rendered workload: what a template can't say because it depends on the spec."""

from collections.abc import Mapping
from typing import Any

from kubeception import names
from kubeception.plan.facts import Object


def container(workload: Object, name: str) -> dict[str, Any]:
    """The container, or init container, of a Deployment, StatefulSet or DaemonSet.

    Raises KeyError when there is none of that name.
    """
    spec = workload["spec"]["template"]["spec"]
    containers: list[dict[str, Any]] = [*spec.get("initContainers", ()), *spec["containers"]]
    for found in containers:
        if found["name"] == name:
            return found
    raise KeyError(name)


def set_args(workload: Object, name: str, flags: Mapping[str, str]) -> None:
    """Set flags of a container: a flag that is already there gets the new value, others are added."""
    args: list[str] = container(workload, name)["args"]
    for flag, value in flags.items():
        start = f"--{flag}="
        args[:] = [arg for arg in args if not arg.startswith(start)]
        args.append(start + value)


def restart_on_change(workload: Object, *parts: str) -> None:
    """Make the pods of a workload new whenever one of `parts` changes: for what a process reads only at its start."""
    metadata = workload["spec"]["template"]["metadata"]
    metadata.setdefault("annotations", {})[names.CONFIG_ANNOTATION] = names.digest(*parts)
