"""metrics-server of the tenant: `kubectl top` and horizontal autoscaling."""

import base64
from collections.abc import Iterator

from kubeception.components.rbac import (
    account,
    bind_cluster_role,
    bind_role,
    cluster_role,
    rule,
    service_account,
)
from kubeception.components.tenant import SYSTEM, TenantComponent
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object
from kubeception.plan.secret import opaque


class MetricsServer(TenantComponent):
    """An aggregated API whose certificates are checked both ways: towards kubelets, and by kube-apiserver."""

    name = "metrics-server"
    needs = ("credentials",)
    workload = ("Deployment", SYSTEM, "metrics-server")

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        if not ctx.spec.addons.metrics_server:
            return
        who = account(SYSTEM, "metrics-server")
        name = "system:metrics-server"
        yield service_account(ctx, SYSTEM, "metrics-server")
        yield ctx.manifest("metrics-server/reader.yaml.j2")
        yield cluster_role(
            ctx,
            name,
            rule(["nodes/metrics"], ["get"]),
            rule(["pods", "nodes"], ["get", "list", "watch"]),
        )
        yield bind_cluster_role(ctx, name, name, who)
        yield bind_cluster_role(
            ctx, "metrics-server:system:auth-delegator", "system:auth-delegator", who
        )
        yield bind_role(
            ctx,
            SYSTEM,
            "metrics-server-auth-reader",
            "extension-apiserver-authentication-reader",
            who,
        )

        pair = ctx.pki.leaf("metrics-server", "serving")
        files = {
            "serving.crt": pair.cert,
            "serving.key": pair.key,
            "kubelet-serving-ca.crt": ctx.pki.ca("kubelet-serving").cert,
        }
        yield opaque(SYSTEM, "metrics-server", files)
        yield ctx.manifest("metrics-server/service.yaml.j2")
        yield ctx.manifest("metrics-server/deployment.yaml.j2")
        ca = base64.b64encode(ctx.pki.ca("serving").cert).decode("ascii")
        yield ctx.manifest("metrics-server/api-service.yaml.j2", ca=ca)
