"""What `make checkov` takes for an exception."""

import pytest
import yaml

from tests.checkov import EXCEPTIONS, excepted, found
from tests.plans import CASES, applied, case

REPORT = {
    "results": {
        "failed_checks": [
            {"check_id": "CKV_K8S_8", "resource": "Deployment.kc-acme-5d4378c1.control-plane"},
            {"check_id": "CKV_K8S_8", "resource": "Deployment.kc-demo-00000000.control-plane"},
        ]
    },
    "summary": {"passed": 5},
}


@pytest.mark.parametrize("printed", [REPORT, [REPORT]])
def test_a_finding_is_the_same_in_every_namespace(printed: object) -> None:
    assert found(printed) == (5, {("CKV_K8S_8", "Deployment/control-plane")})


def test_an_exception_says_why() -> None:
    group = {"checks": [8, 9], "of": ["Deployment/a"], "why": "It listens nowhere."}
    assert excepted([group]) == [("CKV_K8S_8", "Deployment/a"), ("CKV_K8S_9", "Deployment/a")]
    assert excepted([{**group, "why": ""}]) == []
    with pytest.raises(KeyError, match="why"):
        excepted([{"checks": [8], "of": ["Deployment/a"]}])


def test_every_exception_is_there_once_and_of_an_object_that_is_rendered() -> None:
    listed = excepted(yaml.safe_load(EXCEPTIONS.read_text()))
    assert len(listed) == len(set(listed)) > 0
    objects = [obj for name in CASES for _, some in applied(case(name)) for obj in some]
    rendered = {f"{obj['kind']}/{obj['metadata']['name']}" for obj in objects}
    assert {where for _, where in listed if "kubeception-operator" not in where} <= rendered
