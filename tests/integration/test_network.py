"""A network of the tenant's own, from a ConfigMap of the host into a real API server that stands for the tenant."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from kubeception import names
from kubeception.components.install import Options
from kubeception.components.rbac import account
from kubeception.engine.follow import until_gone
from kubeception.engine.install import install, install_operator
from kubeception.engine.reconcile import Engine
from kubeception.engine.report import Report
from kubeception.errors import ApiError
from kubeception.kube.client import STRATEGIC, Cluster, Object
from tests.integration.operators import until
from tests.integration.servers import ApiServer
from tests.integration.standins import Straight, report_ready

ADDONS = {"coreDNS": False, "kubeProxy": False, "localPath": False, "metricsServer": False}


class Owner:
    """A tenant's author, with a TenantCluster whose network is a ConfigMap."""

    def __init__(self, host: Cluster, tenant: Cluster) -> None:
        self.host, self.tenant = host, tenant
        self.name = f"n-{uuid.uuid4().hex[:8]}"
        self.group = f"{self.name}.example.com"
        networking = {"cni": "custom", "manifestRef": {"name": self.name}}
        spec = {"datastore": {"storage": "Ephemeral"}, "networking": networking, "addons": ADDONS}
        self.apply("TenantCluster", names.API_VERSION, spec=spec)

    def apply(self, kind: str, api: str = "v1", **parts: Any) -> None:
        meta = {"name": self.name, "namespace": "default"}
        self.host.apply({"apiVersion": api, "kind": kind, "metadata": meta, **parts})

    def write(self, *objects: Object) -> None:
        """The manifest is these objects."""
        text = "---\n".join(json.dumps(obj) + "\n" for obj in objects)
        self.apply("ConfigMap", data={"network.yaml": text})

    def engine(self, host: Cluster | None = None) -> Engine:
        engine = Engine(host or self.host, "default", self.name)
        engine.link = Straight(self.tenant)  # type: ignore[assignment]
        return engine

    def step(self) -> Report:
        with self.engine() as engine:
            return engine.step()

    def network(self, report: Report) -> str:
        return report.readiness("network").message

    def definition(self) -> Object:
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version = {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": schema},
        }
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"pools.{self.group}", "creationTimestamp": None},
            "spec": {
                "group": self.group,
                "scope": "Cluster",
                "names": {"plural": "pools", "singular": "pool", "kind": "Pool"},
                "versions": [version],
            },
            "status": {"conditions": [], "storedVersions": []},
        }

    def pool(self) -> Object:
        meta = {"name": self.name, "namespace": "ignored"}
        return {
            "apiVersion": f"{self.group}/v1",
            "kind": "Pool",
            "metadata": meta,
            "spec": {"x": 1},
        }

    def agent(self) -> Object:
        labels = {"app": self.name}
        resources = {"requests": {"cpu": 0.1, "memory": "1024Mi"}}
        container = {"name": "agent", "image": "example.com/agent:1", "resources": resources}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        return {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": self.name, "namespace": self.name},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        }

    def budget(self) -> Object:
        spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": self.name}}}
        meta = {"name": self.name, "namespace": self.name}
        return {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": meta,
            "spec": spec,
        }

    def scaler(self) -> Object:
        """Of a kind that we know nothing of."""
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}
        meta = {"name": self.name, "namespace": self.name}
        spec = {"maxReplicas": 2, "scaleTargetRef": target}
        kind = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
        return {**kind, "metadata": meta, "spec": spec}

    def space(self) -> Object:
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}}

    def whole(self) -> list[Object]:
        return [
            self.pool(),
            self.agent(),
            self.budget(),
            self.scaler(),
            self.definition(),
            self.space(),
        ]

    def raw(self, path: str) -> Any:
        found = self.tenant.raw(path)
        return json.loads(found) if found else None

    def instance(self) -> Any:
        return self.raw(f"/apis/{self.group}/v1/pools/{self.name}")


@pytest.fixture
def owner(host: Cluster, tenant: Cluster) -> Iterator[Owner]:
    owner = Owner(host, tenant)
    yield owner
    host.delete("TenantCluster", owner.name, "default")
    host.delete("ConfigMap", owner.name, "default")
    with Engine(host, "default", owner.name) as engine:
        until_gone(engine, 60, lambda _: None)
    tenant.delete("ConfigMap", "kubeception-network", "kube-system")
    for obj in owner.whole():
        with suppress(KeyError, ApiError):
            meta = obj["metadata"]
            tenant.delete(obj["kind"], meta["name"], meta.get("namespace", ""))


def test_a_manifest_with_kinds_of_its_own_converges(owner: Owner) -> None:
    owner.write(*owner.whole())
    first = owner.step()
    assert first.failures == []
    assert "Pool" in owner.network(first)  # which is not there before its definition is
    until(lambda: owner.step() and owner.instance())
    agent = owner.tenant.get("DaemonSet", owner.name, owner.name)
    assert agent
    assert agent["metadata"]["labels"][names.COMPONENT_LABEL] == "network"
    report_ready(owner.tenant, agent)
    until(lambda: owner.step().ok("network"))
    assert owner.step().writes == 0
    assert owner.step().writes == 0


def test_the_pass_hears_of_the_kind_and_of_a_change_of_the_manifest(owner: Owner) -> None:
    owner.write(*owner.whole())
    with owner.engine() as engine:
        engine.step()
        begun = time.monotonic()
        while not owner.instance():
            engine.changes.wait(20)
            engine.step()
        assert time.monotonic() - begun < 15
        while engine.step().writes:
            pass
        quiet(engine)
        owner.write(owner.space())
        begun = time.monotonic()
        engine.changes.wait(20)
        assert time.monotonic() - begun < 10
        engine.step()
    assert owner.instance() is None


