"""Secret values that may be in a few places only, and the search for them in all that is said or stored."""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from kubeception.kube.client import Cluster
from kubeception.plan.facts import Object
from kubeception.plan.secret import data_of

LINE: Final = 40
"""Characters of a line of PEM that is worth a look: the rest is in many keys."""
Place = tuple[str, str]
"""A cluster and a namespace in it."""


@dataclass(frozen=True)
class Canary:
    """A value, and the namespaces whose Secrets may have it."""

    name: str
    value: bytes = field(repr=False)
    homes: frozenset[Place] = frozenset()

    @property
    def forms(self) -> set[str]:
        """How it would look where somebody wrote it: as it is, a line of it, in base64, in hex, as Python has it."""
        forms = {base64.b64encode(self.value).decode(), self.value.hex()}
        try:
            text = self.value.decode()
        except UnicodeDecodeError:
            return {*forms, repr(self.value)[2:-1]}
        if "PRIVATE KEY" not in text:
            return {*forms, text}
        return {*forms, *(line for line in text.splitlines() if len(line) >= LINE)}


@dataclass(frozen=True)
class Found:
    """A text, and where it is from."""

    where: str
    text: str = field(repr=False)


def leaks(canaries: Iterable[Canary], texts: Iterable[Found]) -> list[str]:
    """Which canary is in which text."""
    listed = [(canary, canary.forms) for canary in canaries]
    return [
        f"{canary.name} in {found.where}"
        for found in texts
        for canary, forms in listed
        if any(form in found.text for form in forms)
    ]


def misplaced(canaries: Iterable[Canary], name: str, cluster: Cluster) -> list[str]:
    """Which canary is in a Secret of a namespace that isn't among its homes."""
    result = []
    for secret in cluster.list("Secret"):
        meta = secret["metadata"]
        place = (name, meta["namespace"])
        strangers = [canary for canary in canaries if place not in canary.homes]
        where = f"Secret {meta['name']} of {name}/{meta['namespace']}"
        held = [Found(where, value.decode(errors="replace")) for value in data_of(secret).values()]
        kept = [Found(where, text) for text in (secret.get("data") or {}).values()]
        result += leaks(strangers, [*held, *kept, Found(where, json.dumps(meta))])
    return sorted(set(result))


def stored(name: str, cluster: Cluster) -> Iterator[Found]:
    """Every object of every kind that an API server lists, but Secrets."""
    groups = json.loads(cluster.raw("/apis") or "{}")["groups"]
    served = [v["groupVersion"] for group in groups for v in group["versions"]]
    for path in ("/api/v1", *(f"/apis/{version}" for version in served)):
        for kind in json.loads(cluster.raw(path) or "{}").get("resources", ()):
            if "list" in kind["verbs"] and kind["name"] != "secrets":
                found = cluster.raw(f"{path}/{kind['name']}") or ""
                yield Found(f"{kind['name']} of {name}", found)


def private(secret: Object) -> Iterator[tuple[str, bytes]]:
    """What of a tenant's Secret is nobody's but its readers': names and values."""
    name = secret["metadata"]["name"]
    for entry, value in data_of(secret).items():
        if entry.endswith(".key") or entry in ("secretbox", "token-secret"):
            yield f"{name}/{entry}", value
        if entry in ("encryption.yaml", "userdata"):
            yield f"{name}/{entry}", value
