"""What the operator may do and didn't, and what it tried and may not, by audit logs of the host: `make rbac-audit`.

A right that is used in no test is taken away, or rbac_audit.yaml says what it is for.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import yaml

from kubeception import names
from kubeception.components.install import Options, operator
from kubeception.lab import state
from kubeception.lab.kubeadm import AUDIT_LOG

BY: Final = re.compile(
    r'allowed by \w+ "(?P<binding>[^"]*)" of (?P<kind>ClusterRole|Role) "(?P<role>[^"]*)"'
)
"""How an API server says whom a request was allowed by: the binding of a Role bears its namespace after a slash."""
CREATED: Final = 201
FORBIDDEN: Final = 403
REASONS: Final = Path(__file__).with_suffix(".yaml")

Event = dict[str, Any]


@dataclass(frozen=True, order=True)
class Right:
    """A verb on a resource of an API group, out of a role."""

    role: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.role}: {self.verb} {self.resource}"


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
            title = _title(found["kind"], meta)
            yield Right(title, _of(event), event["verb"])
            if event["verb"] == "patch" and event.get("responseStatus", {}).get("code") == CREATED:
                yield Right(title, _of(event), "create")  # asked for, too, by an apply that creates


def _operators(events: Iterable[Event]) -> Iterator[Event]:
    return (event for event in events if event["user"].get("username") == names.OPERATOR_USER)


def _of(event: Event) -> str:
    ref = event.get("objectRef", {})
    parts = (ref.get("resource", ""), ref.get("subresource", ""))
    return _resource("/".join(filter(None, parts)), ref.get("apiGroup", ""))


def _resource(resource: str, group: str) -> str:
    return f"{resource}.{group}" if group else resource


def _title(kind: str, meta: Event) -> str:
    namespace = meta.get("namespace") if kind == "Role" else ""
    return f"{kind} {namespace}/{meta['name']}" if namespace else f"{kind} {meta['name']}"


def reasons(groups: Iterable[dict[str, Any]]) -> set[str]:
    """The rights that stay though no test uses them. Raises KeyError for a group that says no reason."""
    return {right for group in groups if group["why"] for right in group["rights"]}


def logs(folder: Path) -> Iterator[Path]:
    """Audit logs in a folder and those below it, rotated ones, too."""
    return (path for path in folder.rglob("audit*.log") if path.is_file())


def main(args: list[str] | None = None) -> int:
    """Print both; 1 where a right is used in no test and bears no reason.

    What was denied a person judges: some tests take rights away.
    """
    parser = argparse.ArgumentParser(prog="rbac-audit", description=__doc__)
    parser.add_argument("--lab", help="its host's audit log counts, too")
    parser.add_argument("folders", nargs="*", type=Path, help="of tests' API servers")
    given = parser.parse_args(args)
    folders = [*given.folders, *filter(None, [given.lab and _folder(given.lab)])]
    events = list(read(path for folder in folders for path in logs(folder)))
    rights = {str(right) for right in granted(operator(Options(pod_nodes=True)))}
    unused = rights - {str(right) for right in used(events)}
    kept = reasons(yaml.safe_load(REASONS.read_text()))
    for right in sorted(unused - kept):
        print(f"unused: {right}: take it away, or say in {REASONS.name} what it is for")
    for right in sorted(kept - rights):
        print(f"not granted: {right}: take it out of {REASONS.name}")
    for line in denied(events):
        print(f"denied: {line}")
    print(
        f"{len(rights - unused)} of {len(rights)} rights used, {len(unused & kept)} with a reason"
    )
    return int(bool(unused - kept or kept - rights))


def _folder(lab: str) -> Path | None:
    found = state.load(lab)
    return (found.node(1).folder / AUDIT_LOG.removeprefix("/")).parent if found else None


if __name__ == "__main__":
    sys.exit(main())
