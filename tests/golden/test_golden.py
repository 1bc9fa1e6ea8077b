"""What is rendered is what was read and approved: one file for each component of each case.

After a change that is meant: `make golden`, then read the diff. Secrets are golden by their hashes.
"""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kubeception.components.install import Options, host_prerequisites
from kubeception.engine.install import documents
from kubeception.plan.facts import Object
from tests.plans import CASES, applied, case

GOLDEN = Path(__file__).parent
INSTALL = GOLDEN.parents[1] / "manifests" / "install"
UPDATE = "If it is meant, run `make golden` and read the diff."


class Dumper(yaml.SafeDumper):
    """Says everything where it stands, and text of several lines as such."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    style = "|" if "\n" in data else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


Dumper.add_representer(str, _text)


def dump(objects: list[Object]) -> str:
    return yaml.dump_all(objects, Dumper=Dumper, sort_keys=False, width=120)


def masked(obj: Object) -> Object:
    """A Secret with the hashes of what it holds, anything else as it is."""
    if obj["kind"] != "Secret":
        return obj
    hashes = {
        key: f"sha256:{hashlib.sha256(base64.b64decode(value)).hexdigest()[:16]}"
        for key, value in obj["data"].items()
    }
    return {**obj, "data": hashes}


def compare(found: Mapping[Path, str], wanted: Mapping[Path, str], *, update: bool) -> None:
    if update:
        for path in found.keys() - wanted.keys():
            path.unlink()
        for path, text in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return
    assert sorted(found) == sorted(wanted), f"Other files than before. {UPDATE}"
    for path, text in wanted.items():
        assert found[path] == text, f"{path} is rendered differently. {UPDATE}"


def test_components_are_rendered_as_approved(update_golden: bool) -> None:
    found = {path: path.read_text() for path in GOLDEN.rglob("*.yaml")}
    wanted = {
        GOLDEN / name / f"{component.name}.yaml": dump([masked(obj) for obj in objects])
        for name in CASES
        for component, objects in applied(case(name))
        if objects
    }
    compare(found, wanted, update=update_golden)


def test_manifests_to_install_are_those_of_the_models_and_components(update_golden: bool) -> None:
    found = {path: path.read_text() for path in INSTALL.glob("*.yaml")}
    wanted = {"crd.yaml": host_prerequisites(), "kubeception.yaml": documents(Options())}
    compare(
        found,
        {INSTALL / name: dump(objects) for name, objects in wanted.items()},
        update=update_golden,
    )
