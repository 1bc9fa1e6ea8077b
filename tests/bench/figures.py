"""What is measured, each as a function that does the thing once and returns its figures."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from kubeception import names
from tests.bench import memory
from tests.bench.api import Api

T = TypeVar("T")
KUBECEPTION = str(Path(sys.executable).with_name("kubeception"))
NAMESPACE = "default"
SETTLED = 90.0
"""Seconds after which a control plane is idle."""

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
"""A Deployment that only asks whether the controllers work: there is no node for its pod."""


@dataclass(frozen=True)
class Tenant:
    """A tenant cluster that a measurement made."""

    name: str
    host: Api

    def object(self) -> dict[str, Any] | None:
        path = f"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}/tenantclusters/{self.name}"
        return self.host.get(path)

    def namespace(self) -> str:
        """The host namespace of its control plane, once the object exists."""
        seen = until(self.object)
        return names.control_plane_namespace(seen["metadata"]["uid"], self.name)

    def api(self) -> Api:
        """Its own API server, as soon as there is a kubeconfig for it."""
        path = f"/api/v1/namespaces/{self.namespace()}/secrets/admin"
        secret = until(lambda: self.host.get(path))
        return Api(base64.b64decode(secret["data"]["kubeconfig"]).decode())

    def pods(self) -> list[dict[str, Any]]:
        """The pods of its control plane."""
        seen = self.host.get(f"/api/v1/namespaces/{self.namespace()}/pods")
        return seen["items"] if seen else []

    def restarts(self) -> int:
        """How often a container of its control plane was started again."""
        return sum(
            status["restartCount"]
            for pod in self.pods()
            for kind in ("initContainerStatuses", "containerStatuses")
            for status in pod["status"].get(kind, ())
        )


def until(look: Callable[[], T | None], seconds: float = 120, pause: float = 0.02) -> T:
    """What `look` finds, as soon as it finds something. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(pause)
    raise TimeoutError(f"nothing seen in {seconds:.0f} s")
