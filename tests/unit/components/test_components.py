"""What follows from a spec, component by component: what the golden files can't argue for."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml

from kubeception import names
from kubeception.components import COMPONENTS
from kubeception.components.base import Component, Side, State
from kubeception.components.coredns import replicas
from kubeception.components.network_policy import forbidden
from kubeception.errors import SpecError
from kubeception.plan.context import PlanContext
from kubeception.plan.edit import container
from kubeception.plan.facts import Facts, HostFacts, Object, key_of
from kubeception.plan.pki import TRUST
from tests.plans import NOW, case, everything, find, in_pods, plan, pool

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
    issuers = {flags(case(name))["service-account-issuer"] for name in in_pods()}
    assert len(issuers) == len(in_pods())


def test_flags_of_the_spec_are_added() -> None:
    spec = {"controlPlane": {"apiServer": {"extraArgs": {"event-ttl": "30m", "v": "4"}}}}
    found = flags(plan(spec))
    assert (found["event-ttl"], found["v"]) == ("30m", "4")


def test_how_many_requests_at_once_is_what_the_spec_says_or_follows_from_memory() -> None:
    """The sum is what API Priority and Fairness shares out; one that is set leaves the other."""
    own = flags(plan())
    assert (own["max-requests-inflight"], own["max-mutating-requests-inflight"]) == ("228", "113")
    spec = {"controlPlane": {"apiServer": {"extraArgs": {"max-requests-inflight": "7"}}}}
    set_by_hand = flags(plan(spec))
    assert set_by_hand["max-requests-inflight"] == "7"
    assert set_by_hand["max-mutating-requests-inflight"] == "113"


def test_with_one_api_server_nobody_is_asked_to_connect_anew() -> None:
    assert "goaway-chance" not in flags(plan())


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
    assert base64.b64decode(key["secret"]) == ctx.pki.encryption_keys[0].value


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
    later = replace(asked, facts=asked.facts.with_objects([*ctx.pki.roots(), deployment]))
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


@pytest.mark.parametrize(
    ("workers", "count"), [(0, 1), (1, 1), (2, 2), (32, 2), (33, 3), (160, 10), (161, 11)]
)
def test_dns_has_as_many_replicas_as_the_nodes_need(workers: int, count: int) -> None:
    objects = list(component("coredns").objects(plan(pools=(pool(workers),))))
    assert find(objects, "Deployment", "coredns")["spec"]["replicas"] == count
    budgets = [o for o in objects if o["kind"] == "PodDisruptionBudget"]
    assert len(budgets) == (workers > 1)


@pytest.mark.parametrize(
    ("nodes", "there", "count"),
    [(33, 2, 3), (32, 3, 3), (25, 3, 3), (24, 3, 2), (1, 2, 2), (3, 50, 2), (20, 9, 2), (64, 4, 4)],
)
def test_dns_grows_at_once_and_shrinks_with_slack(nodes: int, there: int, count: int) -> None:
    ctx = plan(pools=(pool(nodes),))
    given = {names.REPLICAS_ANNOTATION: str(there)}
    deployment = {
        "kind": "Deployment",
        "metadata": {"name": "coredns", "namespace": "kube-system", "annotations": given},
        "spec": {"replicas": 7},  # somebody else's idea
    }
    ctx = replace(ctx, facts=ctx.facts.with_tenant_objects([deployment]))
    objects = list(component("coredns").objects(ctx))
    assert find(objects, "Deployment", "coredns")["spec"]["replicas"] == count


@pytest.mark.parametrize("said", ["", "-1", "x", "9" * 5000])
def test_what_a_tenant_writes_there_is_a_number_or_nothing(said: str) -> None:
    meta = {"name": "coredns", "namespace": "kube-system"}
    meta |= {"annotations": {names.REPLICAS_ANNOTATION: said}}  # type: ignore[dict-item]
    ctx = plan(pools=(pool(3),))
    facts = ctx.facts.with_tenant_objects([{"kind": "Deployment", "metadata": meta}])
    objects = list(component("coredns").objects(replace(ctx, facts=facts)))
    assert find(objects, "Deployment", "coredns")["spec"]["replicas"] == 2


def test_a_number_of_nodes_that_goes_up_and_down_moves_no_replica_of_dns() -> None:
    for start in range(1, 200):
        there = replicas(start, 0)
        counts = [there := replicas(nodes, there) for nodes in (start, start + 1) * 4]
        assert len(set(counts[1:])) == 1


def test_each_node_has_a_dns_cache_where_that_is_asked_for() -> None:
    assert list(component("node-local-dns").objects(plan())) == []
    ctx = plan({"addons": {"nodeLocalDNS": True}})
    objects = list(component("node-local-dns").objects(ctx))
    corefile = find(objects, "ConfigMap", "node-local-dns")["data"]["Corefile"]
    addresses = f"169.254.20.10 {ctx.network.dns_ip}"
    assert corefile.count(f"    bind {addresses}\n") == 2
    assert corefile.startswith("cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {\n")
    args = container(find(objects, "DaemonSet", "node-local-dns"), "node-cache")["args"]
    assert args[1] == addresses.replace(" ", ",")
    upstream = args[args.index("-upstreamsvc") + 1]
    assert find(objects, "Service", upstream)["spec"]["selector"] == {"k8s-app": "kube-dns"}


@pytest.mark.parametrize("off", ["coreDNS", "kubeProxy"])
def test_a_dns_cache_needs_what_it_caches_and_who_leads_around_it(off: str) -> None:
    with pytest.raises(SpecError, match="nodeLocalDNS: needs coreDNS and kubeProxy"):
        plan({"addons": {"nodeLocalDNS": True, off: False}})


def ways(ctx: PlanContext) -> list[Any]:
    """Where machines may send, by the NetworkPolicy."""
    objects = list(component("network-policy").objects(ctx))
    found: list[Any] = find(objects, "NetworkPolicy", "machines")["spec"]["egress"]
    return found


def test_machines_reach_the_dns_of_the_host_only_where_that_is_asked_for() -> None:
    assert "kube-system" not in str(ways(plan()))
    assert "kube-system" not in str(ways(plan({"networking": {"nameservers": ["192.0.2.1"]}})))
    (way,) = [w for w in ways(plan({"networking": {"hostDNS": True}})) if "kube-system" in str(w)]
    assert {port["port"] for port in way["ports"]} == {53}
    assert [set(peer) for peer in way["to"]] == [{"namespaceSelector"}]


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


DUAL = {"networking": {"ipv6": {}, "cni": "none"}}


def test_both_families_are_said_wherever_ranges_are() -> None:
    ctx = plan(DUAL)
    network = ctx.network
    pods, services = (f"{network.pod_cidr},{network.pod_cidr6}", network.service_cidrs)
    assert flags(ctx)["service-cluster-ip-range"] == services
    manager = flags(ctx, "kube-controller-manager")
    assert (manager["cluster-cidr"], manager["service-cluster-ip-range"]) == (pods, services)
    masks = {key: value for key, value in manager.items() if key.startswith("node-cidr-mask")}
    assert masks == {"node-cidr-mask-size-ipv4": "24", "node-cidr-mask-size-ipv6": "64"}
    cluster = config(ctx, "ConfigMap", "kubeadm-config", "ClusterConfiguration")["networking"]
    assert (cluster["podSubnet"], cluster["serviceSubnet"]) == (pods, services)
    proxy = config(ctx, "ConfigMap", "kube-proxy", "config.conf")
    assert (proxy["clusterCIDR"], proxy["nodePortAddresses"]) == (pods, ["0.0.0.0/0", "::/0"])
    assert (
        find(everything(ctx), "Service", "kube-dns")["spec"]["ipFamilyPolicy"] == "PreferDualStack"
    )
    (world,) = [way for way in ways(ctx) if "::/0" in str(way)]
    assert "fe80::/10" in world["to"][0]["ipBlock"]["except"]


def test_one_family_has_no_word_of_the_other() -> None:
    ctx = plan()
    assert "node-cidr-mask-size-ipv6" not in flags(ctx, "kube-controller-manager")
    assert "::/0" not in str(ways(ctx))
    network = config(ctx, "ConfigMap", "kube-flannel-cfg", "net-conf.json")
    assert "EnableIPv6" not in network


def test_flannel_is_not_at_the_port_where_a_hosts_own_tunnel_may_be() -> None:
    network = config(plan(), "ConfigMap", "kube-flannel-cfg", "net-conf.json")
    assert network["Backend"] == {"Type": "vxlan", "Port": 8473}


def test_flannel_carries_ipv6_where_the_host_has_it() -> None:
    ctx = plan({"networking": {"ipv6": {}}})
    pods = (*ctx.facts.host.pod_cidrs, "fd00:10:244::/56")
    ctx = replace(ctx, facts=replace(ctx.facts, host=replace(ctx.facts.host, pod_cidrs=pods)))
    network = config(ctx, "ConfigMap", "kube-flannel-cfg", "net-conf.json")
    assert (network["EnableIPv6"], network["IPv6Network"]) == (True, ctx.network.pod_cidr6)


def test_without_kube_proxy_nothing_of_it_is_left_and_the_nodes_own_ways_need_none() -> None:
    ctx = plan({"addons": {"kubeProxy": False}}, pools=(pool(2),))
    objects = everything(ctx)
    assert "kube-proxy" not in str(objects)
    assert ctx.endpoint
    flannel = find(objects, "DaemonSet", "kube-flannel-ds")
    environment = {e["name"]: e.get("value") for e in container(flannel, "kube-flannel")["env"]}
    assert environment["KUBERNETES_SERVICE_HOST"] == ctx.endpoint.cluster_ip
    agent = find(objects, "DaemonSet", "konnectivity-agent")
    said = container(agent, "konnectivity-agent")["args"]
    assert f"--proxy-server-host={ctx.endpoint.cluster_ip}" in said
    # From here the tenant's users learn what to tell a network that must not need Services.
    assert flags(ctx)["advertise-address"] == ctx.endpoint.cluster_ip


def test_each_tunnel_server_says_how_many_there_are() -> None:
    ctx = plan()
    deployment = find(everything(ctx), "Deployment", "control-plane")
    count = flags(ctx, "konnectivity-server")["server-count"]
    assert int(count) == deployment["spec"]["replicas"]


def test_policies_are_on_the_disk_of_versions_that_read_them() -> None:
    newest, older = plan(), plan({"version": "v1.35.4"})
    found = config(newest, "ConfigMap", "control-plane", "admission.yaml")
    assert "/etc/kubernetes/policies" in str(found)
    assert flags(newest)["feature-gates"] == "ManifestBasedAdmissionControlConfig=true"
    assert "feature-gates" not in flags(older)
    found = config(older, "ConfigMap", "control-plane", "admission.yaml")
    assert "/etc/kubernetes/policies" not in str(found)
    assert "policies.yaml" not in find(everything(older), "ConfigMap", "control-plane")["data"]


@pytest.mark.parametrize("version", ["v1.34.4", "v1.35.4", "v1.36.3"])
def test_events_are_limited_in_each_version(version: str) -> None:
    made = plan({"version": version})
    assert flags(made)["admission-control-config-file"] == "/etc/kubernetes/admission.yaml"
    assert "EventRateLimit" in flags(made)["enable-admission-plugins"].split(",")
    found = config(made, "ConfigMap", "control-plane", "admission.yaml")
    assert found["plugins"][0]["name"] == "EventRateLimit"


def test_no_version_has_a_volume_plugin_that_dials_what_a_storage_class_names() -> None:
    older = flags(plan({"version": "v1.35.4"}), "kube-controller-manager")
    assert older["feature-gates"] == "InTreePluginPortworxUnregister=true"
    # It is gone in 1.36, and its feature gate with it: one that isn't known keeps the process from starting.
    assert "feature-gates" not in flags(plan(), "kube-controller-manager")


@pytest.mark.parametrize("version", ["v1.34.4", "v1.35.4", "v1.36.3"])
def test_nothing_but_etcd_is_dialled_directly(version: str) -> None:
    selector = config(
        plan({"version": version}), "ConfigMap", "control-plane", "egress-selector.yaml"
    )
    protocols = {e["name"]: e["connection"]["proxyProtocol"] for e in selector["egressSelections"]}
    assert protocols == {"cluster": "GRPC", "controlplane": "HTTPConnect"}
