"""What kube-apiserver refuses by files on its own disk, which no administrator of the tenant can change."""

from collections.abc import Iterator
from typing import Final

from kubeception.plan.facts import Object
from kubeception.plan.versions import STATIC_POLICIES, minor

ENABLED: Final = ("DenyServiceExternalIPs", "EventRateLimit", "NodeRestriction")
"""Besides what is on by default."""
FILE: Final = "admission.yaml"
POLICIES: Final = "policies.yaml"
EVENTS_A_SECOND: Final = 100
EVENTS_AT_ONCE: Final = 1000
CONFIG: Final = "apiserver.config.k8s.io/v1"


def has_policies(version: str) -> bool:
    """Whether this version reads policies from its disk (KEP-5793)."""
    return minor(version) >= STATIC_POLICIES


def configuration(version: str, *, policies: bool = True) -> Object:
    """The AdmissionConfiguration; without `policies` where nobody is kept from dialling."""
    return {
        "apiVersion": CONFIG,
        "kind": "AdmissionConfiguration",
        "plugins": list(_plugins(policies=policies and has_policies(version))),
    }


def _plugins(*, policies: bool) -> Iterator[Object]:
    # A flood of Events ends here, not in etcd nor in the memory of whoever lists them.
    yield _plugin(
        "EventRateLimit",
        "eventratelimit.admission.k8s.io/v1alpha1",
        "Configuration",
        limits=[{"type": "Server", "qps": EVENTS_A_SECOND, "burst": EVENTS_AT_ONCE}],
    )
    if policies:
        yield _plugin(
            "ValidatingAdmissionPolicy",
            CONFIG,
            "ValidatingAdmissionPolicyConfiguration",
            staticManifestsDir="/etc/kubernetes/policies",
        )


def _plugin(name: str, version: str, kind: str, **configuration: object) -> Object:
    return {
        "name": name,
        "configuration": {"apiVersion": version, "kind": kind, **configuration},
    }
