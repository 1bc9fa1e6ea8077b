"""Roles, bindings and accounts, as short as they can be said."""

from collections.abc import Sequence
from typing import Any

from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object

Rule = dict[str, Any]
Subject = dict[str, str]


def rule(
    resources: Sequence[str], verbs: Sequence[str], *, group: str = "", only: Sequence[str] = ()
) -> Rule:
    """A rule on resources of one API group, on all of them or on those named `only`."""
    found: Rule = {"apiGroups": [group], "resources": [*resources], "verbs": [*verbs]}
    return found | {"resourceNames": [*only]} if only else found


def group(name: str) -> Subject:
    """A group as a subject."""
    return {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": name}


def user(name: str) -> Subject:
    """A user as a subject."""
    return {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name}


def account(namespace: str, name: str) -> Subject:
    """A ServiceAccount as a subject."""
    return {"kind": "ServiceAccount", "namespace": namespace, "name": name}


def service_account(ctx: PlanContext, namespace: str, name: str) -> Object:
    """A ServiceAccount."""
    return ctx.manifest("rbac/service-account.yaml.j2", namespace=namespace, name=name)


def cluster_role(ctx: PlanContext, name: str, *rules: Rule) -> Object:
    """A ClusterRole."""
    return ctx.manifest("rbac/cluster-role.yaml.j2", name=name, rules=[*rules])


def role(ctx: PlanContext, namespace: str, name: str, *rules: Rule) -> Object:
    """A Role."""
    return ctx.manifest("rbac/role.yaml.j2", namespace=namespace, name=name, rules=[*rules])


def bind_cluster_role(
    ctx: PlanContext, name: str, cluster_role_name: str, *subjects: Subject
) -> Object:
    """A ClusterRoleBinding."""
    return ctx.manifest(
        "rbac/cluster-role-binding.yaml.j2",
        name=name,
        role_kind="ClusterRole",
        role=cluster_role_name,
        subjects=[*subjects],
    )


def bind_role(
    ctx: PlanContext, namespace: str, name: str, role_name: str, *subjects: Subject
) -> Object:
    """A RoleBinding to a Role of the same namespace."""
    return ctx.manifest(
        "rbac/role-binding.yaml.j2",
        namespace=namespace,
        name=name,
        role_kind="Role",
        role=role_name,
        subjects=[*subjects],
    )
