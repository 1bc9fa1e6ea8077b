"""A tenant cluster as seen by somebody who only looks: through the host's API, and through its own."""

import time
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from kubeception import names
from kubeception.engine.observe import is_ready
from tests.bench.api import Api

T = TypeVar("T")
OWNER = "default"
"""Namespace of the TenantCluster objects."""
PROBE = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "probe"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "probe"}},
        "template": {
            "metadata": {"labels": {"app": "probe"}},
            "spec": {"containers": [{"name": "pause", "image": "registry.k8s.io/pause:3.10.1"}]},
        },
    },
}
"""A Deployment that asks whether the controllers work; its pod needs no node for that."""
TICKS: Final = 100
"""Of the kernel's clock in a second, as /proc counts (USER_HZ, proc_pid_stat(5))."""
BOOT = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "boot"},
    "spec": {
        "restartPolicy": "Never",
        "hostPID": True,
        "hostNetwork": True,
        "containers": [
            {
                "name": "boot",
                "image": "docker.io/library/busybox:1.36",
                "command": ["sh", "-c"],
                "args": [
                    "cut -d ' ' -f 22 /proc/$(busybox pidof kubelet)/stat > /dev/termination-log"
                ],
            }
        ],
    },
}
"""A pod that reads how long after its kernel a node's kubelet began."""


def until(look: Callable[[], T | None], seconds: float = 300, pause: float = 0.05) -> T:
    """What `look` finds, as soon as it finds something. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(pause)
    raise TimeoutError(f"nothing seen in {seconds:.0f} s")


@dataclass
class Tenant:
    """A tenant cluster that may not exist yet."""

    name: str
    host: Api
    namespace: str = ""
    nodes_namespace: str = ""

    def appear(self) -> None:
        """Wait until its object exists, which says where its control plane is."""
        path = f"/apis/{names.API_VERSION}/namespaces/{OWNER}/tenantclusters/{self.name}"
        uid = until(lambda: self.host.get(path))["metadata"]["uid"]
        self.namespace = names.control_plane_namespace(uid, self.name)
        self.nodes_namespace = names.nodes_namespace(uid, self.name)

    def api(self, node: str) -> Api:
        """Its API server at the NodePort of a host node, as soon as there is a certificate for it."""
        core = f"/api/v1/namespaces/{self.namespace}"
        service = until(lambda: self.host.get(f"{core}/services/kube-apiserver"))
        secret = until(lambda: self.host.get(f"{core}/secrets/engine"))["data"]
        port = next(port["nodePort"] for port in service["spec"]["ports"] if port["port"] == 6443)
        files = (b64decode(secret[f]) for f in ("serving-ca.crt", "client.crt", "client.key"))
        return Api(f"https://{node}:{port}", *files)

    def pods(self) -> list[dict[str, Any]]:
        """The pods of its control plane."""
        seen = self.host.get(f"/api/v1/namespaces/{self.namespace}/pods")
        return seen["items"] if seen else []

    def machines(self) -> list[str]:
        """The names of its nodes' pods."""
        seen = self.host.get(f"/api/v1/namespaces/{self.nodes_namespace}/pods")
        return [pod["metadata"]["name"] for pod in seen["items"]] if seen else []

    def restarts(self) -> int:
        """How often containers of its control plane were started again."""
        return sum(
            status["restartCount"]
            for pod in self.pods()
            for kind in ("initContainerStatuses", "containerStatuses")
            for status in pod["status"].get(kind, ())
        )

    def gone(self) -> bool:
        """Whether the host has neither of its namespaces any more."""
        found = self.host.get("/api/v1/namespaces") or {"items": [{"metadata": {"name": ""}}]}
        left = {item["metadata"]["name"] for item in found["items"]}
        return not left & {"", self.namespace, self.nodes_namespace}

    def versions(self, api: Api) -> dict[str, str]:
        """resourceVersion of each object that is there because of it, on the host and in itself."""
        listed = [
            (self.host, f"/apis/{names.API_VERSION}/namespaces/{OWNER}", "tenantclusters"),
            (self.host, f"/apis/{names.API_VERSION}/namespaces/{OWNER}", "nodepools"),
        ]
        core = ("configmaps", "secrets", "serviceaccounts", "services")
        rbac = ("roles", "rolebindings")
        for side, namespace in (
            (self.host, self.namespace),
            (self.host, self.nodes_namespace),
            (api, "kube-system"),
            (api, "kube-public"),
        ):
            listed += [(side, f"/api/v1/namespaces/{namespace}", kind) for kind in core]
            group = "/apis/rbac.authorization.k8s.io/v1"
            listed += [(side, f"{group}/namespaces/{namespace}", kind) for kind in rbac]
        return {
            f"{path}/{kind}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
            for side, path, kind in listed
            for item in (side.get(f"{path}/{kind}") or {"items": []})["items"]
        }


def usable(api: Api) -> bool:
    """Whether a person could begin: default ServiceAccount, root CA, the pod of a Deployment."""
    core = "/api/v1/namespaces/default"
    pods = api.get(f"{core}/pods?labelSelector=app%3Dprobe")
    return bool(
        pods
        and pods["items"]
        and api.get(f"{core}/serviceaccounts/default")
        and api.get(f"{core}/configmaps/kube-root-ca.crt")
    )


def ready_nodes(api: Api) -> set[str]:
    """The nodes that are Ready."""
    found = api.get("/api/v1/nodes") or {"items": []}
    return {node["metadata"]["name"] for node in found["items"] if is_ready(node)}


def boot_seconds(api: Api) -> float:
    """Seconds from the start of a node's kernel to that of its kubelet."""
    pods = "/api/v1/namespaces/default/pods"
    until(lambda: api.post(pods, BOOT))

    def ended() -> str | None:
        pod = api.get(f"{pods}/boot") or {}
        statuses = pod.get("status", {}).get("containerStatuses", ())
        return next((s["state"].get("terminated", {}).get("message") for s in statuses), None)

    return int(until(ended)) / TICKS


def moment(stamp: str) -> datetime:
    """A timestamp of the API: whole seconds, or microseconds."""
    return datetime.fromisoformat(stamp)
