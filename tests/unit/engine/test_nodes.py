import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubeception import names
from kubeception.engine import nodes
from kubeception.providers.base import Machine, Phase

MACHINE = Machine(
    name="demo-workers-1",
    pool="demo-workers",
    phase=Phase.RUNNING,
    created=datetime(2026, 1, 2, tzinfo=UTC),
    address="10.244.0.9",
)
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
USAGES = ["digital signature", "server auth"]


def csr(
    *,
    user: str = "system:node:demo-workers-1",
    groups: tuple[str, ...] = ("system:nodes", "system:authenticated"),
    usages: list[str] = USAGES,
    common_name: str = "system:node:demo-workers-1",
    organizations: tuple[str, ...] = ("system:nodes",),
    dns: tuple[str, ...] = ("demo-workers-1",),
    ips: tuple[str, ...] = ("10.244.0.9",),
) -> dict[str, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, o) for o in organizations]
    subject.append(x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
    names += [x509.IPAddress(ip_address(ip)) for ip in ips]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return {
        "metadata": {"name": "csr-1"},
        "spec": {
            "signerName": nodes.SERVING_SIGNER,
            "username": user,
            "groups": list(groups),
            "usages": usages,
            "request": base64.b64encode(pem).decode(),
        },
    }


def test_the_machines_own_request_is_approved() -> None:
    assert nodes.objection(csr(), MACHINE) == ""
    assert nodes.objection(csr(usages=[*USAGES, "key encipherment"]), MACHINE) == ""


@pytest.mark.attack("A18")
@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (csr(user="system:node:other"), "asked for by"),
        (csr(user="kubernetes-admin"), "asked for by"),
        (csr(groups=("system:authenticated",)), "no node"),
        (csr(usages=["digital signature", "client auth"]), "usages"),
        (csr(usages=[*USAGES, "client auth"]), "usages"),
        (csr(common_name="system:node:other"), "subject"),
        (csr(common_name="kubernetes-admin"), "subject"),
        (csr(organizations=("system:masters",)), "subject"),
        (csr(organizations=("system:nodes", "system:masters")), "subject"),
        (csr(dns=("demo-workers-1", "kubernetes.default.svc")), "names"),
        (csr(dns=("other",)), "names"),
        (csr(ips=("10.244.0.9", "10.96.0.1")), "names"),
        (csr(ips=("10.0.2.2",)), "names"),
        (csr(ips=()), "names"),
        (csr(dns=(), ips=()), "names no host"),
    ],
)
def test_any_other_request_is_not(request_: dict[str, Any], why: str) -> None:
    assert why in nodes.objection(request_, MACHINE)


@pytest.mark.attack("A18")
def test_rubbish_is_an_objection_and_no_crash() -> None:
    request = csr()
    for rubbish in (
        "",
        "AAAA",
        "!!!",
        base64.b64encode(b"-----BEGIN CERTIFICATE REQUEST-----").decode(),
    ):
        request["spec"]["request"] = rubbish
        assert nodes.objection(request, MACHINE)


def test_only_undecided_serving_requests_are_looked_at() -> None:
    request = csr()
    assert nodes.is_pending(request)
    assert not nodes.is_pending({**request, "status": {"conditions": [{"type": "Denied"}]}})
    approved = nodes.approval(request, "2026-01-02T03:04:05Z")
    assert not nodes.is_pending(approved)
    other = {
        **request,
        "spec": {**request["spec"], "signerName": "kubernetes.io/kube-apiserver-client-kubelet"},
    }
    assert not nodes.is_pending(other)


def node(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "demo-workers-1", "resourceVersion": "5"},
        "spec": spec,
        "status": {"addresses": [{"type": "InternalIP", "address": "10.0.2.2"}]},
    }


