"""Which images a host may be made to pull, and by which digests: what its administrators say in one ConfigMap. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from kubeception import names
from kubeception.errors import SpecError
from kubeception.plan.versions import IMAGES, image

OWN, ALLOWED, DIGESTS = "own", "allowed", "digests"
"""Keys of the ConfigMap. Each holds lines: repositories of the release, further prefixes, images with digests."""
PREFIX: Final = re.compile(r"(?!.*//)[a-z0-9][a-zA-Z0-9._:/@-]{0,254}")
DIGEST: Final = re.compile(r"([a-z0-9][a-zA-Z0-9._:/-]*)@(sha256:[0-9a-f]{64})")
OF: Final = f"ConfigMap {names.SYSTEM_NAMESPACE}/{names.IMAGES}"


def repository(reference: str) -> str:
    """An image reference without tag and digest."""
    reference = reference.partition("@")[0]
    head, slash, last = reference.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


OURS: Final = tuple(sorted({repository(reference) for reference in IMAGES.values()}))
"""The repositories of all that runs for a tenant."""


@dataclass(frozen=True)
class Images:
    """What of images is allowed, and what is known of them."""

    allowed: tuple[str, ...] | None = None
    """A registry, a path in one, a repository or a whole reference each; None: there is nobody who minds."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """By reference, with its tag. Where there are any, no image goes without."""

    def pinned(self, reference: str) -> str:
        """The reference with its digest. Raises SpecError where it should have one and none is known."""
        if not self.digests or "@" in reference:
            return reference
        if reference not in self.digests:
            raise SpecError(
                [f"{reference} has no digest"],
                what=OF,
                hint="An administrator of the host adds it: kubeception install --digests FILE",
            )
        return f"{reference}@{self.digests[reference]}"

    def refusal(self, reference: str) -> str:
        """Why whoever writes a NodePool may not have the host pull this image; empty where they may."""
        if self.allowed is not None and not any(covers(one, reference) for one in self.allowed):
            return f"{reference} is none of the images that the host's administrators allow"
        if self.digests and "@sha256:" not in reference:
            return f"{reference} has no digest, and the host takes images by digest only"
        return ""


def covers(prefix: str, reference: str) -> bool:
    """Whether an image is what an entry of the list names, or below it.

    `a.example/b` covers `a.example/b:1` and `a.example/b/c:1`, but not `a.example/bc:1`.
    """
    if reference == prefix or reference.startswith(f"{prefix}/"):
        return True
    return "/" in prefix and reference.startswith((f"{prefix}:", f"{prefix}@"))


def images(data: Mapping[str, str] | None) -> Images:
    """What the ConfigMap's data says; without one, nobody minds."""
    if data is None:
        return Images()
    allowed = (*lines(data.get(OWN, "")), *lines(data.get(ALLOWED, "")))
    matches = map(DIGEST.fullmatch, lines(data.get(DIGESTS, "")))
    return Images(allowed, {match[1]: match[2] for match in matches if match})


def lines(text: str) -> tuple[str, ...]:
    """The lines of a text that say something."""
    found = (line.strip() for line in text.splitlines())
    return tuple(dict.fromkeys(line for line in found if line and not line.startswith("#")))


def prefixes(given: Iterable[str]) -> tuple[str, ...]:
    """Entries of the list, as somebody wrote them. Raises SpecError."""
    found = [entry.strip().rstrip("/") for entry in given if entry.strip()]
    if bad := [
        f"{entry!r} is no image, repository or registry"
        for entry in found
        if not PREFIX.fullmatch(entry)
    ]:
        raise SpecError(bad, what="the list of allowed images")
    return tuple(dict.fromkeys(found))


def digests(text: str, own: Iterable[str] = ()) -> tuple[str, ...]:
    """The lines `IMAGE:TAG@sha256:…` of a file. Raises SpecError for others, and where one of `own` has none."""
    found = lines(text)
    problems = [
        f"{line!r} is not IMAGE:TAG@sha256:…" for line in found if not DIGEST.fullmatch(line)
    ]
    known = {line.partition("@")[0] for line in found}
    problems += [f"{reference} has no digest" for reference in own if reference not in known]
    if problems:
        raise SpecError(problems, what="the list of digests")
    return found


def of_release() -> list[str]:
    """Every image of a tenant of the newest Kubernetes version, and the operator's own."""
    return sorted({image(name) for name in IMAGES})
