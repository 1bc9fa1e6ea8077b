"""A tenant cluster as a person has it: by the commands, and by its own kubectl."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeception import names
from tests.e2e.conftest import Lab, programs

SOON_SECONDS = 300

ECHO = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  replicas: 2
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      terminationGracePeriodSeconds: 0
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: DoNotSchedule
          labelSelector: {matchLabels: {app: echo}}
      containers:
        - name: echo
          image: docker.io/library/busybox:1.36
          command:
            - sh
            - -c
            - |
              mkdir /tmp/www && cd /tmp/www && hostname > index.html && echo started
              dd if=/dev/urandom of=blob bs=1024 count=64 2>/dev/null
              exec httpd -f -p 8080 -h /tmp/www
          readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
"""


@dataclass(frozen=True)
class Tenant:
    """A tenant cluster of the lab, by the commands a person has."""

    lab: Lab
    name: str
    kubeconfig: Path
    """A file of the test, which begins with the lab's context."""

    @property
    def environment(self) -> dict[str, str]:
        return {**self.lab.environment, "KUBECONFIG": str(self.kubeconfig)}

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "kubeception", *words]

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`kubeception WORDS`."""
        done = subprocess.run(
            self.argv(*words), env=self.environment, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            pytest.fail(
                f"kubeception {' '.join(words)} ended with {done.returncode}:\n{done.stderr}"
            )
        return done

    def kubectl(self, *words: str, stdin: str = "", check: bool = True) -> str:
        """What the tenant's kubectl prints."""
        argv = [str(programs() / "kubectl"), "--context", self.name, *words]
        done = subprocess.run(
            argv, env=self.environment, input=stdin, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            pytest.fail(f"kubectl {' '.join(words)}: {done.stderr}")
        return done.stdout

    def pods(self) -> list[tuple[str, str, str]]:
        """(name, node, address) of the Deployment's ready pods."""
        ready = ".status.containerStatuses[0].ready"
        columns = f"custom-columns=N:.metadata.name,D:.spec.nodeName,I:.status.podIP,R:{ready}"
        lines = self.kubectl("get", "pods", "-l", "app=echo", "--no-headers", "-o", columns)
        rows = [line.split() for line in lines.splitlines()]
        return [(row[0], row[1], row[2]) for row in rows if row[3] == "true"]

    def nodes(self) -> list[str]:
        """The names of the ready nodes."""
        lines = self.kubectl("get", "nodes", "--no-headers").splitlines()
        return [line.split()[0] for line in lines if line.split()[1] == "Ready"]


def assert_pods_exchange_64_kib(tenant: Tenant) -> None:
    """Each way between the Deployment's pods, each on a node of its own: more than a packet, whatever the MTU is."""
    pods = tenant.pods()
    assert len({node for _, node, _ in pods}) == len(pods) > 1
    for (here, at, _), (there, to, address) in permutations(pods, 2):
        fetch = f"wget -T 20 -qO- http://{address}:8080/blob | sha256sum"
        got = tenant.kubectl("exec", here, "--", "sh", "-c", fetch)
        sent = tenant.kubectl("exec", there, "--", "sh", "-c", "sha256sum < /tmp/www/blob")
        assert got == sent, f"from {at} to {to}"


def assert_the_service_reaches_all(tenant: Tenant) -> None:
    """By its name, each of the Deployment's pods."""
    pods = {name for name, _, _ in tenant.pods()}
    ask = "for i in $(seq 20); do wget -T 20 -qO- http://echo.default.svc.cluster.local; done"
    answers = tenant.kubectl("exec", min(pods), "--", "sh", "-c", ask)
    assert set(answers.split()) == pods


def eventually(what: str, found: Callable[[], Any], seconds: float = SOON_SECONDS) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {seconds:.0f} s")
        time.sleep(1)
    return answer


def tenant_in(lab: Lab, folder: Path, name: str) -> Tenant:
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(lab.kubeconfig.read_text())
    return Tenant(lab, name, kubeconfig)


def leftovers(lab: Lab, uid: str, name: str) -> str:
    """Everything in the host that belongs to a tenant."""
    label = f"{names.CLUSTER_LABEL}={names.cluster_id(uid, name)}"
    kinds = "namespaces,secrets,services,deployments,statefulsets,pods,pvc,vm,vmi,configmaps"
    found = lab.kubectl("get", kinds, "-A", "-l", label, "-o", "name")
    spaces = (names.control_plane_namespace(uid, name), names.nodes_namespace(uid, name))
    volumes = lab.kubectl("get", "pv", "-o", "jsonpath={.items[*].spec.claimRef.namespace}")
    ours = lab.kubectl("get", "tc,np,lease", "-n", "default", "-o", "name")
    rest = [line for line in ours.splitlines() if name in line]
    return "\n".join([*found.split(), *rest, *(s for s in spaces if s in volumes.split())])


def uid_of(lab: Lab, name: str) -> str:
    return lab.kubectl("get", "tc", name, "-o", "jsonpath={.metadata.uid}")


def roots(lab: Lab, namespace: str) -> dict[str, Any]:
    """What may never change, by the name of its Secret."""
    found = yaml.safe_load(
        lab.kubectl("get", "secrets", "-n", namespace, "-o", "yaml", "--ignore-not-found") or "{}"
    )
    items = found.get("items", ())
    return {s["metadata"]["name"]: s["data"] for s in items if s.get("immutable")}
