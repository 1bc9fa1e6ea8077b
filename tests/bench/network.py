"""How quick a tenant's network is beside the host's own: two pods that serve a file, in each of the two."""

import http.client
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

ASKED: Final = 200
"""How often for a latency."""
FETCHED: Final = 16
"""How often the file, for a rate."""
RUNS: Final = 10
"""How often a command is run in a pod."""
FILE: Final = 32
"""MiB of the file that is fetched for a rate."""

Address = tuple[str, int]
Kubectl = Callable[..., str]

SERVERS: Final = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: bench}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: bench}}}}
  template:
    metadata: {{labels: {{app: bench}}}}
    spec:
      terminationGracePeriodSeconds: 0
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector: {{matchLabels: {{app: bench}}}}
      containers:
        - name: bench
          image: docker.io/library/busybox:1.36
          command:
            - sh
            - -c
            - |
              mkdir /tmp/www && cd /tmp/www && echo hello > index.html
              dd if=/dev/zero of=file bs=1M count={FILE} 2>/dev/null
              exec httpd -f -p 8080 -h /tmp/www
          readinessProbe: {{httpGet: {{port: 8080}}, periodSeconds: 1}}
"""
BALANCED: Final = """\
apiVersion: v1
kind: Service
metadata: {name: bench}
spec:
  type: LoadBalancer
  selector: {app: bench}
  ports: [{port: 80, targetPort: 8080}]
"""


@dataclass(frozen=True)
class Servers:
    """The pods, in one cluster."""

    kubectl: Kubectl
    names: list[str]
    addresses: list[str]

    def fetch(self) -> float:
        """MiB a second from one pod to the other."""
        ask = f"time wget -qO /dev/null http://{self.addresses[1]}:8080/file"
        said = self.kubectl("exec", self.names[0], "--", "sh", "-c", f"{{ {ask}; }} 2>&1")
        (line,) = (line for line in said.splitlines() if line.startswith("real"))
        minutes, seconds = line.removeprefix("real").rstrip("s").split("m")
        return FILE / (int(minutes) * 60 + float(seconds))

    def command(self) -> float:
        """Seconds that a command in a pod takes, which does nothing there."""
        return _median(RUNS, lambda: self.kubectl("exec", self.names[0], "--", "true"))


@contextmanager
def servers(kubectl: Kubectl) -> Iterator[Servers]:
    """The pods, until the block ends."""
    kubectl("apply", "-f", "-", stdin=SERVERS)
    kubectl("rollout", "status", "deployment/bench", "--timeout=300s")
    found = json.loads(kubectl("get", "pods", "-l", "app=bench", "-o", "json"))["items"]
    yield Servers(
        kubectl,
        [pod["metadata"]["name"] for pod in found],
        [pod["status"]["podIP"] for pod in found],
    )
    kubectl("delete", "deployment", "bench")


def latency(one: Address, other: Address) -> float:
    """Time to an answer of a few bytes from the first, by that from the second; each by a connection of its own."""
    return _by(one, other, "/", ASKED)


def rate(one: Address, other: Address) -> float:
    """Rate of the file from the first, by that from the second."""
    return 1 / _by(one, other, "/file", FETCHED)


def _by(one: Address, other: Address, path: str, times: int) -> float:
    """Time of the first by time of the second, asked in turn.

    Which node and which pod answer is chance, and a way across nodes takes several times as long: so means count.
    """
    taken = [[_seconds(partial(_get, *at, path)) for at in (one, other)] for _ in range(times)]
    first, second = map(sum, zip(*taken, strict=True))
    return first / second


def _get(host: str, port: int, path: str) -> None:
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    while answer.read(1 << 20):
        pass
    connection.close()


def _median(times: int, call: Callable[[], object]) -> float:
    return statistics.median(_seconds(call) for _ in range(times))


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
