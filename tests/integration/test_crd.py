"""The CustomResourceDefinitions, as a real API server understands them: each rule from both sides."""

import copy
import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from kubeception.api.crd import DEFINITIONS
from kubeception.api.v1alpha1 import parse_cluster, parse_pool
from kubeception.engine.install import install
from kubeception.errors import ApiError, SpecError
from kubeception.kube.client import Cluster
from kubeception.plan.x509 import self_signed
from tests.integration.operators import until
from tests.integration.servers import ApiServer, binary
from tests.plans import NOW, FixedKeys, pool, tenant

NAMESPACE = "crd-rules"
Spec = dict[str, Any]


@pytest.fixture(scope="module")
def namespace(host_server: Any) -> Iterator[str]:
    with host_server.cluster() as host:
        host.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        yield NAMESPACE


def cluster(name: str, spec: Spec) -> Spec:
    meta = {"name": name, "namespace": NAMESPACE}
    return {**tenant().manifest(), "metadata": meta, "spec": spec}


def workers(name: str, cluster_name: str, replicas: int = 1) -> Spec:
    manifest = pool(replicas).manifest()
    manifest["spec"]["clusterRef"] = {"name": cluster_name}
    return {**manifest, "metadata": {"name": name, "namespace": NAMESPACE}}


@pytest.mark.usefixtures("namespace")
def test_defaults_are_filled_in(host: Cluster) -> None:
    spec = host.apply(cluster("defaults", {}))["spec"]
    assert spec["networking"] == {
        "cni": "flannel",
        "dnsDomain": "cluster.local",
        "hostDNS": False,
        "nameservers": [],
    }
    assert spec["datastore"] == {"size": "1Gi", "storage": "Auto"}
    assert spec["exposure"] == {"extraSANs": [], "type": "NodePort"}
    assert spec["addons"]["coreDNS"] is True


def network(**fields: Any) -> Spec:
    return {"networking": fields}


def storage(*classes: Spec, **rest: Any) -> Spec:
    """Classes `fast`, or as these say otherwise."""
    made = [{"name": "fast", "hostStorageClass": "nvme", **c} for c in classes]
    return {"storage": {"classes": made}, **rest}


CORP = {"name": "corp", "url": "https://id.example.com", "audiences": ["kubernetes"]}
ROBOTS = {"name": "robots", "url": "https://ci.example.com:8443/a%20b/"}
CERTIFICATE = self_signed("id.example.com", FixedKeys(), "issuer", NOW).cert.decode()


def issuers(*found: Spec) -> Spec:
    """Issuers, each `CORP` or as it says otherwise."""
    return {"controlPlane": {"authentication": {"issuers": [{**CORP, **each} for each in found]}}}


LOCAL = {"name": "local-path"}
ARGS = "only these may be set: default-not-ready-toleration-seconds, "
RANGE = "must be an IPv4 range without host bits, such as 10.128.0.0/16"
OVERLAP = "podCIDR and serviceCIDR overlap"
OLD = "a cluster can't go back to an older version"
UNSUPPORTED = "this version is not supported: use one from v1.34 to v1.36"
RANGE6 = "must be an IPv6 range without host bits, in its short form"
MANIFEST = "manifestRef: is for cni custom, which can't do without"
SERVER = "must be the IP address of a name server"
MACHINES: Spec = {"provider": "kubevirt"}


def in_machines(**rest: Any) -> Spec:
    """A control plane in machines."""
    return {"controlPlane": MACHINES, **rest}


MADE_WITH = "with controlPlane.provider kubevirt it can't be changed"
FIXED = "provider, replicas and kubevirt of a control plane that runs can't be changed"
ISSUER = "must be an https URL without user, query and fragment"
RESERVED = "with it, people would have names of Kubernetes' own users and groups"
PEM = "must be certificates in PEM, and nothing else"
CLAIM = "every key must be a claim's name"
RETAIN = "deletionPolicy Retain: an Ephemeral datastore leaves nothing to retain"

