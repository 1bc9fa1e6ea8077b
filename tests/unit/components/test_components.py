"""What follows from a spec, component by component: what the golden files can't argue for."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml

from kubeception.components import COMPONENTS
from kubeception.components.base import Component, Side, State
from kubeception.components.network_policy import forbidden
from kubeception.errors import SpecError
from kubeception.plan.context import PlanContext
from kubeception.plan.edit import container
from kubeception.plan.facts import Facts, HostFacts, Object, key_of
from kubeception.plan.pki import TRUST
from tests.plans import CASES, NOW, case, everything, find, plan, pool

BY_NAME = {component.name: component for component in COMPONENTS}


def component(name: str) -> Component:
    return BY_NAME[name]


def flags(ctx: PlanContext, name: str = "kube-apiserver") -> dict[str, str]:
    deployment = find(list(component("control-plane").objects(ctx)), "Deployment", "control-plane")
    args = container(deployment, name)["args"]
    pairs = [arg.removeprefix("--").split("=", 1) for arg in args]
    assert len(dict(pairs)) == len(pairs), "a flag is given twice"
    return dict(pairs)


def config(ctx: PlanContext, kind: str, name: str, file: str) -> Any:
    data = find(everything(ctx), kind, name)["data"][file]
    return yaml.safe_load(base64.b64decode(data) if kind == "Secret" else data)


def test_the_api_server_trusts_the_client_ca_and_no_other() -> None:
    found = flags(plan())
    assert found["client-ca-file"] == "/etc/kubernetes/client-ca.crt"
    assert found["requestheader-client-ca-file"] == "/etc/kubernetes/front-proxy-ca.crt"
    assert found["requestheader-allowed-names"] == "front-proxy-client"
    assert found["kubelet-certificate-authority"] == "/etc/kubernetes/kubelet-serving-ca.crt"


def test_the_controller_manager_signs_with_two_cas_only() -> None:
    signers = {k: v for k, v in flags(plan(), "kube-controller-manager").items() if "signing" in k}
    assert set(signers.values()) == {
        f"/etc/kubernetes/{ca}-ca.{end}"
        for ca in ("client", "kubelet-serving")
        for end in ("crt", "key")
    }


def test_every_tenant_issues_tokens_in_a_name_of_its_own() -> None:
    issuers = {flags(case(name))["service-account-issuer"] for name in CASES}
    assert len(issuers) == len(CASES)


def test_flags_of_the_spec_are_added() -> None:
    spec = {"controlPlane": {"apiServer": {"extraArgs": {"event-ttl": "30m", "v": "4"}}}}
    found = flags(plan(spec))
    assert (found["event-ttl"], found["v"]) == ("30m", "4")


def test_audit_goes_to_the_log_when_asked_for() -> None:
    assert not any(flag.startswith("audit") for flag in flags(plan()))
    ctx = plan({"controlPlane": {"audit": {"level": "Metadata"}}})
    assert flags(ctx)["audit-log-path"] == "-"
    policy = config(ctx, "ConfigMap", "control-plane", "audit-policy.yaml")
    assert policy["rules"][-1] == {"level": "Metadata"}


def test_nobody_is_anonymous_but_for_health_and_discovery() -> None:
    found = config(plan(), "ConfigMap", "control-plane", "authentication.yaml")
    assert {condition["path"] for condition in found["anonymous"]["conditions"]} == {
        "/livez",
        "/readyz",
        "/healthz",
        "/api/v1/namespaces/kube-public/configmaps/cluster-info",
    }


@pytest.mark.parametrize(
    ("provider", "order"),
    [("secretbox", ["secretbox", "identity"]), ("none", ["identity", "secretbox"])],
)
def test_secrets_are_encrypted_from_the_first_write(provider: str, order: list[str]) -> None:
    ctx = plan({"encryption": {"provider": provider}})
    (resource,) = config(ctx, "Secret", "encryption", "encryption.yaml")["resources"]
    assert resource["resources"] == ["secrets"]
    assert [next(iter(p)) for p in resource["providers"]] == order
    (key,) = next(p["secretbox"] for p in resource["providers"] if "secretbox" in p)["keys"]
    assert base64.b64decode(key["secret"]) == ctx.pki.encryption_key


def pod_template(ctx: PlanContext) -> Object:
    objects = list(component("control-plane").objects(ctx))
    template: Object = find(objects, "Deployment", "control-plane")["spec"]["template"]
    return template


def test_pods_restart_for_what_is_read_once_and_for_nothing_else() -> None:
    ctx = plan()
    stored = replace(ctx, facts=ctx.facts.with_objects([*ctx.pki.roots(), *ctx.pki.leaves(*TRUST)]))
    later = replace(stored, facts=replace(stored.facts, now=NOW + timedelta(days=100)))
    assert pod_template(later) == pod_template(ctx)
    renewed = replace(stored, facts=replace(stored.facts, now=NOW + timedelta(days=300)))
    assert pod_template(renewed)["metadata"] != pod_template(ctx)["metadata"]
    assert pod_template(renewed)["spec"] == pod_template(ctx)["spec"]


def etcd(spec: Object, host: HostFacts, *objects: Object) -> Object:
    datastore = plan({"datastore": spec})
    facts = replace(datastore.facts, host=host).with_objects(objects)
    ctx = replace(datastore, facts=facts)
    return find(list(component("etcd").objects(ctx)), "StatefulSet", "etcd")


CLASS = HostFacts(default_storage_class="standard")


@pytest.mark.parametrize(
    ("spec", "host", "storage_class"),
    [
        ({}, CLASS, "standard"),
        ({}, HostFacts(), None),
        ({"storage": "Ephemeral"}, CLASS, None),
        ({"storage": "Persistent"}, CLASS, "standard"),
        ({"storage": "Persistent", "storageClassName": "fast"}, HostFacts(), "fast"),
        ({"storageClassName": "fast"}, HostFacts(), "fast"),
    ],
)
def test_where_etcd_keeps_its_data(
    spec: Object, host: HostFacts, storage_class: str | None
) -> None:
    statefulset = etcd(spec, host)
    claims = statefulset["spec"].get("volumeClaimTemplates", [])
    assert [c["spec"]["storageClassName"] for c in claims] == [storage_class] * bool(storage_class)


def test_a_volume_the_host_cannot_give_is_refused() -> None:
    with pytest.raises(SpecError, match="no default StorageClass"):
        etcd({"storage": "Persistent"}, HostFacts())


def test_etcd_stays_where_it_is_whatever_becomes_of_the_host() -> None:
    before, without = etcd({}, CLASS), etcd({}, HostFacts())
    assert etcd({}, HostFacts(), before) == before
    assert etcd({}, replace(CLASS, default_storage_class="other"), before) == before
    assert etcd({}, CLASS, without) == without


def test_etcd_fills_half_of_its_volume_at_most() -> None:
    args = etcd({"size": "2Gi"}, CLASS)["spec"]["template"]["spec"]["containers"][0]["args"]
    assert f"--quota-backend-bytes={1 << 30}" in args


def test_a_load_balancer_without_address_is_waited_for() -> None:
    ctx = plan({"exposure": {"type": "LoadBalancer"}})
    assert component("exposure").ready(ctx, {}).state is State.READY
    service = find(list(component("endpoint").objects(ctx)), "Service", "kube-apiserver")
    service["spec"]["clusterIP"] = "192.0.2.10"
    pending = replace(ctx, facts=ctx.facts.with_objects([service]))
    found = component("exposure").ready(pending, {})
    assert (found.state, found.reason) == (State.WAITING, "LoadBalancerPending")


def test_what_does_not_wait_for_the_services_addresses_does_not_name_them() -> None:
    ctx = plan({})
    unknown = replace(ctx, facts=Facts(NOW, ctx.facts.host))
    assert component("endpoint").ready(unknown, {}).reason == "NoAddress"
    early = [c for c in COMPONENTS if c.side is Side.HOST and "endpoint" not in c.needs]
    assert {"roots", "endpoint", "network-policy"} <= {c.name for c in early}
    for found in early:
        assert list(found.objects(unknown)) == list(found.objects(ctx)), found.name


@pytest.mark.parametrize(
    ("name", "kind", "obj"),
    [("etcd", "StatefulSet", "etcd"), ("control-plane", "Deployment", "control-plane")],
)
def test_a_workload_of_the_host_is_ready_when_its_pods_are(name: str, kind: str, obj: str) -> None:
    ctx = plan()
    seen = find(list(component(name).objects(ctx)), kind, obj)
    assert not component(name).ready(ctx, {}).ok
    assert not component(name).ready(ctx, {key_of(seen): seen}).ok
    seen["status"] = {"readyReplicas": 1, "updatedReplicas": 1}
    assert component(name).ready(ctx, {key_of(seen): seen}).ok


def test_the_first_start_waits_for_a_volume_and_no_later_one_does() -> None:
    ctx = plan({"datastore": {"storage": "Persistent", "storageClassName": "fast"}})
    etcd = find(list(component("etcd").objects(ctx)), "StatefulSet", "etcd")
    asked = replace(ctx, facts=ctx.facts.with_objects([{**etcd, "status": {"replicas": 1}}]))
    early = list(component("control-plane").objects(asked))
    assert "Deployment" not in {obj["kind"] for obj in early}
    readiness = component("control-plane").ready(asked, {})
    assert readiness.reason == "DatastoreNotReady"
    assert readiness.until

    def pod(node: str) -> Object:
        meta = {"name": "etcd-0", "namespace": ctx.namespace}
        return {"kind": "Pod", "metadata": meta, "spec": {"nodeName": node} if node else {}}

    homeless = replace(asked, facts=asked.facts.with_objects([pod("")]))
    assert "Deployment" not in {o["kind"] for o in component("control-plane").objects(homeless)}
    assert not readiness.until.matters(pod(""))
    assert readiness.until.matters(pod("a"))
    there = replace(asked, facts=asked.facts.with_objects([pod("a")]))
    deployment = find(
        list(component("control-plane").objects(there)), "Deployment", "control-plane"
    )
    later = replace(asked, facts=asked.facts.with_objects([deployment]))
    assert deployment in list(component("control-plane").objects(later))


@pytest.mark.parametrize("leaf", ["konnectivity-agent", "metrics-server"])
def test_a_certificate_that_the_host_may_not_have_stored_goes_into_no_tenant(leaf: str) -> None:
    """The next pass would find another one, and start everybody's agents again."""
    assert leaf in {o["metadata"]["name"] for o in component("credentials").objects(plan())}
    assert "credentials" in component(leaf).needs


