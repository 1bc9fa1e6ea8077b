"""The life of node pools under load: replaced without a failed request, scaled by what pods ask for."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Lab
from tests.e2e.tenant import Tenant, eventually, tenant_in

CLUSTER = "e2e-pools"
ROLL_SECONDS = 400

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {tier: web}
      terminationGracePeriodSeconds: 8
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector: {matchLabels: {app: web}}
      containers:
        - name: web
          image: docker.io/library/busybox:1.36
          command: [sh, -c, "mkdir /tmp/www && hostname > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www"]
          readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
          lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec:
  minAvailable: 2
  selector: {matchLabels: {app: web}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""
CLIENT = """\
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  nodeSelector: {tier: client}
  terminationGracePeriodSeconds: 0
  containers:
    - name: client
      image: docker.io/library/busybox:1.36
      command:
        - sh
        - -c
        - |
          good=0; bad=0
          while true; do
            if wget -q -T 3 -O /dev/null http://$WEB_SERVICE_HOST; then good=$((good+1)); else bad=$((bad+1)); fi
            echo $good $bad > /tmp/.count && mv /tmp/.count /tmp/count
            sleep 0.1
          done
      readinessProbe:
        exec: {command: [test, -f, /tmp/count]}
        periodSeconds: 1
"""
HUNGRY = """\
apiVersion: v1
kind: Pod
metadata: {name: hungry}
spec:
  nodeSelector: {tier: spare}
  terminationGracePeriodSeconds: 0
  containers:
    - {name: sleeps, image: "docker.io/library/busybox:1.36", command: [sleep, "3600"]}
"""


def pool(name: str, replicas: int, tier: str, **spec: Any) -> dict[str, Any]:
    labels = {"tier": tier, **spec.pop("labels", {})}
    whole = {"clusterRef": {"name": CLUSTER}, "provider": "pod", "replicas": replicas}
    return {
        "apiVersion": "kubeception.io/v1alpha1",
        "kind": "NodePool",
        "metadata": {"name": f"{CLUSTER}-{name}"},
        "spec": {**whole, "labels": labels, **spec},
    }


def apply(tenant: Tenant, *pools: dict[str, Any], seconds: int = ROLL_SECONDS) -> None:
    """The cluster with these pools among its own; returns when all are ready."""
    cluster = {
        "apiVersion": "kubeception.io/v1alpha1",
        "kind": "TenantCluster",
        "metadata": {"name": tenant.name},
        "spec": {"datastore": {"storage": "Ephemeral"}},
    }
    file = tenant.kubeconfig.parent / "pools.yaml"
    file.write_text(yaml.safe_dump_all([cluster, *pools]))
    tenant.run("apply", "-f", str(file), "--wait", f"{seconds}s")


@pytest.fixture(scope="module")
def tenant(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """A tenant with three nodes for a workload, and one for whoever asks it; all of them pods."""
    made = tenant_in(lab, tmp_path_factory.mktemp("pools"), CLUSTER)
    apply(made, pool("web", 3, "web"), pool("client", 1, "client"))
    made.run("kubeconfig", made.name, "--merge")
    made.kubectl("apply", "-f", "-", stdin=WEB)
    made.kubectl("rollout", "status", "deployment/web", "--timeout", "120s")
    yield made
    made.run("delete", made.name, check=False)


def of_tier(tenant: Tenant, tier: str) -> set[str]:
    """The names of a pool's nodes."""
    return set(tenant.kubectl("get", "nodes", "-l", f"tier={tier}", "-o", "name").split())


def counted(tenant: Tenant) -> tuple[int, int]:
    """Requests that were answered, and those that weren't."""
    good, bad = tenant.kubectl("exec", "client", "--", "cat", "/tmp/count").split()
    return int(good), int(bad)


@pytest.mark.timeout(3 * ROLL_SECONDS)
class TestLife:
    """In this order: each uses what the one before left."""

    def test_a_pool_is_replaced_under_load_without_a_failed_request(self, tenant: Tenant) -> None:
        tenant.kubectl("apply", "-f", "-", stdin=CLIENT)
        tenant.kubectl("wait", "pod/client", "--for=condition=Ready", "--timeout=60s")
        eventually("requests", lambda: counted(tenant)[0] > 20, 60)
        before, asked = of_tier(tenant, "web"), counted(tenant)[0]
        assert len(before) == 3
        apply(
            tenant, pool("web", 3, "web", labels={"generation": "two"}), pool("client", 1, "client")
        )
        after = of_tier(tenant, "web")
        assert len(after) == 3
        assert not before & after
        tenant.kubectl("rollout", "status", "deployment/web", "--timeout", "60s")
        good, bad = counted(tenant)
        assert good - asked > 100
        assert bad == 0

    def test_a_pod_brings_a_pool_from_zero(self, tenant: Tenant) -> None:
        spare = pool("spare", 0, "spare", autoscaling={"min": 0, "max": 2, "scaleDownAfter": "5s"})
        others = (pool("web", 3, "web", labels={"generation": "two"}), pool("client", 1, "client"))
        apply(tenant, *others, spare)
        assert of_tier(tenant, "spare") == set()
        tenant.kubectl("apply", "-f", "-", stdin=HUNGRY)
        eventually("no node for it", lambda: "Unschedulable" in condition_of(tenant, "hungry"), 30)
        tenant.run("create", tenant.name, "--wait", "120s")
        assert len(of_tier(tenant, "spare")) == 1
        tenant.kubectl("wait", "pod/hungry", "--for=condition=Ready", "--timeout=60s")
        tenant.kubectl("delete", "pod", "hungry")
        tenant.run("create", tenant.name)
        time.sleep(6)
        tenant.run("create", tenant.name, "--wait", "60s")
        assert of_tier(tenant, "spare") == set()


def condition_of(tenant: Tenant, pod: str) -> str:
    path = 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].reason}'
    return tenant.kubectl("get", "pod", pod, "-o", path)