GOOD: tuple[Spec, ...] = (
    {},
    {"version": "v1.34.0"},
    {"deletionPolicy": "Retain"},
    {"deletionPolicy": "Delete", "datastore": {"storage": "Ephemeral"}},
    {"controlPlane": {"apiServer": {"extraArgs": {"v": "2", "event-ttl": "2h"}}}},
    issuers({}, ROBOTS),
    issuers({"certificateAuthority": CERTIFICATE * 2, "usernameClaim": "email"}),
    issuers({"groupsClaim": "https://example.com/groups", "requiredClaims": {"hd": "{{ x }}"}}),
    network(podCIDR="10.0.0.0/8", serviceCIDR="11.0.0.0/24"),
    network(podCIDR="10.1.0.0/16", serviceCIDR="10.0.0.0/16"),
    network(serviceCIDR="10.0.0.0/12"),
    storage({}, {"name": "slow", "default": True, "reclaimPolicy": "Retain"}),
    storage(LOCAL, addons={"localPath": False}),
    network(cni="custom", manifestRef={"name": "mine"}),
    network(hostDNS=True),
    network(ipv6={}),
    network(ipv6={"podCIDR": "fd12:3456:789a::/56", "serviceCIDR": "fd12:3456:789a:ffff::/112"}),
    network(nameservers=["192.0.2.53", "2001:db8::53", "169.254.1.1"]),
    {"addons": {"nodeLocalDNS": True}},
    in_machines(),
    in_machines(datastore={"storage": "Auto"}, exposure={"type": "ClusterIP"}),
    {"controlPlane": {**MACHINES, "replicas": 3, "kubevirt": {"memory": "4Gi"}}},
    {"budget": {"clusters": 0, "depth": 0, "cpu": "500m", "memory": "1Gi", "loadBalancers": 0}},
)
BAD: tuple[tuple[Spec, str], ...] = (
    (in_machines(datastore={"size": "2Gi"}), "datastore: with controlPlane.provider kubevirt"),
    (in_machines(deletionPolicy="Retain"), "deletionPolicy Retain: with controlPlane.provider"),
    (in_machines(**network(ipv6={})), "networking.ipv6: not with controlPlane.provider kubevirt"),
    (in_machines(**storage({})), "storage.classes: not with controlPlane.provider kubevirt"),
    (in_machines(encryption={"rotation": "x"}), "encryption.rotation: not with controlPlane"),
    ({"controlPlane": {"replicas": 3}}, "replicas, kubevirt: are for provider kubevirt"),
    ({"controlPlane": {"kubevirt": {}}}, "replicas, kubevirt: are for provider kubevirt"),
    ({"controlPlane": {**MACHINES, "replicas": 2}}, "replicas: 1 or 3"),
    ({"version": "v1.33.9"}, UNSUPPORTED),
    ({"version": "v1.37.0"}, UNSUPPORTED),
    ({"deletionPolicy": "Retain", "datastore": {"storage": "Ephemeral"}}, RETAIN),
    ({"controlPlane": {"apiServer": {"extraArgs": {"etcd-servers": "x"}}}}, ARGS),
    (issuers({"url": "http://id.example.com"}), ISSUER),
    (issuers({"url": "https://me:secret@id.example.com"}), ISSUER),
    (issuers({"url": "https://id.example.com?a=b"}), ISSUER),
    (issuers({"url": "https://id.example.com/#a"}), ISSUER),
    (issuers({"url": "https://id.example.com\n"}), ISSUER),
    (issuers({"url": "https://demo.kubeception.io"}), "the issuers of ServiceAccounts' tokens"),
    (issuers({"name": "system"}), RESERVED),
    (issuers({"name": "kubeadm"}), RESERVED),
    (issuers({"name": "corp:"}), "issuers[0].name"),
    (issuers({"name": ""}), "issuers[0].name"),
    (issuers({}, {"name": "robots"}), "two issuers have the same url"),
    (issuers({}, {"url": "https://ci.example.com"}), "two issuers have the same name"),
    (issuers({"audiences": ["a", "a"]}), "an audience is there twice"),
    (issuers({"audiences": []}), "issuers[0].audiences"),
    (issuers({"certificateAuthority": "/etc/passwd"}), PEM),
    (issuers({"certificateAuthority": f"x\n{CERTIFICATE}"}), PEM),
    (issuers({"certificateAuthority": CERTIFICATE.replace("CERTIFICATE", "PRIVATE KEY")}), PEM),
    (issuers({"requiredClaims": {"a b": "c"}}), CLAIM),
    (issuers({"requiredClaims": {"a": "b\n"}}), "issuers[0].requiredClaims"),
    (network(podCIDR="10.0.0.0/16", serviceCIDR="10.0.3.0/24"), OVERLAP),
    (network(podCIDR="10.0.3.0/24", serviceCIDR="10.0.0.0/16"), OVERLAP),
    (network(podCIDR="10.0.0.0/16", serviceCIDR="10.0.0.0/16"), OVERLAP),
    (network(podCIDR="10.0.0.1/16"), RANGE),
    (network(podCIDR="10.0.0.0/255.0.0.0"), RANGE),
    (network(podCIDR="fd00::/16"), RANGE),
    (network(serviceCIDR="text"), RANGE),
    (network(podCIDR="10.0.0.0/25"), "the prefix must be between /8 and /24"),
    (network(podCIDR="0.0.0.0/0"), "the prefix must be between /8 and /24"),
    (network(serviceCIDR="10.0.0.0/11"), "the prefix must be between /12 and /24"),
    (storage({}, {}), "two classes have the same name"),
    (storage({"default": True}, {"name": "b", "default": True}), "more than one class"),
    (storage(LOCAL), "local-path is the class of addons.localPath"),
    (network(ipv6={"podCIDR": "10.0.0.0/16"}), RANGE6),
    (network(ipv6={"podCIDR": "fd12::1/56"}), RANGE6),
    (network(ipv6={"podCIDR": "FD12::/56"}), RANGE6),
    (network(ipv6={"podCIDR": "fd12::/64"}), "the prefix must be between /48 and /60"),
    (network(ipv6={"serviceCIDR": "fd12::/64"}), "the prefix must be between /108 and /120"),
    (network(ipv6={"podCIDR": "fd12::/56", "serviceCIDR": "fd12::/112"}), OVERLAP),
    (network(cni="custom"), MANIFEST),
    (network(cni="none", manifestRef={"name": "mine"}), MANIFEST),
    (network(manifestRef={"name": "mine"}), MANIFEST),
    (network(hostDNS=True, nameservers=["192.0.2.53"]), "with hostDNS they are the host's"),
    (network(nameservers=["127.0.0.53"]), SERVER),
    (network(nameservers=["192.0.2.53", "224.0.0.1"]), SERVER),
    (network(nameservers=["dns.example.com"]), SERVER),
    ({"addons": {"nodeLocalDNS": True, "coreDNS": False}}, "needs coreDNS and kubeProxy"),
    ({"addons": {"nodeLocalDNS": True, "kubeProxy": False}}, "needs coreDNS and kubeProxy"),
    ({"budget": {"clusters": 1, "depth": 0}}, "with depth 0 there can be none"),
)
CHANGES: tuple[tuple[Spec, Spec], ...] = (
    ({"version": "v1.34.3"}, {"version": "v1.34.3", "paused": True}),
    ({"version": "v1.34.3"}, {"version": "v1.34.10"}),
    ({"version": "v1.34.3"}, {"version": "v1.35.0"}),
    ({"deletionPolicy": "Retain"}, {"deletionPolicy": "Delete"}),
    (in_machines(), in_machines(paused=True, budget={"cpu": "8"}, addons={"localPath": False})),
    ({"networking": {"cni": "none"}}, {"networking": {"cni": "none"}, "encryption": {}}),
    (storage({}), storage({"default": True}, {"name": "slow"})),
    (storage({}), storage({"name": "slow"})),
)
BAD_CHANGES: tuple[tuple[Spec, Spec, str], ...] = (
    ({}, in_machines(), FIXED),
    (in_machines(), {}, FIXED),
    (in_machines(), {"controlPlane": {**MACHINES, "replicas": 3}}, FIXED),
    (in_machines(), {"controlPlane": {**MACHINES, "kubevirt": {"cpus": 4}}}, FIXED),
    (
        in_machines(version="v1.36.2"),
        in_machines(version="v1.36.3"),
        "version: that of a control plane in machines can't be changed",
    ),
    (in_machines(), in_machines(encryption={"rotation": "x"}), "encryption.rotation: not with"),
    (in_machines(), in_machines(encryption={"provider": "none"}), f"encryption: {MADE_WITH}"),
    (in_machines(), in_machines(exposure={"type": "LoadBalancer"}), f"exposure: {MADE_WITH}"),
    (
        in_machines(),
        {"controlPlane": {**MACHINES, "audit": {"level": "Metadata"}}},
        f"controlPlane: {MADE_WITH}",
    ),
    ({"version": "v1.34.3"}, {"version": "v1.36.0"}, "one minor version at a time"),
    ({"version": "v1.35.0"}, {"version": "v1.34.9"}, OLD),
    ({"version": "v1.35.10"}, {"version": "v1.35.9"}, OLD),
    ({"networking": {"cni": "none"}}, {}, "networking of a cluster that runs can't be changed"),
    ({}, network(ipv6={}), "networking of a cluster that runs can't be changed"),
    ({}, network(podCIDR="10.9.0.0/16"), "networking of a cluster that runs can't be changed"),
    ({"datastore": {"size": "1Gi"}}, {"datastore": {"size": "2Gi"}}, "the datastore of a cluster"),
    ({}, {"datastore": {"storage": "Ephemeral"}}, "the datastore of a cluster that runs"),
    (storage({}), storage({"hostStorageClass": "hdd"}), "a class can't be changed"),
    (storage({}), storage({"reclaimPolicy": "Retain"}), "a class can't be changed"),
)
BAD_LABEL = "every key must be that of a label"
OF_ANOTHER = "options of another provider than the pool's"
HERE = {"address": "198.51.100.7"}


