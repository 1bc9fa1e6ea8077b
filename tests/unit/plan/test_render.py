from pathlib import Path

import pytest
import yaml
from jinja2 import DictLoader, TemplateNotFound, UndefinedError

from kubeception.plan import render


@pytest.fixture
def templates(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    found: dict[str, str] = {}
    for environment in (render._manifests(), render._texts()):
        monkeypatch.setattr(environment, "loader", DictLoader(found))
        monkeypatch.setattr(environment, "cache", None)
    return found


EVIL = "a: b\n- \"}} #'\t\u2028\x85\x7fé😀\\😀{{ x }}*&!%@`"


def test_no_value_breaks_out_of_its_place(templates: dict[str, str]) -> None:
    templates["x"] = "a: {{ v }}\nb: [{{ v }}, {k: {{ v }}}]\n{{ v }}: c\n"
    assert render.manifest("x", {"v": EVIL}) == {"a": EVIL, "b": [EVIL, {"k": EVIL}], EVIL: "c"}


@pytest.mark.parametrize("value", ["no", "1e3", "", "null", 7, True, None, [1, "a"], {"k": {}}])
def test_a_value_arrives_as_what_it_is(templates: dict[str, str], value: object) -> None:
    templates["x"] = "v: {{ v }}\n"
    assert render.manifest("x", {"v": value}) == {"v": value}


def test_a_missing_value_is_an_error(templates: dict[str, str]) -> None:
    templates["x"] = "v: {{ w }}\n"
    with pytest.raises(UndefinedError, match="'w' is undefined"):
        render.manifest("x", {"v": 1})


def test_a_missing_template_is_an_error() -> None:
    with pytest.raises(TemplateNotFound):
        render.manifest("components/no/such.yaml.j2", {})


def test_a_template_outside_the_package_data_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("v: 1")
    with pytest.raises(TemplateNotFound):
        render.manifest(f"../../{tmp_path.name}/x", {})


def test_text_takes_values_as_they_are(templates: dict[str, str]) -> None:
    templates["x"] = "key = {{ v }}\n"
    assert render.text("x", {"v": '"q"'}) == 'key = "q"\n'


def test_a_document_reads_back_as_what_it_was() -> None:
    obj = {"b": [1, "two"], "a": {"c": None}}
    assert yaml.safe_load(render.document(obj)) == obj
    assert render.document(obj).startswith("b:")
