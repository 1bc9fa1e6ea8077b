"""The ServiceAccounts kube-controller-manager's controllers work as, made before it starts.

It makes those it lacks by itself, but one after the other, three requests each, before its first controller
starts: half a second, in which kube-apiserver could have done all of them while it was waiting to be ready.
"""

from collections.abc import Iterator
from typing import Final

from kubeception.components.rbac import service_account
from kubeception.components.tenant import SYSTEM, TenantComponent
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object

ACCOUNTS: Final = (
    "attachdetach-controller",
    "bootstrap-signer",
    "certificate-controller",
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemon-set-controller",
    "deployment-controller",
    "device-taint-eviction-controller",
    "disruption-controller",
    "endpoint-controller",
    "endpointslice-controller",
    "endpointslicemirroring-controller",
    "ephemeral-volume-controller",
    "expand-controller",
    "generic-garbage-collector",
    "horizontal-pod-autoscaler",
    "job-controller",
    "legacy-service-account-token-cleaner",
    "namespace-controller",
    "node-controller",
    "persistent-volume-binder",
    "pod-garbage-collector",
    "pv-protection-controller",
    "pvc-protection-controller",
    "replicaset-controller",
    "replication-controller",
    "resource-claim-controller",
    "resourcequota-controller",
    "root-ca-cert-publisher",
    "service-account-controller",
    "service-cidrs-controller",
    "statefulset-controller",
    "token-cleaner",
    "ttl-after-finished-controller",
    "ttl-controller",
    "validatingadmissionpolicy-status-controller",
    "volumeattributesclass-protection-controller",
)
"""Those of Kubernetes 1.36; one that a version lacks stays unused, one that is missing here costs milliseconds."""


class ControllerAccounts(TenantComponent):
    """ServiceAccounts without any right of their own: their roles are kube-apiserver's."""

    name = "controller-accounts"

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        for name in ACCOUNTS:
            yield service_account(ctx, SYSTEM, name)
