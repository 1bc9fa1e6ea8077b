"""Volumes of the host: what is rendered for which classes, and what is refused."""

import json
from dataclasses import replace
from typing import Any

import pytest

from kubeception import names
from kubeception.components.install import STORAGE_RULES
from kubeception.components.storage import Storage, StorageController
from kubeception.errors import KubeceptionError, SpecError
from kubeception.plan.context import PlanContext
from kubeception.plan.edit import container
from kubeception.plan.facts import Object
from tests.plans import everything, find, plan

FAST = {"name": "fast", "hostStorageClass": "host-nvme"}
SLOW = {"name": "slow", "hostStorageClass": "host-hdd", "default": True}


def storage(*classes: dict[str, Any], **host: Any) -> PlanContext:
    """A tenant with these classes, on a host of which this is known."""
    ctx = plan({"storage": {"classes": [*classes]}})
    facts = replace(ctx.facts, host=replace(ctx.facts.host, **host))
    return plan({"storage": {"classes": [*classes]}}, facts=facts)


def of(ctx: PlanContext) -> list[Object]:
    return [*StorageController().objects(ctx), *Storage().objects(ctx)]


def test_without_classes_there_is_nothing() -> None:
    ctx = plan()
    assert of(ctx) == []
    assert StorageController().ready(ctx, {}).ok
    assert Storage().ready(ctx, {}).ok


def test_a_class_is_one_of_the_hosts() -> None:
    fast = find(everything(storage(FAST, SLOW)), "StorageClass", "fast")
    assert fast["parameters"]["infraStorageClassName"] == "host-nvme"
    assert fast["volumeBindingMode"] == "WaitForFirstConsumer"
    assert "allowVolumeExpansion" not in fast


@pytest.mark.parametrize(("classes", "default"), [((FAST,), "local-path"), ((FAST, SLOW), "slow")])
def test_there_is_one_default(classes: tuple[dict[str, Any], ...], default: str) -> None:
    key = "storageclass.kubernetes.io/is-default-class"
    found = [o for o in everything(storage(*classes)) if o["kind"] == "StorageClass"]
    marked = [o for o in found if o["metadata"]["annotations"][key] == "true"]
    assert [o["metadata"]["name"] for o in marked] == [default]


def test_every_class_that_is_not_offered_is_named_with_what_to_do() -> None:
    ctx = storage(FAST, SLOW, offered_classes=("others",))
    with pytest.raises(SpecError) as refused:
        of(ctx)
    assert refused.value.problems == (
        "spec.storage.classes[0].hostStorageClass: host-nvme is not offered by the host",
        "spec.storage.classes[1].hostStorageClass: host-hdd is not offered by the host",
    )
    said = f"kubectl label storageclass host-hdd host-nvme {names.OFFERED_LABEL}=true"
    assert refused.value.hint.startswith("Offered are: others.")
    assert said in refused.value.hint


def test_a_host_without_data_volumes_says_so() -> None:
    with pytest.raises(KubeceptionError, match="no DataVolumes"):
        of(storage(FAST, data_volumes=False))


def test_the_driver_and_the_namespace_know_the_classes_that_are_asked_for_and_no_others() -> None:
    ctx = storage(FAST, offered_classes=("host-nvme", "another"))
    objects = everything(ctx)
    namespace = find(objects, "Namespace", ctx.nodes_namespace)["metadata"]
    assert namespace["annotations"][names.STORAGE_CLASSES_ANNOTATION] == "host-nvme"
    assert namespace["labels"][names.GUARDED_LABEL] == "true"
    driver = container(find(objects, "Deployment", names.STORAGE_ACCOUNT), "csi-driver")
    (enforced,) = [json.loads(env["value"]) for env in driver["env"]]
    assert enforced == {"allowAll": False, "allowDefault": False, "allowList": ["host-nvme"]}


def test_a_withdrawn_offer_closes_the_namespace() -> None:
    ctx = storage(FAST, offered_classes=())
    assert ctx.host_classes == []


def test_the_drivers_role_is_of_the_host_and_for_the_nodes_namespace() -> None:
    ctx = storage(FAST)
    objects = everything(ctx)
    binding = find(objects, "RoleBinding", names.STORAGE)
    assert binding["metadata"]["namespace"] == ctx.nodes_namespace
    assert binding["roleRef"]["name"] == names.STORAGE
    assert [(s["namespace"], s["name"]) for s in binding["subjects"]] == [
        (ctx.namespace, names.STORAGE_ACCOUNT)
    ]
    granted = {(r, v) for rule in STORAGE_RULES for r in rule["resources"] for v in rule["verbs"]}
    assert not {r for r, _ in granted} & {"secrets", "configmaps", "pods", "persistentvolumes"}
    assert not {v for _, v in granted} & {"*", "patch", "watch", "deletecollection"}


def test_in_the_tenant_the_driver_reads_no_secret() -> None:
    role = find(everything(storage(FAST)), "ClusterRole", names.STORAGE)
    resources = {resource for rule in role["rules"] for resource in rule["resources"]}
    assert "persistentvolumes" in resources
    assert not resources & {"secrets", "configmaps", "pods", "*"}
    assert find(everything(storage(FAST)), "ClusterRole", "kubevirt-csi-node")["rules"] == [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
    ]


def test_the_plugin_runs_on_virtual_machines_only() -> None:
    spec = find(everything(storage(FAST)), "DaemonSet", "kubevirt-csi-node")["spec"]
    assert spec["template"]["spec"]["nodeSelector"][names.PROVIDER_LABEL] == "kubevirt"


@pytest.mark.parametrize(
    ("classes", "problem"),
    [
        ((FAST, {**SLOW, "name": "fast"}), "two have the same name"),
        (({**FAST, "default": True}, SLOW), "more than one is the default"),
        (({**FAST, "name": "local-path"},), "local-path is the class of addons.localPath"),
    ],
)
def test_classes_that_can_not_be_are_refused(
    classes: tuple[dict[str, Any], ...], problem: str
) -> None:
    with pytest.raises(SpecError, match=problem):
        plan({"storage": {"classes": [*classes]}})
