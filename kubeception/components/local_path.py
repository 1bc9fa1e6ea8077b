"""The tenant's default StorageClass: folders of the nodes, by local-path-provisioner."""

from collections.abc import Iterator

from kubeception.api.v1alpha1 import LOCAL_PATH
from kubeception.components.rbac import (
    account,
    bind_cluster_role,
    bind_role,
    cluster_role,
    role,
    rule,
    service_account,
)
from kubeception.components.tenant import TenantComponent
from kubeception.plan.context import PlanContext
from kubeception.plan.edit import restart_on_change
from kubeception.plan.facts import Object
from kubeception.plan.render import document

NAMESPACE = "local-path-storage"
READ = ("get", "list", "watch")
WRITE = (*READ, "create", "patch", "update", "delete")


class LocalPath(TenantComponent):
    """The provisioner and its StorageClass."""

    name = "local-path"
    title = "Storage"
    workload = ("Deployment", NAMESPACE, "local-path-provisioner")

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        if not ctx.spec.addons.local_path:
            return
        name = "local-path-provisioner"
        who = account(NAMESPACE, name)
        yield ctx.manifest("local-path/namespace.yaml.j2")
        yield service_account(ctx, NAMESPACE, name)
        yield role(ctx, NAMESPACE, name, rule(["pods"], WRITE))
        yield bind_role(ctx, NAMESPACE, name, name, who)
        yield cluster_role(
            ctx,
            name,
            rule(["nodes", "persistentvolumeclaims", "configmaps", "pods", "pods/log"], READ),
            rule(["persistentvolumes"], WRITE),
            rule(["events"], ["create", "patch"]),
            rule(["storageclasses"], READ, group="storage.k8s.io"),
        )
        yield bind_cluster_role(ctx, name, name, who)
        helper = document(ctx.manifest("local-path/helper-pod.yaml.j2"))
        yield ctx.manifest("local-path/configmap.yaml.j2", helper_pod=helper)
        yield ctx.manifest(
            "local-path/storage-class.yaml.j2",
            name=LOCAL_PATH,
            default=not any(c.default for c in ctx.spec.storage.classes),
        )
        deployment = ctx.manifest("local-path/deployment.yaml.j2")
        restart_on_change(deployment, helper)
        yield deployment