def machines(*found: Spec, **rest: Any) -> Spec:
    """A pool of machines that somebody owns."""
    return {"provider": "ssh", "ssh": {"machines": list(found)}, **rest}


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me@here"
ELSEWHERE = {"infraKubeconfigSecretRef": {"name": "s"}, "infraNamespace": "w"}
GOOD_POOLS: tuple[Spec, ...] = (
    {"provider": "pod", "pod": {"memory": "2Gi"}},
    machines(HERE, {**HERE, "port": 2222}, replicas=2),
    {"kubevirt": {"instancetype": {"name": "u1.small"}, "disks": [{"name": "a", "size": "1Gi"}]}},
    {"kubevirt": {"rootDisk": {"size": "20Gi"}, "eviction": "LiveMigrate"}},
    {"kubevirt": {"networkData": "version: 2"}},
    {"userData": {"sshAuthorizedKeys": [KEY]}},
    {"provider": "pod", "userData": {"sshAuthorizedKeys": []}},
    {"kubelet": {"cpuManagerPolicy": "static", "kubeReserved": {"cpu": "100m"}}},
    {"userData": {"files": [{"path": "/etc/sysctl.d/9.conf", "content": ""}]}},
    {"strategy": {"maxSurge": 0, "maxUnavailable": 1}},
    {"strategy": {"maxSurge": "25%", "maxUnavailable": "0%"}},
    {"strategy": {}, "health": {"maxUnhealthy": 3}, "drainTimeout": "90s"},
    {"autoscaling": {"max": 3}},
    {"autoscaling": {"min": 3, "max": 3, "scaleDownAfter": "0s"}},
    {"version": "v1.34.0", "paused": True},
)
STUCK = "maxSurge and maxUnavailable can't both be 0"
BAD_POOLS: tuple[tuple[Spec, str], ...] = (
    ({"pod": {}}, f"pod: {OF_ANOTHER}"),
    ({"provider": "pod", "kubevirt": {}}, f"kubevirt: {OF_ANOTHER}"),
    ({"ssh": {"machines": [HERE]}}, f"ssh: {OF_ANOTHER}"),
    ({"provider": "ssh"}, "ssh: is missing"),
    (machines(HERE, replicas=2), "replicas: more are asked for than ssh.machines has"),
    (machines(HERE, HERE), "a machine is there more than once"),
    (machines({"address": "127.0.0.1"}), "must be the IPv4 address of a machine elsewhere"),
    (machines({"address": "169.254.169.254"}), "must be the IPv4 address of a machine elsewhere"),
    (machines({"address": "239.0.0.1"}), "must be the IPv4 address of a machine elsewhere"),
    (machines({"address": "::1"}), "must be the IPv4 address of a machine elsewhere"),
    ({"kubelet": {"cpuManagerPolicy": "static"}}, "needs CPU in systemReserved or kubeReserved"),
    (
        {"kubevirt": {"instancetype": {"name": "a"}, "cpus": 2}},
        "cpus, memory: the instancetype says them",
    ),
    (
        {"kubevirt": {"disks": [{"name": "a", "size": "1Gi"}] * 2}},
        "two disks have the same name",
    ),
    (
        {
            "kubevirt": {
                "rootDisk": {"size": "20Gi", "accessMode": "ReadWriteOnce"},
                "eviction": "LiveMigrate",
            }
        },
        "eviction LiveMigrate: needs a root disk of accessMode ReadWriteMany",
    ),
    ({"userData": {"sshAuthorizedKeys": [f"no-pty {KEY}"]}}, "spec.userData.sshAuthorizedKeys"),
    (
        {
            "userData": {
                "sshAuthorizedKeys": [KEY],
                "files": [{"path": "/root/.ssh/authorized_keys", "content": ""}],
            }
        },
        "sshAuthorizedKeys: files has /root/.ssh/authorized_keys too",
    ),
    (
        {"provider": "pod", "userData": {"sshAuthorizedKeys": [KEY]}},
        "userData.sshAuthorizedKeys: for virtual machines only",
    ),
    ({"kubevirt": {"infraNamespace": "w"}}, "the one needs the other"),
    ({"kubevirt": {"infraKubeconfigSecretRef": {"name": "s"}}}, "the one needs the other"),
    (
        {"kubevirt": {**ELSEWHERE, "eviction": "LiveMigrate"}},
        "rootDisk, eviction: not with infraKubeconfigSecretRef",
    ),
    (
        {"kubevirt": {**ELSEWHERE, "rootDisk": {"size": "20Gi"}}},
        "rootDisk, eviction: not with infraKubeconfigSecretRef",
    ),
    ({"strategy": {"maxSurge": 0}}, STUCK),
    ({"strategy": {"maxSurge": "0%", "maxUnavailable": 0}}, STUCK),
    ({"strategy": {"maxSurge": "101%"}}, "spec.strategy.maxSurge"),
    ({"strategy": {"maxSurge": -1}}, "spec.strategy.maxSurge"),
    ({"strategy": {"maxSurge": 1.5}}, "spec.strategy.maxSurge"),
    ({"health": {"unreadyTimeout": "soon"}}, "spec.health.unreadyTimeout"),
    ({"autoscaling": {"min": 4, "max": 3}}, "min is more than max"),
    ({"autoscaling": {"min": 1}}, "spec.autoscaling.max"),
)
POOL_RULES = (
    BAD_LABEL,
    "a pool can't move to another cluster",
    "a pool can't change its provider",
    "a pool can't move to another infra cluster or namespace",
    *(message for _, message in BAD_POOLS),
)


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("spec", GOOD_POOLS, ids=str)
def test_pools_that_are_taken_are_read_too(host: Cluster, spec: Spec) -> None:
    wanted = workers("good", "one")
    wanted["spec"].update(spec)
    parse_pool(host.apply(wanted, dry_run=True))


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize(("spec", "message"), BAD_POOLS, ids=str)
def test_pools_that_a_rule_forbids(host: Cluster, spec: Spec, message: str) -> None:
    wanted = workers("bad", "one")
    wanted["spec"].update(spec)
    with pytest.raises(ApiError, match=re.escape(message)) as caught:
        host.apply(wanted, dry_run=True)
    assert "evaluation error" not in caught.value.message
    with pytest.raises(SpecError):
        parse_pool(wanted)


