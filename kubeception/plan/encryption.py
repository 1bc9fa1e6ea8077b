"""The keys that Secrets are encrypted with at rest, and which of them kube-apiserver knows. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kubeception import names
from kubeception.plan.facts import Object
from kubeception.plan.secret import data_of

if TYPE_CHECKING:
    from kubeception.plan.context import PlanContext

SECRET: Final = "encryption-key"
"""The Secret with the first key; those of later ones end in their number."""
ENTRY: Final = "secretbox"
"""The entry of such a Secret."""
KEY_SIZE: Final = 32
FIRST: Final = "key1"
"""The key of a control plane that nothing is said of."""


@dataclass(frozen=True)
class EncryptionKey:
    """A key for secretbox. Numbers only grow, so a key that was dropped doesn't come back under its name."""

    number: int
    rotation: str
    """What `spec.encryption.rotation` said when it was made."""
    value: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """What kube-apiserver calls it, in its configuration and before all that it encrypts."""
        return f"key{self.number}"

    @property
    def secret(self) -> str:
        """The Secret that holds it."""
        return secret_of(self.name)


def secret_of(key: str) -> str:
    """The Secret of a key of this name."""
    return SECRET if key == FIRST else f"{SECRET}-{key.removeprefix('key')}"


def held(ctx: "PlanContext") -> Iterator[EncryptionKey]:
    """The keys of a tenant that its host has."""
    for (kind, namespace, name), obj in ctx.facts.objects.items():
        found = re.fullmatch(rf"{SECRET}(?:-([1-9][0-9]{{0,8}}))?", name)
        if (kind, namespace) == ("Secret", ctx.namespace) and found:
            said = (obj["metadata"].get("annotations") or {}).get(names.ROTATION_ANNOTATION, "")
            yield EncryptionKey(int(found[1] or 1), said, data_of(obj).get(ENTRY, b""))


def known(ctx: "PlanContext") -> tuple[str, ...] | None:
    """The keys by which the control plane was last told to start, the one it writes with first.

    None where there is no control plane.
    """
    deployment = ctx.seen("Deployment", "control-plane")
    return None if deployment is None else known_by(deployment["spec"]["template"])


def known_by(pod: Object) -> tuple[str, ...]:
    """The keys that a pod of the control plane was started with."""
    said = (pod["metadata"].get("annotations") or {}).get(names.ENCRYPTION_KEYS_ANNOTATION)
    return tuple(said.split(",")) if said else (FIRST,)
