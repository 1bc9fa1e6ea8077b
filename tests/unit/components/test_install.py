"""What the operator may do, and how its pod is kept."""

from typing import Any

import pytest

from kubeception import names
from kubeception.components.install import (
    FACTS,
    OPERATOR_RULES,
    SYSTEM_RULES,
    TENANT_RULES,
    Options,
    host_prerequisites,
    operator,
    tenant_access,
)
from kubeception.components.rbac import Rule
from kubeception.engine import observe
from kubeception.engine.install import OPERATOR_KINDS, documents
from kubeception.kube.kinds import kind
from kubeception.plan.facts import Object, key_of
from kubeception.providers import PROVIDERS
from tests.plans import find

RULES = (*OPERATOR_RULES, *TENANT_RULES, *SYSTEM_RULES, *(r for _, rules in FACTS for r in rules))


def allows(rules: tuple[Rule, ...], verb: str, name: str) -> bool:
    found = kind(name)
    return any(
        verb in rule["verbs"]
        and found.plural in rule["resources"]
        and found.group in rule["apiGroups"]
        and "resourceNames" not in rule
        for rule in rules
    )


@pytest.fixture(name="deployment")
def _deployment() -> Object:
    return next(o for o in operator(Options(replicas=3)) if o["kind"] == "Deployment")


def test_nothing_is_allowed_by_a_wildcard() -> None:
    words = [w for rule in RULES for key in ("verbs", "resources", "apiGroups") for w in rule[key]]
    assert words
    assert not [word for word in words if "*" in word]


@pytest.mark.parametrize("name", ["ConfigMap", "Pod", "Secret"])
@pytest.mark.parametrize("verb", ["get", "list", "watch", "create", "patch", "delete"])
def test_what_holds_secrets_is_out_of_reach_in_the_host(name: str, verb: str) -> None:
    assert not allows(OPERATOR_RULES, verb, name)


@pytest.mark.parametrize("verb", ["escalate", "impersonate", "approve", "deletecollection"])
def test_no_verb_leads_further(verb: str) -> None:
    assert not [rule for rule in RULES if verb in rule["verbs"]]


def test_it_may_bind_its_own_role_and_that_of_storage_drivers() -> None:
    binds = [rule for rule in RULES if "bind" in rule["verbs"]]
    assert [rule["resourceNames"] for rule in binds] == [[names.TENANT_ROLE, names.STORAGE]]


@pytest.mark.parametrize("name", sorted({*observe.CONTROL_PLANE_KINDS, *observe.NODES_KINDS}))
def test_it_may_list_all_that_a_pass_reads(name: str) -> None:
    assert allows(TENANT_RULES, "list", name) or allows(OPERATOR_RULES, "list", name)


@pytest.mark.parametrize("name", PROVIDERS["kubevirt"].kinds)
def test_it_may_watch_machines_of_all_tenants_and_change_none_elsewhere(name: str) -> None:
    assert allows(OPERATOR_RULES, "watch", name)
    assert not allows(OPERATOR_RULES, "patch", name)
    assert allows(TENANT_RULES, "patch", name)


def test_it_makes_privileged_pods_only_where_it_was_installed_for_that() -> None:
    def installed(*, pod_nodes: bool) -> tuple[Object, str]:
        objects = list(operator(Options(pod_nodes=pod_nodes)))
        role = find(objects, "ClusterRole", names.TENANT_ROLE)
        policy = find(objects, "ValidatingAdmissionPolicy", f"{names.OPERATOR}-namespaces")
        return role, str(policy["spec"]["validations"])

    role, said = installed(pod_nodes=False)
    assert not allows(tuple(role["rules"]), "create", "Pod")
    assert "privileged" not in said
    role, said = installed(pod_nodes=True)
    assert allows(tuple(role["rules"]), "create", "Pod")
    assert f'"privileged" && variables.asked.metadata.name.startsWith("{names.NODES_PREFIX}")' in (
        said
    )


def test_every_kind_that_is_installed_would_be_found_again() -> None:
    assert {o["kind"] for o in operator(Options())} == set(OPERATOR_KINDS)


def test_the_pod_is_held_to_restricted(deployment: Object) -> None:
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert container["resources"]["requests"]
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
    assert deployment["spec"]["replicas"] == 3
    [namespace] = [o for o in operator(Options()) if o["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_rights_in_a_namespace_stay_until_they_are_let_go() -> None:
    binding = tenant_access("kc-x")
    assert binding["metadata"]["finalizers"] == [names.FINALIZER]
    assert binding["roleRef"]["name"] == names.TENANT_ROLE
    assert [subject["name"] for subject in binding["subjects"]] == [names.OPERATOR]


def test_the_file_has_all_of_it_once_kinds_first() -> None:
    found = documents(Options())
    keys = [key_of(obj) for obj in found]
    assert len(set(keys)) == len(keys)
    assert keys[: len(host_prerequisites())] == [key_of(o) for o in host_prerequisites()]
    assert all(names.APPLIED_ANNOTATION in o["metadata"]["annotations"] for o in found)


def test_migrations_are_made_and_disks_only_read_and_only_in_tenants_namespaces() -> None:
    migration = "VirtualMachineInstanceMigration"
    assert allows(TENANT_RULES, "create", migration)
    assert not allows(OPERATOR_RULES, "create", migration)
    verbs = ("get", "list", "watch", "create", "patch", "delete")
    assert [verb for verb in verbs if allows(TENANT_RULES, verb, "DataVolume")] == ["get"]
    assert not [verb for verb in verbs if allows(OPERATOR_RULES, verb, "DataVolume")]


def test_the_operator_may_dial_the_pods_of_tenants_api_servers() -> None:
    """By their label: where the host runs Cilium, no range of addresses means a pod."""
    found = find(list(operator(Options())), "NetworkPolicy", names.OPERATOR)
    to = {
        "namespaceSelector": {},
        "podSelector": {"matchLabels": {names.COMPONENT_LABEL: "control-plane"}},
    }
    assert {"to": [to], "ports": [{"protocol": "TCP", "port": 6443}]} in found["spec"]["egress"]


def test_the_operator_may_dial_a_host_whose_api_server_is_on_a_node() -> None:
    """By halves of all addresses: where the host runs Cilium, all of them together mean no node."""
    found = find(list(operator(Options())), "NetworkPolicy", names.OPERATOR)
    blocks = [
        to["ipBlock"] for way in found["spec"]["egress"] for to in way["to"] if "ipBlock" in to
    ]
    assert blocks == [
        {"cidr": "0.0.0.0/1"},
        {"cidr": "128.0.0.0/1", "except": ["169.254.0.0/16"]},
    ]
