from pathlib import Path

from kubeception.lab.images import PACKAGE
from kubeception.lab.wheels import FOLDER, UNUSED, Wheels, entries, package, requirements


def test_the_whole_package_is_taken_without_what_python_left() -> None:
    paths = {entry.path.removeprefix(f"{FOLDER}/kubeception/") for entry in package(PACKAGE)}
    assert {"__init__.py", "operator/__main__.py", "_data/manifests/install/crd.yaml"} <= paths
    assert not [path for path in paths if "__pycache__" in path]


def test_requirements_are_those_without_extras() -> None:
    found = requirements("kubeception")
    assert any(text.startswith("kubernetes") for text in found)
    assert not any("pytest" in text for text in found)


def test_another_requirement_is_another_layer() -> None:
    assert Wheels(("a>=1",)).fingerprint() == Wheels(("a>=1",)).fingerprint()
    assert Wheels(("a>=1",)).fingerprint() != Wheels(("a>=2",)).fingerprint()


def test_what_only_developers_need_stays_out(tmp_path: Path) -> None:
    for name in ("a/b.py", "a/b.pyi", "a/tests/t.py", "bin/x", "a-1.dist-info/RECORD", "a/c.so"):
        path = tmp_path / FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = {Path(entry.path).name: entry.mode for entry in entries(tmp_path)}
    assert found == {"b.py": 0o644, "c.so": 0o755}
    assert not UNUSED.search("a-1.dist-info/METADATA")
