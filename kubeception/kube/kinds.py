"""The kinds this project reads and writes, as a table: no discovery request, no cache of one in a shared folder."""

from dataclasses import dataclass
from typing import Final

from kubeception import names


@dataclass(frozen=True)
class Kind:
    """Where a kind is served."""

    name: str
    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of one object, or of all of them (in a namespace)."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(parts)


def _table() -> dict[str, Kind]:
    served = {
        ("", "v1"): (
            "ConfigMap configmaps, Endpoints endpoints, Event events, LimitRange limitranges, "
            "Namespace namespaces -, Node nodes -, PersistentVolume persistentvolumes -, "
            "PersistentVolumeClaim persistentvolumeclaims, Pod pods, ResourceQuota resourcequotas, "
            "Secret secrets, Service services, ServiceAccount serviceaccounts"
        ),
        ("admissionregistration.k8s.io", "v1"): (
            "MutatingWebhookConfiguration mutatingwebhookconfigurations -, "
            "ValidatingAdmissionPolicy validatingadmissionpolicies -, "
            "ValidatingAdmissionPolicyBinding validatingadmissionpolicybindings -, "
            "ValidatingWebhookConfiguration validatingwebhookconfigurations -"
        ),
        ("apiextensions.k8s.io", "v1"): "CustomResourceDefinition customresourcedefinitions -",
        ("apiregistration.k8s.io", "v1"): "APIService apiservices -",
        ("apps", "v1"): (
            "DaemonSet daemonsets, Deployment deployments, ReplicaSet replicasets, "
            "StatefulSet statefulsets"
        ),
        ("authentication.k8s.io", "v1"): "SelfSubjectReview selfsubjectreviews -",
        ("batch", "v1"): "Job jobs",
        ("cdi.kubevirt.io", "v1beta1"): "DataVolume datavolumes",
        ("certificates.k8s.io", "v1"): "CertificateSigningRequest certificatesigningrequests -",
        ("coordination.k8s.io", "v1"): "Lease leases",
        ("discovery.k8s.io", "v1"): "EndpointSlice endpointslices",
        (names.GROUP, "v1alpha1"): "NodePool nodepools, TenantCluster tenantclusters",
        ("kubevirt.io", "v1"): (
            "KubeVirt kubevirts, VirtualMachine virtualmachines, "
            "VirtualMachineInstance virtualmachineinstances, "
            "VirtualMachineInstanceMigration virtualmachineinstancemigrations"
        ),
        ("metallb.io", "v1beta1"): "IPAddressPool ipaddresspools, L2Advertisement l2advertisements",
        ("networking.k8s.io", "v1"): ("NetworkPolicy networkpolicies, ServiceCIDR servicecidrs -"),
        ("policy", "v1"): "PodDisruptionBudget poddisruptionbudgets",
        ("rbac.authorization.k8s.io", "v1"): (
            "ClusterRole clusterroles -, ClusterRoleBinding clusterrolebindings -, Role roles, "
            "RoleBinding rolebindings"
        ),
        ("scheduling.k8s.io", "v1"): "PriorityClass priorityclasses -",
        ("storage.k8s.io", "v1"): "CSIDriver csidrivers -, StorageClass storageclasses -",
    }
    kinds = {}
    for (group, version), line in served.items():
        for entry in line.split(", "):
            name, plural, *cluster_scoped = entry.split()
            kinds[name] = Kind(name, group, version, plural, namespaced=not cluster_scoped)
    return kinds


KINDS: Final = _table()
"""By kind; a name after which a dash stands is cluster-scoped."""


def kind(name: str | Kind) -> Kind:
    """The kind of this name, or the kind itself.

    Raises KeyError, which is a mistake in this program: a kind it uses is missing in the table.
    """
    return name if isinstance(name, Kind) else KINDS[name]
