"""Specs of Kubernetes' conformance suite by their names, and what became of them."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LIST = Path(__file__).with_name("specs.txt")
"""Those that pass in a cluster without a node; how they were found is said at its top."""
SUITE = "Kubernetes e2e suite"
"""What ginkgo puts before the name of each."""
LABEL = "Conformance"
"""What all of them bear: to ask for it first saves each process 20 seconds of matching 7,500 names."""
NOT_RUN = "not run"
PASSED = "passed"


@dataclass(frozen=True)
class Outcome:
    """What became of one spec."""

    name: str
    state: str = NOT_RUN
    """`passed`, `not run`, or ginkgo's word for how it failed."""
    seconds: float = 0.0
    message: str = ""
    output: str = ""
    """What it said, where it failed."""

    @property
    def passed(self) -> bool:
        return self.state == PASSED

    def document(self) -> dict[str, Any]:
        """What the file holds."""
        return {key: value for key, value in asdict(self).items() if value != ""}


def names(path: Path) -> tuple[str, ...]:
    """The names in a list: one a line, and lines that begin with # say something about them."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    assert len(found) == len(set(found)), f"{path} names a spec twice"
    return tuple(found)


def focus(name: str) -> str:
    """The regular expression that means this spec and no other."""
    return f"^{re.escape(f'{SUITE} {name}')}$"


def outcomes(report: Path, wanted: Sequence[str]) -> list[Outcome]:
    """What ginkgo's report says of these; one it says nothing about was not run."""
    seen = {found.name: found for found in map(_outcome, _specs(report))}
    return [seen.get(name, Outcome(name)) for name in wanted]


def around(report: Path) -> list[Outcome]:
    """What went wrong before or after all specs, and belongs to none of them."""
    suites = json.loads(report.read_text())
    others = [
        s for suite in suites for s in suite["SpecReports"] or () if s["LeafNodeType"] != "It"
    ]
    return [found for found in map(_outcome, others) if not found.passed]


def _specs(report: Path) -> list[dict[str, Any]]:
    suites = json.loads(report.read_text())
    return [
        spec
        for suite in suites
        for spec in suite["SpecReports"] or ()
        if spec["LeafNodeType"] == "It" and spec["State"] not in ("skipped", "pending")
    ]


def _outcome(spec: dict[str, Any]) -> Outcome:
    texts = (*(spec["ContainerHierarchyTexts"] or ()), spec["LeafNodeText"])
    failure = spec.get("Failure") or {}
    state = spec["State"]
    return Outcome(
        name=" ".join(filter(None, texts)) or spec["LeafNodeType"],
        state=state,
        seconds=round(spec["RunTime"] / 1e9, 1),
        message=failure.get("Message", ""),
        output="" if state == PASSED else spec.get("CapturedGinkgoWriterOutput", ""),
    )