@pytest.mark.usefixtures("namespace")
def test_a_pool_keeps_its_provider(host: Cluster) -> None:
    wanted = workers("kept", "one")
    host.apply(wanted)
    wanted["spec"]["provider"] = "pod"
    with pytest.raises(ApiError, match="a pool can't change its provider"):
        host.apply(wanted)


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("spec", GOOD, ids=str)
def test_what_is_taken_is_read_too(host: Cluster, spec: Spec) -> None:
    parse_cluster(host.apply(cluster("good", spec), dry_run=True))


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize(("spec", "message"), BAD, ids=str)
def test_what_a_rule_forbids_is_refused_and_said(host: Cluster, spec: Spec, message: str) -> None:
    with pytest.raises(ApiError, match=re.escape(message)) as caught:
        host.apply({**cluster("bad", {}), "spec": spec}, dry_run=True)
    assert "evaluation error" not in caught.value.message
    if message != UNSUPPORTED:  # a cluster of an older release can be read, and deleted
        with pytest.raises(SpecError):
            parse_cluster({**cluster("bad", {}), "spec": spec})


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize(("before", "after"), CHANGES, ids=str)
def test_changes_that_are_taken(host: Cluster, before: Spec, after: Spec) -> None:
    host.delete("TenantCluster", "changing", NAMESPACE)
    host.apply(cluster("changing", before))
    parse_cluster(host.apply(cluster("changing", after)))


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize(("before", "after", "message"), BAD_CHANGES, ids=str)
def test_changes_that_are_refused(host: Cluster, before: Spec, after: Spec, message: str) -> None:
    host.delete("TenantCluster", "changing", NAMESPACE)
    host.apply(cluster("changing", before))
    with pytest.raises(ApiError, match=re.escape(message)):
        host.apply(cluster("changing", after))


