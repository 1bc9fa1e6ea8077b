from pathlib import Path

import pytest

from kubeception.operator import process
from kubeception.operator.options import Options


def test_only_a_pod_that_works_by_its_own_account_dials_as_pods_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = {"current-context": "in-cluster"}
    monkeypatch.setattr(process, "service_account", lambda: account)
    assert process.own_account(Options()) is account
    assert process.own_account(Options(kubeconfig=Path("of-another"))) is None
    assert process.own_account(Options(context="another")) is None