@pytest.mark.parametrize("workers", [0, 1])
def test_an_add_on_waits_for_its_pods_only_where_there_are_nodes(workers: int) -> None:
    ctx = plan(pools=(pool(workers),))
    seen = {key_of(o): o for o in component("coredns").objects(ctx)}
    assert component("coredns").ready(ctx, seen).ok is (workers == 0)


def test_what_runs_on_every_node_is_ready_when_every_pod_is() -> None:
    ctx = plan(pools=(pool(2),))
    seen = {key_of(o): o for o in component("kube-proxy").objects(ctx)}
    daemonset = seen["DaemonSet", "kube-system", "kube-proxy"]
    daemonset["status"] = {"desiredNumberScheduled": 2, "numberReady": 1}
    assert not component("kube-proxy").ready(ctx, seen).ok
    daemonset["status"]["numberReady"] = 2
    assert component("kube-proxy").ready(ctx, seen).ok


def test_what_is_switched_off_is_neither_there_nor_waited_for() -> None:
    spec = {
        "addons": {
            "coreDNS": False,
            "kubeProxy": False,
            "localPath": False,
            "metricsServer": False,
        },
        "networking": {"cni": "none"},
    }
    ctx = plan(spec, pools=(pool(1),))
    for name in ("coredns", "kube-proxy", "local-path", "metrics-server", "flannel"):
        assert list(component(name).objects(ctx)) == []
        assert component(name).ready(ctx, {}).ok
    assert component("kubeadm").ready(ctx, {}).ok


