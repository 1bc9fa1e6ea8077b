"""What a host needs before its first tenant: the kinds TenantCluster and NodePool, and a PriorityClass."""

import time
from functools import partial
from typing import Final

from kubeception.components.install import host_prerequisites
from kubeception.engine.apply import Target, apply
from kubeception.engine.parallel import together
from kubeception.errors import ApiError
from kubeception.kube.client import Cluster
from kubeception.kube.conditions import is_true
from kubeception.plan.facts import Object, key_of

COMPONENT: Final = "install"
SERVED_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.05


def install(host: Cluster) -> None:
    """Bring the host's prerequisites up to this version; returns when the kinds are served.

    Raises ApiError, saying who must do it, when this user may not.
    """
    wanted = host_prerequisites()
    reads = [partial(host.get, obj["kind"], obj["metadata"]["name"]) for obj in wanted]
    live = {key_of(obj): obj for obj in together(reads) if obj is not None}
    try:
        seen = apply(Target(host, {}, exclusive=False), COMPONENT, wanted, live)
    except ApiError as error:
        if error.status != 403:
            raise
        raise ApiError(
            error.message,
            status=403,
            reason=error.reason,
            hint="An administrator of the host must install kubeception's CustomResourceDefinitions once.",
        ) from None
    for obj in seen:
        if obj["kind"] == "CustomResourceDefinition":
            _wait(host, obj)


def _wait(host: Cluster, crd: Object | None) -> None:
    deadline = time.monotonic() + SERVED_SECONDS
    while crd is not None and not is_true(crd, "Established"):
        if time.monotonic() > deadline:
            name = crd["metadata"]["name"]
            raise ApiError(f"{host.title}: CustomResourceDefinition {name} is not served")
        time.sleep(POLL_SECONDS)
        crd = host.get("CustomResourceDefinition", crd["metadata"]["name"])
