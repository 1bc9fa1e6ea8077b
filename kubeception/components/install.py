"""What a host needs once, before its first tenant; it belongs to no tenant and is never removed with one."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kubeception import __version__, names
from kubeception.api.crd import definitions
from kubeception.components.network_policy import any_address
from kubeception.components.rbac import Rule, account, rule
from kubeception.plan import lineage
from kubeception.plan.endpoint import API_PORT
from kubeception.plan.facts import Object
from kubeception.plan.images import ALLOWED, DIGESTS, OURS, OWN, images
from kubeception.plan.network import LINK_LOCAL
from kubeception.plan.render import manifest
from kubeception.plan.versions import image

PORT: Final = 8080
"""Of the operator's health and metrics."""
LABELS: Final[Mapping[str, str]] = {"app.kubernetes.io/name": names.OPERATOR}
VERSION_LABEL: Final = "app.kubernetes.io/version"
"""On the Deployment: the release it runs."""

READ: Final = ("get", "list", "watch")
WATCH: Final = ("list", "watch")
WRITE: Final = ("create", "patch", "delete")
RBAC: Final = "rbac.authorization.k8s.io"
COORDINATION: Final = "coordination.k8s.io"
MIGRATIONS: Final = "virtualmachineinstancemigrations"

OPERATOR_RULES: Final[tuple[Rule, ...]] = (
    rule(("tenantclusters",), (*READ, "patch"), group=names.GROUP),
    rule(("nodepools",), (*WATCH, "patch", "delete"), group=names.GROUP),
    rule(("tenantclusters/status", "nodepools/status"), ("patch",), group=names.GROUP),
    rule(("namespaces",), (*READ, *WRITE)),
    rule(("rolebindings",), (*READ, *WRITE), group=RBAC),
    rule(("clusterroles",), ("bind",), group=RBAC, only=(names.TENANT_ROLE, names.STORAGE)),
    rule(("leases",), READ, group=COORDINATION),
    rule(("events",), ("create", "get", "patch")),
    rule(("nodes", "persistentvolumes"), ("list",)),
    rule(("storageclasses",), ("list",), group="storage.k8s.io"),
    rule(("servicecidrs",), ("list",), group="networking.k8s.io"),
    *(
        rule(kinds, WATCH, group=group)
        for group, kinds in (
            ("", ("limitranges", "resourcequotas", "services")),
            ("apps", ("deployments", "statefulsets")),
            ("kubevirt.io", ("virtualmachines", "virtualmachineinstances", MIGRATIONS)),
            ("networking.k8s.io", ("networkpolicies",)),
        )
    ),
)
"""What the operator may do anywhere in the host; two ValidatingAdmissionPolicies narrow what RBAC can't.

It watches what tenants are made of, by one stream for each kind: of Secrets, ConfigMaps and pods it
sees only those in tenants' namespaces.
"""

TENANT_RULES: Final[tuple[Rule, ...]] = (
    rule(("configmaps", "secrets", "serviceaccounts"), (*WATCH, *WRITE)),
    rule(("secrets",), ("get",)),
    rule(("services", "resourcequotas"), WRITE),
    rule(("limitranges",), ("create", "patch")),
    rule(("persistentvolumeclaims",), ("list", "patch")),
    rule(("pods",), (*WATCH, "patch", "delete")),
    rule(("pods/portforward",), ("get", "create")),
    rule(("events",), ("list",)),
    rule(("deployments", "statefulsets"), WRITE, group="apps"),
    rule(("networkpolicies",), WRITE, group="networking.k8s.io"),
    rule(("endpointslices",), (*WATCH, *WRITE), group="discovery.k8s.io"),
    rule(("virtualmachines",), WRITE, group="kubevirt.io"),
    rule(("virtualmachineinstances",), ("patch",), group="kubevirt.io"),
    rule((MIGRATIONS,), ("create", "patch"), group="kubevirt.io"),
    rule(("datavolumes",), ("get",), group="cdi.kubevirt.io"),
)
"""What it may do in a tenant's two namespaces, beside reading what it reads everywhere."""

STORAGE_RULES: Final[tuple[Rule, ...]] = (
    rule(("datavolumes",), ("get", "create", "delete"), group="cdi.kubevirt.io"),
    rule(("virtualmachines", "virtualmachineinstances"), ("get", "list"), group="kubevirt.io"),
    rule(
        ("virtualmachines/addvolume", "virtualmachines/removevolume"),
        ("update",),
        group="subresources.kubevirt.io",
    ),
)
"""What a tenant's storage driver may do in the namespace of its machines."""

POD_NODES: Final = rule(("pods",), ("create",))
"""What it may do besides where nodes may be pods of the host."""

SYSTEM_RULES: Final[tuple[Rule, ...]] = (
    rule(("leases",), ("create",), group=COORDINATION),
    rule(("leases",), ("update", "delete"), group=COORDINATION, only=(names.OPERATOR,)),
    rule(("serviceaccounts",), ("get",), only=(names.OPERATOR,)),
    rule(("configmaps",), ("get",), only=(names.IMAGES,)),
)
"""What it may do in its own namespace."""

FACTS: Final = (
    ("kube-public", (rule(("configmaps",), ("get",), only=("local-registry-hosting",)),)),
    ("kube-system", (rule(("configmaps",), ("get",), only=("kubeadm-config", lineage.NAME)),)),
    ("default", (rule(("services",), ("get",), only=("kubernetes",)),)),
)
"""Single objects that tell what the host is like."""


