"""The reading of audit logs against roles."""

import json
from pathlib import Path
from typing import Any

import pytest

from kubeception import names
from kubeception.components.rbac import rule
from tests.rbac_audit import Right, denied, granted, main, read, reasons, used

TENANT = f"ClusterRole {names.TENANT_ROLE}"


def event(verb: str, resource: str, reason: str = "", code: int = 200, **ref: str) -> Any:
    return {
        "user": {"username": names.OPERATOR_USER},
        "verb": verb,
        "objectRef": {"resource": resource, **ref},
        "responseStatus": {"code": code},
        "annotations": {"authorization.k8s.io/reason": reason},
    }


def by(kind: str, role: str, binding: str) -> str:
    return f'RBAC: allowed by RoleBinding "{binding}" of {kind} "{role}" to ServiceAccount "x/y"'


def test_rights_are_those_of_roles_one_by_one() -> None:
    roles: list[dict[str, Any]] = [
        {
            "kind": "Role",
            "metadata": {"name": "r", "namespace": "n"},
            "rules": [rule(("pods", "pods/log"), ("get", "list"))],
        },
        {
            "kind": "ClusterRole",
            "metadata": {"name": "c"},
            "rules": [rule(("x",), ("get",), group="g")],
        },
        {"kind": "Deployment", "metadata": {"name": "d"}},
    ]
    assert granted(roles) == {
        Right("Role n/r", "pods", "get"),
        Right("Role n/r", "pods", "list"),
        Right("Role n/r", "pods/log", "get"),
        Right("Role n/r", "pods/log", "list"),
        Right("ClusterRole c", "x.g", "get"),
    }


def test_a_right_is_used_where_the_api_server_says_so() -> None:
    tenant, own = by("ClusterRole", names.TENANT_ROLE, "b/kc-a"), by("Role", "r", "b/n")
    somebody = event("delete", "pods", tenant)
    somebody["user"] = {"username": "somebody"}
    events = [
        event("create", "pods", tenant, subresource="portforward"),
        event("get", "leases", own, apiGroup="coordination.k8s.io"),
        event("get", "secrets"),
        somebody,
    ]
    assert used(events) == {
        Right(TENANT, "pods/portforward", "create"),
        Right("Role n/r", "leases.coordination.k8s.io", "get"),
    }


def test_an_apply_that_creates_uses_two_rights() -> None:
    tenant = by("ClusterRole", names.TENANT_ROLE, "b/kc-a")
    events = [event("patch", "pods", tenant, code=201), event("patch", "secrets", tenant)]
    assert used(events) == {
        Right(TENANT, "pods", "create"),
        Right(TENANT, "pods", "patch"),
        Right(TENANT, "secrets", "patch"),
    }


def test_what_was_denied_is_told_once() -> None:
    refused = event("get", "secrets", code=403, namespace="kube-system")
    assert denied([refused, refused, event("get", "pods")]) == ["get secrets in kube-system"]


def test_both_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    allowed = event("patch", "pods", by("ClusterRole", names.TENANT_ROLE, "b/kc-a"))
    log = tmp_path / "audit.log"
    log.write_text(f"{json.dumps(allowed)}\n{json.dumps(event('get', 'x', code=403))}\n{{half")
    assert len(list(read([log]))) == 2
    assert main([str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert f"unused: {TENANT}: delete secrets" in said
    assert f"unused: {TENANT}: patch pods" not in said
    assert "denied: get x in all" in said


def test_a_right_without_a_test_bears_a_reason() -> None:
    listed = [{"why": "for the worst", "rights": [f"{TENANT}: delete pods"]}]
    assert reasons(listed) == {str(Right(TENANT, "pods", "delete"))}
    with pytest.raises(KeyError, match="why"):
        reasons([{"rights": [f"{TENANT}: get pods"]}])