def test_a_new_node_gets_its_machines_address_then_all_the_rest() -> None:
    fresh = node(
        taints=[
            {"key": nodes.UNINITIALIZED, "effect": "NoSchedule"},
            {"key": "mine", "effect": "NoSchedule"},
        ]
    )
    assert nodes.status_patch(fresh, MACHINE, START, overlay=False) == {
        "status": {
            "addresses": [
                {"$patch": "replace"},
                {"type": "InternalIP", "address": "10.244.0.9"},
                {"type": "Hostname", "address": "demo-workers-1"},
            ]
        }
    }
    patch = nodes.node_patch(
        fresh,
        MACHINE,
        "kubevirt://demo-workers-1",
        {"topology.kubernetes.io/zone": "z", "other": "x"},
        {"example.com/vm": "n"},
    )
    assert patch == {
        "metadata": {
            "annotations": {nodes.FLANNEL_ADDRESS: "10.244.0.9", "example.com/vm": "n"},
            "labels": {names.PROVIDER_LABEL: MACHINE.provider, "topology.kubernetes.io/zone": "z"},
            "resourceVersion": "5",
        },
        "spec": {
            "providerID": "kubevirt://demo-workers-1",
            "taints": [{"key": "mine", "effect": "NoSchedule"}],
        },
    }


def test_a_kubelet_has_a_while_to_become_ready_before_pods_start() -> None:
    taint = {"key": nodes.UNINITIALIZED, "effect": "NoSchedule"}
    fresh = node(taints=[taint])
    fresh["metadata"]["creationTimestamp"] = "2026-01-02T03:04:05Z"
    machine = replace(MACHINE, provider="kubevirt")
    seconds = [
        nodes.head_start(fresh, machine, datetime(2026, 1, 2, 3, 4, second, tzinfo=UTC)).seconds
        for second in (5, 12, 15, 40)
    ]
    assert seconds == [10, 3, 0, 0]
    assert not nodes.head_start(fresh, replace(MACHINE, provider="pod"), START)
    patch = nodes.node_patch(
        fresh, machine, "kubevirt://demo-workers-1", {}, {}, open_to_pods=False
    )
    assert patch
    assert "taints" not in patch["spec"]

    fresh["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    assert not nodes.head_start(fresh, machine, START)


def test_no_pod_comes_before_flannel_says_that_it_runs() -> None:
    fresh = node(taints=[{"key": nodes.UNINITIALIZED, "effect": "NoSchedule"}])
    fresh["status"]["addresses"] = nodes.addresses(MACHINE)
    patch = nodes.status_patch(fresh, MACHINE, START, overlay=True)
    assert patch
    (said,) = patch["status"]["conditions"]
    assert (said["type"], said["status"]) == ("NetworkUnavailable", "True")

    fresh["status"]["conditions"] = [said]
    assert nodes.status_patch(fresh, MACHINE, START, overlay=True) is None
    patch = nodes.node_patch(fresh, MACHINE, "kubevirt://demo-workers-1", {}, {})
    assert patch
    assert patch["spec"]["taints"] == [nodes.NO_NETWORK]

    fresh["spec"]["taints"].append(nodes.NO_NETWORK)
    patch = nodes.node_patch(fresh, MACHINE, "kubevirt://demo-workers-1", {}, {})
    assert patch
    assert patch["spec"]["taints"] == [nodes.NO_NETWORK]

    fresh["status"]["conditions"] = [{**said, "status": "False"}]
    patch = nodes.node_patch(fresh, MACHINE, "kubevirt://demo-workers-1", {}, {})
    assert patch
    assert patch["spec"]["taints"] == [nodes.NO_NETWORK]  # others put it there: theirs to remove


def test_a_node_of_which_flannel_never_says_that_it_runs_is_opened_all_the_same() -> None:
    fresh = node(taints=[{"key": nodes.UNINITIALIZED, "effect": "NoSchedule"}])
    patch = nodes.status_patch(fresh, MACHINE, START, overlay=True)
    assert patch
    (said,) = patch["status"]["conditions"]
    fresh["status"] = {"addresses": nodes.addresses(MACHINE), "conditions": [said]}
    due = nodes.network_due(fresh)
    assert due == START + nodes.FLANNEL_PATIENCE
    early = due - timedelta(seconds=1)
    assert nodes.status_patch(fresh, MACHINE, early, overlay=True) is None
    patch = nodes.status_patch(fresh, MACHINE, due, overlay=True)
    assert patch
    (said,) = patch["status"]["conditions"]
    assert (said["status"], said["reason"]) == ("False", "FlannelIsSilent")
    fresh["status"]["conditions"] = [said]
    assert nodes.network_due(fresh) is None


@pytest.mark.parametrize(
    "said", [{"status": "False"}, {"reason": "MyOwn"}, {"lastTransitionTime": None}]
)
def test_what_somebody_else_says_of_the_network_is_theirs(said: dict[str, Any]) -> None:
    ours = {
        "type": "NetworkUnavailable",
        "status": "True",
        "reason": nodes.FLANNEL_STARTS,
        "lastTransitionTime": START.isoformat(),
    }
    theirs = node()
    theirs["status"]["conditions"] = [{**ours, **said}]
    assert nodes.network_due(theirs) is None


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", ""),
        ("Kubelet stopped posting node status.", "Kubelet stopped posting node status."),
        (
            "[container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady, failed to a: b]",
            "its pod network is not up yet",
        ),
        (
            'failed to initialize CSINode: error updating it: timed out; caused by: nodes "a" not found',
            "failed to initialize CSINode: error updating it",
        ),
        (
            "[PLEG is not healthy: it was never, container runtime is down]",
            "PLEG is not healthy: it was never",
        ),
    ],
)
def test_what_a_node_lacks_is_said_in_short(said: str, told: str) -> None:
    unready = node()
    unready["status"]["conditions"] = [{"type": "Ready", "status": "False", "message": said}]
    assert nodes.lacks(unready) == told


