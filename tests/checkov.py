"""`make checkov`: what checkov finds in all that is rendered, against the exceptions in checkov.yaml.

Ends with 1 for a finding that is no exception, and for an exception that nothing is found for any more.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from tests.golden.test_golden import INSTALL, dump
from tests.plans import CASES, applied, case

EXCEPTIONS: Final = Path(__file__).with_suffix(".yaml")

Finding = tuple[str, str]
"""Check, and kind/name of the object."""


def excepted(groups: Iterable[dict[str, Any]]) -> list[Finding]:
    """Each finding that is to stay. Raises KeyError for a group that says no reason."""
    return [
        (f"CKV_K8S_{number}", where)
        for group in groups
        if group["why"]
        for number in group["checks"]
        for where in group["of"]
    ]


def found(reports: Any) -> tuple[int, set[Finding]]:
    """How many checks passed, and those that failed, out of what checkov prints as JSON."""
    listed = reports if isinstance(reports, list) else [reports]
    failed = [each for report in listed for each in report["results"]["failed_checks"]]
    passed = sum(report["summary"]["passed"] for report in listed)
    return passed, {(each["check_id"], _object(each["resource"])) for each in failed}


def _object(resource: str) -> str:
    """`Kind/name` of `Kind.namespace.name`: namespaces of tenants bear a hash."""
    kind, _, name = resource.split(".", 2)
    return f"{kind}/{name}"


def render(folder: Path) -> None:
    """All cases, and what is installed, as files."""
    for name in CASES:
        objects = [obj for _, some in applied(case(name)) for obj in some]
        (folder / f"{name}.yaml").write_text(dump(objects))
    for path in INSTALL.glob("*.yaml"):
        (folder / path.name).write_bytes(path.read_bytes())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", help="checkov's")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        render(folder)
        argv = [parser.parse_args().command, "--framework", "kubernetes", "--skip-download"]
        argv += ["--quiet", "--compact", "--output", "json", "--directory", str(folder)]
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
    passed, failed = found(json.loads(done.stdout))
    kept = set(excepted(yaml.safe_load(EXCEPTIONS.read_text())))
    for check, where in sorted(failed - kept):
        print(f"{where}: {check}: mend it, or say in {EXCEPTIONS.name} why it stays")
    for check, where in sorted(kept - failed):
        print(f"{where}: {check}: no longer found; take it out of {EXCEPTIONS.name}")
    print(f"{passed} checks passed, {len(failed - kept)} failed, {len(failed & kept)} excepted")
    return int(failed != kept or not passed)


if __name__ == "__main__":
    sys.exit(main())
