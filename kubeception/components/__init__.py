"""What a tenant cluster is made of, in the order it is applied."""

from kubeception.components.base import Component

COMPONENTS: tuple[Component, ...] = ()
