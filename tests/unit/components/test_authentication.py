"""Who may be somebody at the API server by whose word, as kube-apiserver reads it."""

import re
from typing import Any, Final

import pytest

from kubeception.api.authentication import RESERVED
from kubeception.components.authentication import configuration
from kubeception.components.control_plane import ControlPlane
from kubeception.plan.facts import Object
from tests.plans import case, find, plan

CORP: Final = {"name": "corp", "url": "https://id.example.com", "audiences": ["kubernetes"]}


def spec(*found: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"controlPlane": {**more, "authentication": {"issuers": list(found)}}}


def jwt(*found: dict[str, Any], **more: Any) -> list[Object]:
    listed: list[Object] = configuration(plan(spec(*found, **more)))["jwt"]
    return listed


def test_without_issuers_no_token_of_anybody_else_is_read() -> None:
    assert jwt() == []


def test_every_issuer_is_dialled_through_the_tunnel_and_its_people_bear_its_name() -> None:
    found = configuration(case("everything"))["jwt"]
    assert len(found) == 2
    for entry, name in zip(found, ("corp:", "robots:"), strict=True):
        assert entry["issuer"]["egressSelectorType"] == "cluster"
        mapped = entry["claimMappings"]
        assert {mapped["username"]["prefix"], mapped["groups"]["prefix"]} == {name}
        assert not any("expression" in each for each in mapped.values())


def test_a_machine_of_the_control_plane_has_no_tunnel_and_dials_them_itself() -> None:
    (entry,) = jwt(CORP, provider="kubevirt")
    assert entry["issuer"]["egressSelectorType"] == ""


def test_the_tunnel_is_there_for_them() -> None:
    (data,) = (o for o in ControlPlane().objects(plan()) if o["kind"] == "ConfigMap")
    assert "name: cluster" in data["data"]["egress-selector.yaml"]


@pytest.mark.parametrize("value", ["{{ 7 * 7 }}", "a: b\n".strip(), "'\"", "\ue000", "${HOME}"])
def test_a_value_is_data(value: str) -> None:
    (entry,) = jwt({**CORP, "requiredClaims": {"note": value}})
    assert entry["claimValidationRules"] == [{"claim": "note", "requiredValue": value}]


def test_the_rules_know_what_is_reserved() -> None:
    (entry,) = jwt(CORP)
    for rule in entry["userValidationRules"]:
        (alternatives,) = re.findall(r'\^\(([a-z|]+)\):"', rule["expression"])
        assert set(alternatives.split("|")) == set(RESERVED)
    assert len(entry["userValidationRules"]) == 2


def test_the_api_server_starts_anew_for_other_issuers() -> None:
    """It would also read the file again, but takes it only once every issuer in it answers."""

    def template(*found: dict[str, Any]) -> Object:
        objects = list(ControlPlane().objects(plan(spec(*found))))
        made: Object = find(objects, "Deployment", "control-plane")["spec"]["template"]
        return made

    assert template(CORP) == template(CORP)
    assert template(CORP) != template()
    assert template(CORP) != template({**CORP, "audiences": ["other"]})
