"""What `make conformance` makes of ginkgo's report: nothing passes that was not seen to pass."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.specs import LIST, NOT_RUN, SUITE, around, focus, names, outcomes

WORKS = "[sig-a] Thing (v1.0) works [Conformance]"
MORE = f"{WORKS} twice"


def spec(state: str, kind: str = "It", **more: Any) -> dict[str, Any]:
    texts = {"ContainerHierarchyTexts": ["[sig-a] Thing", "(v1.0)"]}
    leaf = {"LeafNodeType": kind, "LeafNodeText": "works [Conformance]"}
    return {**texts, **leaf, "State": state, "RunTime": 1_500_000_000, **more}


def written(folder: Path, *specs: dict[str, Any]) -> Path:
    report = folder / "report.json"
    report.write_text(json.dumps([{"SpecReports": specs or None}]))
    return report


def test_the_list_is_of_the_conformance_suite_and_sorted() -> None:
    listed = names(LIST)
    assert len(listed) > 100
    assert all("[Conformance]" in name for name in listed)
    assert list(listed) == sorted(listed)


@pytest.mark.parametrize("name", [WORKS, MORE])
def test_a_name_means_one_spec(name: str) -> None:
    found = [n for n in (WORKS, MORE, f"{WORKS}x") if re.search(focus(name), f"{SUITE} {n}")]
    assert found == [name]


def test_what_passed_passed(tmp_path: Path) -> None:
    (found,) = outcomes(written(tmp_path, spec("skipped"), spec("passed")), [WORKS])
    assert found.passed
    assert (found.name, found.seconds) == (WORKS, 1.5)


@pytest.mark.parametrize("state", ["failed", "panicked", "timedout", "interrupted", "aborted"])
def test_what_did_not_pass_did_not(state: str, tmp_path: Path) -> None:
    said = spec(state, Failure={"Message": "no"}, CapturedGinkgoWriterOutput="tried")
    (found,) = outcomes(written(tmp_path, said), [WORKS])
    assert not found.passed
    assert (found.state, found.message, found.output) == (state, "no", "tried")


@pytest.mark.parametrize("specs", [(), (spec("skipped"),), (spec("pending"),)])
def test_what_nothing_is_said_about_was_not_run(specs: Any, tmp_path: Path) -> None:
    (found,) = outcomes(written(tmp_path, *specs), [WORKS])
    assert (found.state, found.passed) == (NOT_RUN, False)


def test_what_goes_wrong_before_all_specs_is_told(tmp_path: Path) -> None:
    setup = spec("failed", "SynchronizedBeforeSuite", Failure={"Message": "no way"})
    setup |= {"ContainerHierarchyTexts": None, "LeafNodeText": ""}
    report = written(tmp_path, setup, spec("passed"), spec("passed", "SynchronizedAfterSuite"))
    (found,) = around(report)
    assert (found.name, found.message) == ("SynchronizedBeforeSuite", "no way")


def test_a_list_with_a_spec_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "specs.txt"
    path.write_text(f"# two\n{WORKS}\n\n{WORKS}\n")
    with pytest.raises(AssertionError, match="twice"):
        names(path)