def quiet(engine: Engine) -> None:
    """Nothing is heard of what a pass itself has written."""
    for _ in range(20):
        begun = time.monotonic()
        engine.changes.wait(2)
        if time.monotonic() - begun >= 2:
            return
        engine.step()
    pytest.fail("there is always something new")


def test_what_is_taken_out_of_the_manifest_is_removed_but_for_definitions(owner: Owner) -> None:
    owner.write(*owner.whole())
    until(lambda: owner.step() and owner.instance())
    owner.write(owner.budget(), owner.space())
    owner.step()
    assert owner.instance() is None
    assert owner.tenant.get("DaemonSet", owner.name, owner.name) is None
    assert (
        owner.raw(f"/apis/autoscaling/v2/namespaces/{owner.name}/horizontalpodautoscalers")["items"]
        == []
    )
    assert owner.tenant.get("PodDisruptionBudget", owner.name, owner.name)
    assert owner.tenant.get("CustomResourceDefinition", f"pools.{owner.group}")
    owner.step()
    record = owner.tenant.get("ConfigMap", "kubeception-network", "kube-system")
    assert record
    assert "Pool" not in record["data"]["kinds"]


def test_what_somebody_changed_in_the_tenant_is_put_back(owner: Owner) -> None:
    owner.write(owner.space(), owner.agent())
    owner.step()
    key = (owner.name, owner.name)
    selector = {"spec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}}
    changed = {"containers": [{"name": "agent", "image": "other"}]}
    image = {"spec": {"template": {"spec": changed}}}
    owner.tenant.patch("DaemonSet", key[0], selector, key[1])
    owner.tenant.patch("DaemonSet", key[0], image, key[1], content=STRATEGIC)
    owner.step()
    agent = owner.tenant.get("DaemonSet", *key)
    assert agent
    assert agent["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/agent:1"


def test_without_its_manifest_the_network_stays_and_somebody_is_told(owner: Owner) -> None:
    missing = owner.step()
    assert "does not exist" in missing.failures[0].message
    owner.write(owner.space(), owner.agent())
    assert owner.step().failures == []
    owner.host.delete("ConfigMap", owner.name, "default")
    assert "does not exist" in owner.step().failures[0].message
    owner.apply("ConfigMap", data={"x": "- 1\n---\nkind: Pod\n"})
    assert "has 3 problems" in owner.step().failures[0].message
    assert owner.tenant.get("DaemonSet", owner.name, owner.name)


@pytest.mark.attack("A11")
def test_nothing_of_it_comes_to_the_host_and_no_label_of_the_config_map_counts(
    owner: Owner,
) -> None:
    forged = {
        names.PROVIDER_LABEL: "ssh",
        names.MACHINE_LABEL: "m",
        names.COMPONENT_LABEL: "control-plane",
    }
    owner.write(owner.space(), owner.agent())
    patch = {"metadata": {"labels": forged, "annotations": {names.APPLIED_ANNOTATION: "x"}}}
    owner.host.patch("ConfigMap", owner.name, patch, "default")
    report = owner.step()
    assert report.machines == []
    assert owner.host.get("Namespace", owner.name) is None
    assert owner.host.get("ConfigMap", owner.name, "default")


def test_the_cluster_says_what_belongs_together_and_keeps_it(owner: Owner) -> None:
    for networking in ({"cni": "custom"}, {"manifestRef": {"name": "x"}}):
        meta = {"name": "refused", "namespace": "default"}
        body = {"apiVersion": names.API_VERSION, "kind": "TenantCluster", "metadata": meta}
        with pytest.raises(ApiError, match="manifestRef: is for cni custom"):
            owner.host.apply({**body, "spec": {"networking": networking}}, dry_run=True)


def test_an_operator_reads_the_manifest_by_a_right_to_that_one_config_map(
    lone_server: ApiServer, tenant: Cluster
) -> None:
    with lone_server.cluster() as admin, lone_server.as_operator() as operator:
        install(admin)
        install_operator(admin, Options())
        owner = Owner(admin, tenant)
        owner.write(owner.space())
        until(lambda: allowed(operator))
        with owner.engine(operator) as engine:
            said = until(lambda: [f.message for f in engine.step().failures])
            assert "can't be read" in said[0]
            grant(admin, owner.name)
            begun = time.monotonic()
            while engine.step().failures:
                engine.changes.wait(20)
                assert time.monotonic() - begun < 30
        with pytest.raises(ApiError):
            operator.get("ConfigMap", "another", "default")
        assert tenant.get("Namespace", owner.name)


def allowed(operator: Cluster) -> bool:
    with suppress(ApiError):
        return operator.list("TenantCluster") is not None
    return False


def grant(admin: Cluster, name: str) -> None:
    """As docs/network.md has it."""
    meta = {"name": name, "namespace": "default"}
    rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [name]}
    api = "rbac.authorization.k8s.io/v1"
    verbs = {"verbs": ["get", "list", "watch"]}
    admin.apply({"apiVersion": api, "kind": "Role", "metadata": meta, "rules": [{**rule, **verbs}]})
    admin.apply(
        {
            "apiVersion": api,
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [account(names.SYSTEM_NAMESPACE, names.OPERATOR)],
        }
    )
