from types import SimpleNamespace
from typing import Any

import pytest

from kubeception.engine import diagnose


@pytest.mark.parametrize(
    ("inner", "outer", "told"),
    [
        ("", "1.2.0", None),
        ("1.2.0", "1.2.0", "fine: that in it is release 1.2.0"),
        ("1.2.0", "", "fine: that in it is release 1.2.0"),
        ("1.10.0", "1.9.0", "warning: that in it is release 1.10.0, newer than 1.9.0 of its host"),
        ("1.9.0", "1.10.0", "warning: that in it is release 1.9.0, older than 1.10.0 of its host"),
    ],
)
def test_an_operator_of_another_release_than_its_hosts_is_told(
    monkeypatch: pytest.MonkeyPatch, inner: str, outer: str, told: str | None
) -> None:
    engine: Any = SimpleNamespace(host="outer", name="acme")
    monkeypatch.setattr(diagnose, "installed_version", {"inner": inner, "outer": outer}.get)
    found = list(diagnose._inner_operator(engine, "inner"))  # type: ignore[arg-type]
    assert [f"{each.level}: {each.found}" for each in found] == ([told] if told else [])
