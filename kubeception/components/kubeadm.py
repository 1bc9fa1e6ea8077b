"""What a stock `kubeadm join` finds in a cluster that `kubeadm init` made; names and rights are kubeadm's.

Upstream: cmd/kubeadm/app/phases/{bootstraptoken,uploadconfig,kubelet} of Kubernetes 1.36.
"""

from collections.abc import Iterator
from typing import Final

from kubeception.components import machines
from kubeception.components.rbac import (
    bind_cluster_role,
    bind_role,
    cluster_role,
    group,
    role,
    rule,
    user,
)
from kubeception.components.tenant import SYSTEM, TenantComponent, config_map
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object
from kubeception.plan.kubelet import kubelet_configuration
from kubeception.plan.render import document

PUBLIC: Final = "kube-public"
TOKENS: Final = group("system:bootstrappers:kubeadm:default-node-token")
NODES: Final = group("system:nodes")
CSR_APPROVAL: Final = "system:certificates.k8s.io:certificatesigningrequests"


class Kubeadm(TenantComponent):
    """The ConfigMaps, roles and bindings that make any machine a possible node."""

    name = "kubeadm"

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        yield from _rights(ctx)
        yield from _readable(ctx, SYSTEM, "kubeadm-config", "kubeadm:nodes-kubeadm-config")
        yield from _readable(ctx, SYSTEM, "kubelet-config", "kubeadm:kubelet-config")
        yield from _cluster_info(ctx)

        cluster = document(_cluster_configuration(ctx))
        yield config_map(ctx, SYSTEM, "kubeadm-config", {"ClusterConfiguration": cluster})
        kubelet = document(kubelet_configuration(ctx))
        yield config_map(ctx, SYSTEM, "kubelet-config", {"kubelet": kubelet})


def _cluster_configuration(ctx: PlanContext) -> Object:
    if ctx.spec.control_plane.in_machines:
        return machines.cluster_configuration(ctx)
    return ctx.manifest("kubeadm/cluster-configuration.yaml.j2")


def _rights(ctx: PlanContext) -> Iterator[Object]:
    yield bind_cluster_role(
        ctx, "kubeadm:cluster-admins", "cluster-admin", group("kubeadm:cluster-admins")
    )
    yield bind_cluster_role(
        ctx,
        "kubeadm:apiserver-kubelet-client",
        "system:kubelet-api-admin",
        user("kube-apiserver-kubelet-client"),
    )
    yield bind_cluster_role(ctx, "kubeadm:kubelet-bootstrap", "system:node-bootstrapper", TOKENS)
    yield bind_cluster_role(
        ctx, "kubeadm:node-autoapprove-bootstrap", f"{CSR_APPROVAL}:nodeclient", TOKENS
    )
    yield bind_cluster_role(
        ctx,
        "kubeadm:node-autoapprove-certificate-rotation",
        f"{CSR_APPROVAL}:selfnodeclient",
        NODES,
    )
    yield cluster_role(ctx, "kubeadm:get-nodes", rule(["nodes"], ["get"]))
    yield bind_cluster_role(ctx, "kubeadm:get-nodes", "kubeadm:get-nodes", TOKENS)


def _readable(ctx: PlanContext, namespace: str, name: str, role_name: str) -> Iterator[Object]:
    """The right of joining and joined nodes to read one ConfigMap."""
    yield role(ctx, namespace, role_name, rule(["configmaps"], ["get"], only=[name]))
    yield bind_role(ctx, namespace, role_name, role_name, TOKENS, NODES)


def _cluster_info(ctx: PlanContext) -> Iterator[Object]:
    """What everybody may read before having any credential: the endpoint and its CA."""
    name = "kubeadm:bootstrap-signer-clusterinfo"
    yield role(ctx, PUBLIC, name, rule(["configmaps"], ["get"], only=["cluster-info"]))
    yield bind_role(ctx, PUBLIC, name, name, user("system:anonymous"))
    info = ctx.pki.nobodys_kubeconfig()
    yield config_map(ctx, PUBLIC, "cluster-info", {"kubeconfig": document(info)})