@dataclass(frozen=True)
class Options:
    """What may differ between installations."""

    image: str = image("kubeception")
    replicas: int = 1
    """One works, the others stand by."""
    pod_nodes: bool = False
    """Whether the operator may make privileged pods in the namespaces of nodes."""
    allowed: tuple[str, ...] = ()
    """Images that NodePools may name, beside the release's own: registries, paths, repositories."""
    digests: tuple[str, ...] = ()
    """`IMAGE:TAG@sha256:…` of all images, where none is to go without."""


def host_prerequisites() -> list[Object]:
    """The CustomResourceDefinitions, the PriorityClass of control planes, and policies that hold whoever asks."""
    policies = (
        ("deletion-protection", names.PROTECTION_POLICY),
        ("service", names.SERVICE_POLICY),
        ("storage", names.STORAGE),
    )
    return [
        *definitions(),
        manifest("install/priority-class.yaml.j2", {}),
        *(
            _manifest(template, name=name)
            for policy, name in policies
            for template in (f"{policy}-policy", "policy-binding")
        ),
        _rbac("cluster-role", names.STORAGE, rules=[*STORAGE_RULES]),
    ]


def operator(options: Options) -> Iterator[Object]:
    """The operator, beside the prerequisites, in an order in which it can be written."""
    yield _manifest("namespace")
    yield _rbac("service-account", names.OPERATOR, names.SYSTEM_NAMESPACE)
    allowed = [*TENANT_RULES, *((POD_NODES,) if options.pod_nodes else ())]
    yield _rbac("cluster-role", names.TENANT_ROLE, rules=allowed)
    yield _rbac("cluster-role", names.OPERATOR, rules=[*OPERATOR_RULES])
    for kind in ("namespace", "role-binding"):
        name = f"{names.OPERATOR}-{kind}s"
        yield _manifest(f"{kind}-policy", name=name, pod_nodes=options.pod_nodes)
        yield _manifest("policy-binding", name=name)
    yield from _images(options)
    yield _bound("cluster-role-binding", "ClusterRole")
    for namespace, rules in ((names.SYSTEM_NAMESPACE, SYSTEM_RULES), *FACTS):
        yield _rbac("role", names.OPERATOR, namespace, rules=[*rules])
        yield _bound("role-binding", "Role", namespace)
    shared = {"labels": LABELS, "port": PORT}
    yield _manifest(
        "network-policy", world=any_address([LINK_LOCAL[0]]), api_port=API_PORT, **shared
    )
    yield _manifest("pod-disruption-budget", **shared)
    yield _manifest(
        "deployment",
        image=images(_said(options)).pinned(options.image),
        replicas=options.replicas,
        version=__version__,
        **shared,
    )


def _images(options: Options) -> Iterator[Object]:
    """What is said of images, and the policy that holds the operator's account to it, whoever has that."""
    meta = {"name": names.IMAGES, "namespace": names.SYSTEM_NAMESPACE}
    yield manifest("components/common/config-map.yaml.j2", {**meta, "data": _said(options)})
    yield _manifest(
        "image-policy",
        name=names.IMAGES,
        allowed=json.dumps([*OURS, *options.allowed]),
        pinned=json.dumps(bool(options.digests)),
        images=_named_by("object"),
        before=_named_by("oldObject"),
    )
    yield _manifest("policy-binding", name=names.IMAGES)


def _said(options: Options) -> dict[str, str]:
    """The data of the ConfigMap."""
    listed = {OWN: OURS, ALLOWED: options.allowed, DIGESTS: options.digests}
    return {key: "\n".join(entries) for key, entries in listed.items()}


def _named_by(obj: str) -> str:
    """The images that an object of a policy names, as an expression: a pod's, a workload's or a virtual machine's."""
    pod = f'(request.resource.resource == "pods" ? {obj}.spec : {obj}.spec.template.spec)'
    disk = 'v.?containerDisk.?image.orValue(v.?image.?reference.orValue(""))'
    volume = 'd.spec.?source.?registry.?url.orValue("").replace("docker://", "")'
    lists = (
        f'{pod}.?containers.orValue([]).map(c, c.?image.orValue(""))',
        f'{pod}.?initContainers.orValue([]).map(c, c.?image.orValue(""))',
        f"{pod}.?volumes.orValue([]).map(v, {disk})",
        f'[{pod}.?domain.?firmware.?kernelBoot.?container.?image.orValue("")]',
        f"{obj}.spec.?dataVolumeTemplates.orValue([]).map(d, {volume})",
    )
    return f'({" + ".join(lists)}).filter(i, i != "")'


def tenant_access(namespace: str) -> Object:
    """The RoleBinding by which the operator may work in a tenant's namespace.

    It goes when nothing is left there that it is needed for: its finalizer keeps it until then.
    """
    binding = _bound("role-binding", "ClusterRole", namespace, names.TENANT_ROLE)
    binding["metadata"]["finalizers"] = [names.FINALIZER]
    return binding


def _bound(
    template: str, role_kind: str, namespace: str = "", role: str = names.OPERATOR
) -> Object:
    subjects = [account(names.SYSTEM_NAMESPACE, names.OPERATOR)]
    return _rbac(
        template, names.OPERATOR, namespace, role_kind=role_kind, role=role, subjects=subjects
    )


def _rbac(template: str, name: str, namespace: str = "", **values: Any) -> Object:
    return manifest(
        f"components/rbac/{template}.yaml.j2", {"name": name, "namespace": namespace, **values}
    )


def _manifest(template: str, **values: Any) -> Object:
    return manifest(f"install/{template}.yaml.j2", values)
