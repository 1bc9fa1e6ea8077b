import pytest

from kubeception import names
from kubeception.operator.options import options


def test_the_environment_says_who_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAME", "operator-1")
    monkeypatch.setenv("POD_NAMESPACE", "elsewhere")
    found = options([])
    assert found.namespace == "elsewhere"
    assert found.identity.startswith("operator-1_")


def test_a_process_that_is_started_again_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    assert options([]).identity != options([]).identity
    assert options([]).namespace == names.SYSTEM_NAMESPACE


@pytest.mark.parametrize("bad", ["--workers=0", "--log-format=xml", "--no-such"])
def test_a_bad_flag_is_refused(bad: str) -> None:
    with pytest.raises(SystemExit):
        options([bad])