def test_every_rule_is_among_those_tested() -> None:
    tested = [*(case[-1] for case in (*BAD, *BAD_CHANGES)), *POOL_RULES, "the name m"]
    for definition in DEFINITIONS:
        for rule in (rule for rules in definition.rules.values() for rule in rules):
            assert any(part in rule["message"] for part in tested), rule


@pytest.mark.usefixtures("namespace")
def test_a_version_that_is_no_longer_supported_stays_what_it_is(host: Cluster) -> None:
    """A rule that came later doesn't keep anybody from changing something else."""
    crd = host.get("CustomResourceDefinition", "tenantclusters.kubeception.io")
    assert crd
    lax = copy.deepcopy(crd)
    spec = lax["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["version"]["x-kubernetes-validations"].pop(0)
    host.replace(lax)
    deadline = time.monotonic() + 20
    while True:
        try:
            host.apply(cluster("old", {"version": "v1.30.1"}))
            break
        except ApiError:  # the new schema isn't served yet
            assert time.monotonic() < deadline
    install(host)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            host.apply(cluster("older", {"version": "v1.30.1"}), dry_run=True)
        except ApiError:
            break
    assert host.apply(cluster("old", {"version": "v1.30.1", "paused": True}))["spec"]["paused"]


WORDS = (
    "a a.b A - 10.0.0.0/8 10.1.0.0/16 10.1.2.0/24 10.1.2.0/25 1.2.3.4 010.0.0.0/8 10.0.0.0/08 ::/0 "
    "v1.36.3 v1.036.3 v1.36 1Gi 0 Retain Ephemeral Persistent none"
)
ODD = ["", "x\n", "\u00e9", "9" * 25, "a" * 64, "a" * 300]
texts = st.sampled_from(WORDS.split()) | st.sampled_from(ODD) | st.text(max_size=8)
cidrs = texts | st.builds(
    "{}.{}.{}.0/{}".format,
    st.integers(0, 256),
    st.integers(0, 3),
    st.sampled_from([0, 64]),
    st.integers(0, 33),
)


cidrs6 = texts | st.builds(
    "{}::{}/{}".format,
    st.sampled_from(["fd12", "FD12", "fd12:3456:789a", "fe80", "::ffff", ""]),
    st.sampled_from(["", "", "1", "192.0.2.0"]),
    st.sampled_from([0, 47, 48, 56, 60, 61, 108, 112, 120, 121, 128, 129]),
)
addresses = (
    texts
    | st.sampled_from(["::1", "::ffff:192.0.2.1", "fe80::1%eth0", "255.255.255.255", "0.0.0.0"])
    | st.ip_addresses().map(str)
)

urls = texts | st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["https", "http", "HTTPS"]),
    st.sampled_from(["id.example.com", "a", "192.0.2.7", "me@a", "[::1]", "a.kubeception.io", "-"]),
    st.sampled_from(["", ":443", ":0", ":x"]),
    st.sampled_from(["", "/", "/a/b", "/%20", "/%zz", "?a", "#a", "//", "/\u00e9", "/\n"]),
)


