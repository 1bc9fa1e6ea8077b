"""Somebody outside the lab, who reaches a tenant by its load balancers."""

import json
import subprocess
import threading
import time
from typing import Self

WHO = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: who}
spec:
  replicas: 2
  selector: {matchLabels: {app: who}}
  template:
    metadata: {labels: {app: who}}
    spec:
      containers:
        - name: who
          image: docker.io/library/busybox:1.36
          command:
            - sh
            - -c
            - |
              mkdir -p /tmp/www/cgi-bin && cd /tmp/www/cgi-bin
              printf '#!/bin/sh\\nprintf "Content-Type: text/plain\\\\r\\\\n\\\\r\\\\n"\\necho $REMOTE_ADDR\\n' > who
              chmod +x who
              trap 'sleep 3; exit 0' TERM
              httpd -f -p 8080 -h /tmp/www & wait
          readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: who}
spec: {minAvailable: 1, selector: {matchLabels: {app: who}}}
"""
"""Two pods that answer with the address of who asks."""


def balanced(name: str, policy: str) -> str:
    """A load balancer before these pods."""
    meta = {"name": name}
    spec = {
        "type": "LoadBalancer",
        "externalTrafficPolicy": policy,
        "selector": {"app": "who"},
        "ports": [{"port": 80, "targetPort": 8080}],
    }
    return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})


def asked(address: str) -> str:
    """What the pods answer somebody outside the lab; empty where they don't."""
    url = f"http://{address}/cgi-bin/who"
    done = subprocess.run(
        ["curl", "--silent", "--max-time", "10", url], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


class Asking:
    """Asks again and again, and counts."""

    def __init__(self, address: str) -> None:
        self.address, self.good, self.bad = address, 0, 0
        self.longest = 0.0
        """Seconds between two answers."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __repr__(self) -> str:
        return f"{self.good} answers, {self.bad} none, at most {self.longest:.1f} s between two"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        last = time.monotonic()
        while not self._over.wait(0.3):
            if asked(self.address):
                self.longest = max(self.longest, time.monotonic() - last)
                last, self.good = time.monotonic(), self.good + 1
            else:
                self.bad += 1
        self.longest = max(self.longest, time.monotonic() - last)


def own_address(goal: str) -> str:
    """The address by which this machine goes there."""
    routes = json.loads(subprocess.check_output(["ip", "-json", "route", "get", goal]))
    return str(routes[0]["prefsrc"])
