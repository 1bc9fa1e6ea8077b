"""Rules about the files themselves."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted(
    path for folder in ("manifests", "cloud-init") for path in (ROOT / folder).rglob("*.j2")
)
SOURCES = sorted((ROOT / "kubeception").rglob("*.py"))


def test_there_are_templates() -> None:
    assert TEMPLATES


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_template_only_substitutes_values(path: Path) -> None:
    assert "{%" not in path.read_text(), "a condition belongs in Python"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_leaves_nothing_to_do(path: Path) -> None:
    marks = [mark for mark in ("TO" + "DO", "FIX" + "ME", "XX" + "X") if mark in path.read_text()]
    assert not marks


def test_package_data_is_reachable_from_the_package() -> None:
    data = ROOT / "kubeception" / "_data"
    for folder in ("manifests", "cloud-init"):
        assert (data / folder).resolve() == ROOT / folder