def shape(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Spec]:
    return st.fixed_dictionaries({}, optional=fields)


cluster_specs = shape(
    version=texts | st.builds("v1.{}.{}".format, st.integers(30, 40), st.integers(0, 1000)),
    controlPlane=shape(
        audit=shape(level=st.sampled_from(["None", "Request", "none"])),
        apiServer=shape(
            extraArgs=st.dictionaries(st.sampled_from(["v", "event-ttl", "tls-min"]), texts)
        ),
        authentication=shape(
            issuers=st.lists(
                st.fixed_dictionaries(
                    {
                        "name": texts | st.sampled_from(["corp", "robots", "system"]),
                        "url": urls,
                        "audiences": st.lists(texts, max_size=2),
                    },
                    optional={
                        "certificateAuthority": texts,
                        "usernameClaim": texts,
                        "requiredClaims": st.dictionaries(texts, texts, max_size=2),
                    },
                ),
                max_size=2,
            )
        ),
    ),
    datastore=shape(
        storage=st.sampled_from(["Auto", "Ephemeral", "x"]), size=texts, storageClassName=texts
    ),
    networking=shape(
        podCIDR=cidrs,
        serviceCIDR=cidrs,
        dnsDomain=texts,
        cni=texts | st.sampled_from(["none", "custom"]),
        manifestRef=shape(name=texts),
        hostDNS=st.booleans(),
        ipv6=shape(podCIDR=cidrs6, serviceCIDR=cidrs6),
        nameservers=st.lists(addresses, max_size=4),
    ),
    exposure=shape(host=texts, extraSANs=st.lists(texts, max_size=3)),
    addons=shape(
        coreDNS=st.booleans(),
        kubeProxy=st.booleans(),
        localPath=st.booleans(),
        nodeLocalDNS=st.booleans(),
    ),
    storage=shape(
        classes=st.lists(
            st.fixed_dictionaries(
                {"name": texts | st.just("local-path"), "hostStorageClass": texts},
                optional={"default": st.booleans(), "reclaimPolicy": texts},
            ),
            max_size=3,
        )
    ),
    budget=shape(
        clusters=st.integers(-1, 1001),
        depth=st.integers(-1, 33),
        cpu=texts | st.just("500m"),
        memory=texts,
        loadBalancers=st.integers(-1, 501),
    ),
    deletionPolicy=st.sampled_from(["Delete", "Retain", "Orphan"]),
)
pool_specs = shape(
    replicas=st.integers(-1, 1001) | st.just(2**40),
    labels=st.dictionaries(texts, texts, max_size=3),
    taints=st.lists(
        st.fixed_dictionaries(
            {"key": texts, "effect": st.sampled_from(["NoSchedule", "NoExecute", "no"])},
            optional={"value": texts},
        ),
        max_size=2,
    ),
    provider=st.sampled_from(["kubevirt", "pod", "ssh", "x"]),
    pod=shape(cpus=st.integers(-1, 257), memory=texts, image=texts),
    kubevirt=shape(
        cpus=st.integers(-1, 257),
        memory=texts,
        image=texts,
        instancetype=shape(name=texts),
        requests=shape(cpu=texts, memory=texts),
        nodeSelector=st.dictionaries(texts, texts, max_size=2),
        rootDisk=shape(size=texts | st.just("20Gi"), accessMode=texts),
        networkData=texts,
        eviction=st.sampled_from(["Replace", "LiveMigrate", "x"]),
        disks=st.lists(
            shape(name=st.sampled_from(["a", "b", "-"]), size=st.just("1Gi")), max_size=3
        ),
    ),
    kubelet=shape(
        maxPods=st.integers(0, 300),
        cpuManagerPolicy=st.sampled_from(["none", "static", "x"]),
        systemReserved=shape(cpu=texts | st.just("100m"), memory=texts),
    ),
    ssh=shape(
        user=texts,
        keySecretRef=shape(name=texts),
        machines=st.lists(
            shape(
                address=st.sampled_from(["198.51.100.7", "127.0.0.1", "::1", "224.0.0.1", "x"]),
                port=st.integers(0, 70000),
                hostKey=texts,
            ),
            max_size=2,
        ),
    ),
)