@pytest.mark.parametrize(("workers", "replicas"), [(0, 1), (1, 1), (2, 2), (9, 2)])
def test_dns_runs_twice_where_there_are_two_nodes(workers: int, replicas: int) -> None:
    objects = list(component("coredns").objects(plan(pools=(pool(workers),))))
    assert find(objects, "Deployment", "coredns")["spec"]["replicas"] == replicas


@pytest.mark.parametrize("name", ["kube-proxy", "flannel", "konnectivity-agent"])
def test_what_every_node_needs_tolerates_all_but_the_uninitialized_taint(name: str) -> None:
    taint = {"key": "example.com/gpu", "effect": "NoSchedule"}
    objects = list(component(name).objects(plan(pools=(pool(1, taints=[taint]),))))
    (daemonset,) = [o for o in objects if o["kind"] == "DaemonSet"]
    tolerated = daemonset["spec"]["template"]["spec"]["tolerations"]
    keys = {t.get("key") for t in tolerated if t.get("effect") == "NoSchedule"}
    assert {"node.kubernetes.io/not-ready", "example.com/gpu"} <= keys
    assert not keys & {None, "node.cloudprovider.kubernetes.io/uninitialized"}


def test_a_small_pod_range_limits_the_pods_of_a_node() -> None:
    assert config(plan(), "ConfigMap", "kubelet-config", "kubelet")["maxPods"] == 110
    small = plan({"networking": {"podCIDR": "10.64.0.0/24"}})
    assert config(small, "ConfigMap", "kubelet-config", "kubelet")["maxPods"] == 13


def test_cluster_info_names_endpoint_and_ca_and_nobody() -> None:
    ctx = plan()
    info = config(ctx, "ConfigMap", "cluster-info", "kubeconfig")
    assert info["users"] == []
    assert info["clusters"] == [
        {"name": "", "cluster": ctx.pki.admin_kubeconfig()["clusters"][0]["cluster"]}
    ]


def test_machines_may_not_reach_the_host() -> None:
    host = HostFacts(
        pod_cidrs=("10.244.0.0/16",), service_cidrs=("10.96.0.0/12",), node_addresses=("10.0.0.1",)
    )
    assert forbidden(host) == ["10.0.0.1/32", "10.244.0.0/16", "10.96.0.0/12", "169.254.0.0/16"]


@pytest.mark.parametrize(
    ("mirror", "ways"),
    [("", 0), ("registry.example:5000", 0), ("10.9.9.9", 0), ("10.9.9.9:5000", 1)],
)
def test_machines_may_reach_the_mirror(mirror: str, ways: int) -> None:
    ctx = plan()
    host = replace(ctx.facts.host, registry_mirror=mirror)
    ctx = replace(ctx, facts=replace(ctx.facts, host=host))
    policy = find(list(component("network-policy").objects(ctx)), "NetworkPolicy", "machines")
    opened = [
        e
        for e in policy["spec"]["egress"]
        if {"protocol": "TCP", "port": 5000} in e.get("ports", [])
    ]
    assert len(opened) == ways
