"""Volumes of the host in the tenant: kubevirt's CSI driver, its controller in the host and its plugin on the machines.

The controller makes a disk in the namespace of the tenant's machines and plugs it into the one a pod runs on; the
plugin there formats and mounts it. What the controller reads in the tenant is the tenant's to write, so its account
may do no more than that, and a policy of the host says of which StorageClasses there may be volumes.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from kubeception import names
from kubeception.components.base import Component, Readiness, deployment_ready
from kubeception.components.network_policy import any_address
from kubeception.components.rbac import (
    account,
    bind_cluster_role,
    cluster_role,
    rule,
    service_account,
    user,
)
from kubeception.components.tenant import SYSTEM, TenantComponent, everywhere
from kubeception.errors import KubeceptionError, SpecError
from kubeception.plan.context import PlanContext
from kubeception.plan.edit import restart_on_change
from kubeception.plan.endpoint import API_PORT
from kubeception.plan.facts import Key, Object
from kubeception.plan.network import LINK_LOCAL
from kubeception.plan.render import document

CONTROLLER: Final = names.STORAGE_ACCOUNT
PLUGIN: Final = "kubevirt-csi-node"
READ: Final = ("get", "list", "watch")


class StorageController(Component):
    """The driver's controller: the only pod of a control plane with an account of the host."""

    name = CONTROLLER
    needs = ("roots", "endpoint")

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        if not ctx.spec.storage.classes:
            return
        check(ctx)
        yield service_account(ctx, ctx.namespace, CONTROLLER)
        yield ctx.manifest(
            "rbac/role-binding.yaml.j2",
            namespace=ctx.nodes_namespace,
            name=names.STORAGE,
            role_kind="ClusterRole",
            role=names.STORAGE,
            subjects=[account(ctx.namespace, CONTROLLER)],
        )
        yield ctx.manifest(
            "storage/network-policy.yaml.j2",
            labels=ctx.labels(CONTROLLER),
            api_port=API_PORT,
            world=any_address([*ctx.facts.host.pod_cidrs, LINK_LOCAL[0]]),
        )
        server = ctx.endpoint.internal_url if ctx.endpoint else ""
        kubeconfig = document(ctx.manifest("storage/kubeconfig.yaml.j2", server=server))
        data = {"kubeconfig.yaml": kubeconfig}
        yield ctx.manifest(
            "common/config-map.yaml.j2", namespace=ctx.namespace, name=CONTROLLER, data=data
        )
        yield from ctx.pki.leaves(CONTROLLER)
        allowed = {"allowAll": False, "allowDefault": False, "allowList": ctx.host_classes}
        deployment = ctx.manifest(
            "storage/deployment.yaml.j2",
            labels=ctx.labels(CONTROLLER),
            disks=f"{names.CLUSTER_LABEL}={ctx.id}",
            allowed=json.dumps(allowed),
        )
        restart_on_change(deployment, kubeconfig)
        yield deployment

    def ready(self, ctx: PlanContext, seen: Mapping[Key, Object]) -> Readiness:
        if not ctx.spec.storage.classes:
            return Readiness.ready()
        return deployment_ready(seen.get(("Deployment", ctx.namespace, CONTROLLER)))


def check(ctx: PlanContext) -> None:
    """Raise SpecError for classes that the host doesn't offer, KubeceptionError where nothing there makes disks."""
    offered = ctx.facts.host.offered_classes
    asked = [c.host_storage_class for c in ctx.spec.storage.classes]
    if problems := [
        f"spec.storage.classes[{number}].hostStorageClass: {name} is not offered by the host"
        for number, name in enumerate(asked)
        if name not in offered
    ]:
        missing = " ".join(sorted({*asked} - {*offered}))
        raise SpecError(
            problems,
            what=f"TenantCluster {ctx.cluster.name}",
            hint=f"Offered are: {', '.join(offered) or 'none'}. An administrator of the host offers a class: "
            f"kubectl label storageclass {missing} {names.OFFERED_LABEL}=true",
        )
    if not ctx.facts.host.data_volumes:
        raise KubeceptionError(
            f"volumes of the host for {ctx.cluster.name}: the host has no DataVolumes, of which they are made",
            hint="Install the Containerized Data Importer there: https://github.com/kubevirt/containerized-data-importer",
        )


class Storage(TenantComponent):
    """The tenant's StorageClasses, the driver's plugin on its machines, and the controller's rights in the tenant."""

    name = "storage"
    needs = (CONTROLLER,)
    workload = ("DaemonSet", SYSTEM, PLUGIN)

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        if not ctx.spec.storage.classes:
            return
        yield from _rights(ctx)
        yield ctx.manifest("storage/csi-driver.yaml.j2")
        for storage_class in ctx.spec.storage.classes:
            yield ctx.manifest("storage/storage-class.yaml.j2", storage_class=storage_class)
        yield ctx.manifest("storage/daemonset.yaml.j2", name=PLUGIN, tolerations=everywhere(ctx))


def _rights(ctx: PlanContext) -> Iterator[Object]:
    """Of the controller, which is a user of the tenant, and of the plugin, which reads its own Node."""
    storage = "storage.k8s.io"
    yield cluster_role(
        ctx,
        names.STORAGE,
        rule(["persistentvolumes"], (*READ, "create", "patch", "delete")),
        rule(["persistentvolumeclaims"], (*READ, "update")),
        rule(["nodes"], READ),
        rule(["events"], ("list", "watch", "create", "update", "patch")),
        rule(["storageclasses", "csinodes", "volumeattributesclasses"], READ, group=storage),
        rule(["volumeattachments"], (*READ, "patch"), group=storage),
        rule(["volumeattachments/status"], ("patch",), group=storage),
    )
    yield bind_cluster_role(ctx, names.STORAGE, names.STORAGE, user(names.STORAGE))
    yield service_account(ctx, SYSTEM, PLUGIN)
    yield cluster_role(ctx, PLUGIN, rule(["nodes"], ("get",)))
    yield bind_cluster_role(ctx, PLUGIN, PLUGIN, account(SYSTEM, PLUGIN))