@pytest.mark.usefixtures("namespace")
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(spec=cluster_specs, pool_spec=pool_specs)
def test_what_the_server_admits_can_be_read(host: Cluster, spec: Spec, pool_spec: Spec) -> None:
    """The rules of the definitions are at least as strict as the models; what only they forbid, they say."""
    for parse, wanted in (
        (parse_cluster, {**cluster("any", {}), "spec": spec}),
        (
            parse_pool,
            {**workers("any", "one"), "spec": {"clusterRef": {"name": "one"}, **pool_spec}},
        ),
    ):
        try:
            admitted = host.apply(wanted, dry_run=True)
        except ApiError as error:
            assert "evaluation error" not in error.message  # noqa: PT017
            if UNSUPPORTED not in error.message:
                with pytest.raises(SpecError):
                    parse(wanted)
        else:
            parse(admitted)


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize(
    ("labels", "taken"),
    [
        ({"example.com/kind": "large", "app": ""}, True),
        ({"-": ""}, False),
        ({"a b": ""}, False),
        ({"x" * 400: ""}, False),
    ],
    ids=str,
)
def test_labels_of_nodes(host: Cluster, labels: dict[str, str], taken: bool) -> None:
    wanted = workers("labels", "one")
    wanted["spec"]["labels"] = labels
    if taken:
        parse_pool(host.apply(wanted, dry_run=True))
        return
    with pytest.raises(ApiError, match=BAD_LABEL):
        host.apply(wanted, dry_run=True)


def kubectl(server: ApiServer, *args: str) -> str:
    kubeconfig = server.folder / "kubectl.json"
    kubeconfig.write_text(json.dumps(server.kubeconfig))
    command = (binary("kubectl"), f"--kubeconfig={kubeconfig}", *args)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def explained(server: ApiServer, *args: str) -> str:
    """What `kubectl explain` says: a moment after the kinds are installed, nothing yet."""

    def ask() -> str:
        with suppress(subprocess.CalledProcessError):
            return kubectl(server, "explain", *args)
        return ""

    return until(ask, 30)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("kind", ["tenantcluster", "nodepool"])
def test_kubectl_explains_every_field(host_server: ApiServer, kind: str) -> None:
    for part in ("spec", "status"):
        said = explained(host_server, f"{kind}.{part}", "--recursive=false")
        fields = re.split(r"\n  (?=\S)", said.partition("FIELDS:")[2])[1:]
        assert fields
        assert all("<no description>" not in field for field in fields), said
    tree = explained(host_server, kind, "--recursive")
    assert "clusterRef" in tree if kind == "nodepool" else "serviceCIDR" in tree


