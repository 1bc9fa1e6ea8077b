"""What a host needs once, before its first tenant; it belongs to no tenant and is never removed with one."""

from kubeception.api.crd import definitions
from kubeception.plan.facts import Object
from kubeception.plan.render import manifest


def host_prerequisites() -> list[Object]:
    """The CustomResourceDefinitions, and the PriorityClass of control planes."""
    return [*definitions(), manifest("install/priority-class.yaml.j2", {})]