def test_a_node_that_moved_is_reached_where_it_is() -> None:
    moved = node(providerID="kubevirt://n/demo-workers-1")
    moved["metadata"]["annotations"] = {
        nodes.FLANNEL_ADDRESS: "10.244.0.9",
        nodes.FLANNEL_KNOWN: "10.244.0.9",
        "flannel.alpha.coreos.com/backend-data": "{}",
    }
    moved["metadata"]["labels"] = {"topology.kubernetes.io/zone": "a"}
    moved["status"]["addresses"] = nodes.addresses(MACHINE)
    there = replace(MACHINE, address="10.244.3.4")
    patch = nodes.status_patch(moved, there, START, overlay=True)
    assert patch
    assert {"type": "InternalIP", "address": "10.244.3.4"} in patch["status"]["addresses"]
    zone = {"topology.kubernetes.io/zone": "b"}
    assert nodes.node_patch(moved, there, "kubevirt://demo-workers-1", zone, {}) == {
        "metadata": {
            "annotations": {
                nodes.FLANNEL_ADDRESS: "10.244.3.4",
                nodes.FLANNEL_KNOWN: "10.244.3.4",
            },
            "labels": {names.PROVIDER_LABEL: there.provider, **zone},
            "resourceVersion": "5",
        }
    }
    assert "names" in nodes.objection(csr(), there)
    assert nodes.objection(csr(ips=("10.244.3.4",)), there) == ""


def test_flannel_is_told_the_machines_ipv6_address_where_it_has_one() -> None:
    machine = replace(MACHINE, address6="fd00:10:244::9")
    patch = nodes.node_patch(node(), machine, "kubevirt://demo-workers-1", {}, {})
    assert patch
    assert patch["metadata"]["annotations"] == {
        "flannel.alpha.coreos.com/public-ip-overwrite": "10.244.0.9",
        "flannel.alpha.coreos.com/public-ipv6-overwrite": "fd00:10:244::9",
    }


def test_a_complete_node_is_left_alone() -> None:
    done = node(providerID="kubevirt://demo-workers-1")
    done["metadata"]["annotations"] = {nodes.FLANNEL_ADDRESS: "10.244.0.9"}
    done["metadata"]["labels"] = {names.PROVIDER_LABEL: MACHINE.provider}
    done["status"]["addresses"] = nodes.addresses(MACHINE)
    assert nodes.status_patch(done, MACHINE, START, overlay=True) is None
    assert nodes.node_patch(done, MACHINE, "kubevirt://demo-workers-1", {}, {}) is None