def test_kubectl_shows_columns_short_names_and_category(
    host: Cluster, host_server: ApiServer, namespace: str
) -> None:
    host.apply(cluster("shown", {}))
    host.apply(workers("shown", "shown", 3))
    status = {"version": "v1.36.3", "phase": "Ready", "nodes": 3, "readyNodes": 2}
    message = {
        "conditions": [{"type": "Ready", "status": "False", "reason": "R", "message": "why"}]
    }
    message["conditions"][0]["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    host.patch(
        "TenantCluster", "shown", {"status": {**status, **message}}, namespace, subresource="status"
    )
    at = f"--namespace={namespace}"
    header, line = kubectl(host_server, at, "get", "tc", "shown").splitlines()
    assert header.split() == ["NAME", "VERSION", "STATUS", "NODES", "READY", "ENDPOINT", "AGE"]
    assert line.split()[:5] == ["shown", "v1.36.3", "Ready", "3", "2"]
    assert "why" in kubectl(host_server, at, "get", "tc", "shown", "--output=wide")
    header, line = kubectl(host_server, at, "get", "np", "shown").splitlines()
    counts = ["DESIRED", "CURRENT", "READY", "UPDATED"]
    assert header.split() == ["NAME", "CLUSTER", *counts, "VERSION", "AGE"]
    both = kubectl(host_server, at, "get", "kubeception", "--output=name")
    assert "tenantcluster.kubeception.io/shown" in both
    assert "nodepool.kubeception.io/shown" in both


def test_kubectl_scales_a_pool(host: Cluster, host_server: ApiServer, namespace: str) -> None:
    host.apply(workers("scaled", "one"))
    kubectl(host_server, f"--namespace={namespace}", "scale", "nodepool/scaled", "--replicas=4")
    found = host.get("NodePool", "scaled", namespace)
    assert found is not None
    assert found["spec"]["replicas"] == 4


@pytest.mark.usefixtures("namespace")
def test_the_rest_can_be_changed(host: Cluster) -> None:
    host.apply(cluster("mutable", {"networking": {"cni": "none"}}))
    later = {"networking": {"cni": "none"}, "exposure": {"type": "ClusterIP"}, "paused": True}
    assert host.apply(cluster("mutable", later))["spec"]["paused"] is True


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize(
    "after", [None, {"infraNamespace": "b"}, {"infraKubeconfigSecretRef": {"name": "t"}}]
)
def test_a_pool_stays_where_its_machines_are(host: Cluster, after: Spec | None) -> None:
    place = {"infraKubeconfigSecretRef": {"name": "s"}, "infraNamespace": "a"}

    def apply(name: str, replicas: int = 1, **spec: Spec) -> None:
        wanted = workers(name, "one", replicas)
        wanted["spec"].update(spec)
        host.apply(wanted)

    apply("there", kubevirt={**place, "cpus": 1})
    apply("there", 3, kubevirt={**place, "cpus": 2})
    moved = {} if after is None else {"kubevirt": {**place, **after}}
    with pytest.raises(ApiError, match="can't move to another infra cluster"):
        apply("there", 1, **moved)
    apply("here")
    with pytest.raises(ApiError, match="can't move to another infra cluster"):
        apply("here", kubevirt=place)


@pytest.mark.usefixtures("namespace")
def test_a_pool_stays_with_its_cluster_and_can_be_scaled(host: Cluster) -> None:
    host.apply(workers("pool", "one"))
    with pytest.raises(ApiError, match="can't move to another cluster"):
        host.apply(workers("pool", "two"))
    scale = {"spec": {"replicas": 5}}
    host.patch("NodePool", "pool", scale, NAMESPACE, subresource="scale")
    found = host.get("NodePool", "pool", NAMESPACE)
    assert found is not None
    assert found["spec"]["replicas"] == 5


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("name", ["a" * 40, "x", "a-1"])
def test_names_that_are_taken(host: Cluster, name: str) -> None:
    host.apply(cluster(name, {}), dry_run=True)


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("name", ["a" * 41, "a.b"])
def test_names_that_are_refused(host: Cluster, name: str) -> None:
    with pytest.raises(ApiError, match="the name"):
        host.apply(cluster(name, {}), dry_run=True)


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize(
    "spec",
    [
        {"version": "latest"},
        {"networking": {"cni": "calico"}},
        {"datastore": {"size": "big"}},
        {"exposure": {"extraSANs": ["not ok"]}},
        {"exposure": "NodePort"},
    ],
)
def test_bad_specs_are_refused_by_the_server_too(host: Cluster, spec: Spec) -> None:
    bad = {**cluster("bad", {}), "spec": spec}
    with pytest.raises(ApiError, match=r"spec\."):
        host.apply(bad, dry_run=True)
