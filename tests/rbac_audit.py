"""What the operator may do and didn't, and what it tried and may not, by audit logs of the host: `make rbac-audit`."""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

from kubeception import names
from kubeception.components.install import Options, operator

BY: Final = re.compile(
    r'allowed by \w+ "(?P<binding>[^"]*)" of (?P<kind>ClusterRole|Role) "(?P<role>[^"]*)"'
)
"""How an API server says whom a request was allowed by: the binding of a Role bears its namespace after a slash."""
FORBIDDEN: Final = 403

Event = dict[str, Any]


@dataclass(frozen=True, order=True)
class Right:
    """A verb on a resource of an API group, out of a role."""

    role: str
    resource: str
    verb: str


def granted(objects: Iterable[Event]) -> set[Right]:
    """Every right of these roles."""
    return {
        Right(_title(obj["kind"], obj["metadata"]), _resource(resource, group), verb)
        for obj in objects
        if obj["kind"] in ("ClusterRole", "Role")
        for rule in obj["rules"]
        for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }


def used(events: Iterable[Event]) -> set[Right]:
    """The rights by which the operator's requests were allowed."""
    return set(_used(events))


def denied(events: Iterable[Event]) -> list[str]:
    """What the operator asked for without the right to it."""
    found = (
        f"{event['verb']} {_of(event)} in {event.get('objectRef', {}).get('namespace') or 'all'}"
        for event in _operators(events)
        if event.get("responseStatus", {}).get("code") == FORBIDDEN
    )
    return sorted(set(found))


def read(paths: Iterable[Path]) -> Iterator[Event]:
    """The events of audit logs; what isn't whole, as the last line of one that goes on, is left out."""
    for path in paths:
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)


def _used(events: Iterable[Event]) -> Iterator[Right]:
    for event in _operators(events):
        reason = event.get("annotations", {}).get("authorization.k8s.io/reason", "")
        if found := BY.search(reason):
            namespace = found["binding"].partition("/")[2]
            meta = {"name": found["role"], "namespace": namespace}
            yield Right(_title(found["kind"], meta), _of(event), event["verb"])


def _operators(events: Iterable[Event]) -> Iterator[Event]:
    return (event for event in events if event["user"]["username"] == names.OPERATOR_USER)


def _of(event: Event) -> str:
    ref = event.get("objectRef", {})
    parts = (ref.get("resource", ""), ref.get("subresource", ""))
    return _resource("/".join(filter(None, parts)), ref.get("apiGroup", ""))


def _resource(resource: str, group: str) -> str:
    return f"{resource}.{group}" if group else resource


def _title(kind: str, meta: Event) -> str:
    namespace = meta.get("namespace") if kind == "Role" else ""
    return f"{kind} {namespace}/{meta['name']}" if namespace else f"{kind} {meta['name']}"


def main(paths: list[str]) -> None:
    """Print both: a person judges them, since some tests take rights away."""
    events = list(read(map(Path, paths)))
    rights = granted(operator(Options(pod_nodes=True)))
    unused = sorted(rights - used(events))
    for right in unused:
        print(f"unused: {right.role}: {right.verb} {right.resource}")  # noqa: T201
    for line in denied(events):
        print(f"denied: {line}")  # noqa: T201
    print(f"{len(rights) - len(unused)} of {len(rights)} rights used")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
