"""What a host needs once, before its first tenant; it belongs to no tenant and is never removed with one."""

from kubeception.plan.facts import Object


def host_prerequisites() -> list[Object]:
    """The CustomResourceDefinitions and the PriorityClass of control planes."""
    raise NotImplementedError
