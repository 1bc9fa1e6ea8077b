"""The automated controls of the CIS Kubernetes benchmark 1.11, for what is rendered: one row each.

Sections 1.2 to 1.4, 2 and 4.2: kube-apiserver, kube-controller-manager, kube-scheduler, etcd and the kubelet. Those
that a person must judge are answered in docs/security.md.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest
import yaml

from kubeception.plan.context import PlanContext
from kubeception.plan.edit import container, set_args
from kubeception.plan.facts import Object
from tests.blocks import ROOT
from tests.plans import case, everything, find, in_pods, plan

Flags = Mapping[str, str]
AUDITED: Final = {"controlPlane": {"audit": {"level": "Metadata"}}}


@dataclass(frozen=True)
class Control:
    """What is asked of a component, and whether its flags, or the kubelet's configuration, are so."""

    id: str
    of: str
    asked: str
    met: Callable[[Any], bool]
    spec: Mapping[str, Any] | None = None
    """Of the TenantCluster, where the default doesn't ask for it."""


def has(*flags: str) -> Callable[[Flags], bool]:
    return lambda given: all(given.get(flag) for flag in flags)


def says(flag: str, value: str) -> Callable[[Flags], bool]:
    return lambda given: given.get(flag) == value


def lists(flag: str, value: str) -> Callable[[Flags], bool]:
    return lambda given: value in given.get(flag, "").split(",")


def lacks(flag: str, value: str = "") -> Callable[[Flags], bool]:
    """It isn't given, or doesn't list the value."""
    return lambda given: value not in given.get(flag, "").split(",") if value else flag not in given


def is_not(flag: str, value: str) -> Callable[[Flags], bool]:
    return lambda given: given.get(flag) != value


API, MANAGER, SCHEDULER = "kube-apiserver", "kube-controller-manager", "kube-scheduler"
ADMITS, REFUSES = "enable-admission-plugins", "disable-admission-plugins"


def silent(given: Flags) -> bool:
    """Whether it listens on loopback at most: nowhere, where it is a container beside its API server."""
    return given.get("secure-port") == "0" or given.get("bind-address") == "127.0.0.1"


CONTROLS: Final = (
    Control("1.2.2", API, "no file of static tokens", lacks("token-auth-file")),
    Control(
        "1.2.4",
        API,
        "a client certificate for kubelets",
        has("kubelet-client-certificate", "kubelet-client-key"),
    ),
    Control("1.2.5", API, "kubelets are checked by a CA", has("kubelet-certificate-authority")),
    Control("1.2.6", API, "not everything is allowed", lacks("authorization-mode", "AlwaysAllow")),
    Control("1.2.7", API, "nodes are told apart", lists("authorization-mode", "Node")),
    Control("1.2.8", API, "rights by role", lists("authorization-mode", "RBAC")),
    Control("1.2.10", API, "not everything is admitted", lacks(ADMITS, "AlwaysAdmit")),
    Control("1.2.12", API, "pods get service accounts", lacks(REFUSES, "ServiceAccount")),
    Control(
        "1.2.13", API, "nothing new in a dying namespace", lacks(REFUSES, "NamespaceLifecycle")
    ),
    Control("1.2.14", API, "nodes write their own objects only", lists(ADMITS, "NodeRestriction")),
    Control("1.2.15", API, "no profiles", says("profiling", "false")),
    Control("1.2.16", API, "an audit log", has("audit-log-path"), AUDITED),
    Control(
        "1.2.21", API, "tokens end with their account", is_not("service-account-lookup", "false")
    ),
    Control("1.2.22", API, "a key for service accounts", has("service-account-key-file")),
    Control("1.2.23", API, "a client certificate for etcd", has("etcd-certfile", "etcd-keyfile")),
    Control("1.2.24", API, "it serves by TLS", has("tls-cert-file", "tls-private-key-file")),
    Control("1.2.25", API, "clients are checked by a CA", has("client-ca-file")),
    Control("1.2.26", API, "etcd is checked by a CA", has("etcd-cafile")),
    Control(
        "1.2.30",
        API,
        "tokens end when they say",
        says("service-account-extend-token-expiration", "false"),
    ),
    Control("1.3.2", MANAGER, "no profiles", says("profiling", "false")),
    Control(
        "1.3.3",
        MANAGER,
        "an account for each controller",
        says("use-service-account-credentials", "true"),
    ),
    Control("1.3.4", MANAGER, "a key for tokens", has("service-account-private-key-file")),
    Control("1.3.5", MANAGER, "pods get the CA", has("root-ca-file")),
    Control(
        "1.3.6",
        MANAGER,
        "kubelets' serving certificates are renewed",
        lacks("feature-gates", "RotateKubeletServerCertificate=false"),
    ),
    Control("1.3.7", MANAGER, "it listens on loopback at most", silent),
    Control("1.4.1", SCHEDULER, "no profiles", says("profiling", "false")),
    Control("1.4.2", SCHEDULER, "it listens on loopback at most", silent),
    Control("2.1", "etcd", "it serves by TLS", has("cert-file", "key-file")),
    Control("2.2", "etcd", "clients have certificates", says("client-cert-auth", "true")),
    Control("2.3", "etcd", "none that it signed itself", is_not("auto-tls", "true")),
    Control("2.4", "etcd", "members speak TLS", has("peer-cert-file", "peer-key-file")),
    Control("2.5", "etcd", "members have certificates", says("peer-client-cert-auth", "true")),
    Control("2.6", "etcd", "none that they signed themselves", is_not("peer-auto-tls", "true")),
    Control(
        "4.2.1",
        "kubelet",
        "nobody is anonymous",
        lambda config: config["authentication"]["anonymous"]["enabled"] is False,
    ),
    Control(
        "4.2.2",
        "kubelet",
        "not everything is allowed",
        lambda config: config["authorization"]["mode"] == "Webhook",
    ),
    Control(
        "4.2.3",
        "kubelet",
        "clients are checked by a CA",
        lambda config: bool(config["authentication"]["x509"]["clientCAFile"]),
    ),
    Control(
        "4.2.6",
        "kubelet",
        "it keeps its packet filter rules",
        lambda config: config.get("makeIPTablesUtilChains", True) is True,
    ),
    Control(
        "4.2.10",
        "kubelet",
        "its client certificate is renewed",
        lambda config: config.get("rotateCertificates") is True,
    ),
)

REASONS: Final = {
    "1.2.17": "the audit log is the container's output: the host's kubelet keeps and rotates it",
    "1.2.18": "the same",
    "1.2.19": "the same",
}
"""Controls that ask for nothing that is there, and why."""

MANUAL: Final = (
    *(f"1.2.{number}" for number in (1, 3, 9, 11, 20, 27, 28, 29)),
    "1.3.1",
    "2.7",
    *(f"4.2.{number}" for number in (4, 5, 7, 8, 9, 11, 12, 13, 14, 15)),
)
"""Controls that a person must judge."""


def given(ctx: PlanContext, of: str) -> Any:
    """The flags of a component, or the configuration of kubelets."""
    objects = everything(ctx)
    if of == "kubelet":
        return yaml.safe_load(find(objects, "ConfigMap", "kubelet-config")["data"]["kubelet"])
    kind, name = ("StatefulSet", "etcd") if of == "etcd" else ("Deployment", "control-plane")
    return flags(find(objects, kind, name), of)


def flags(workload: Object, of: str) -> Flags:
    pairs = (arg.removeprefix("--").partition("=") for arg in container(workload, of)["args"])
    return {flag: value for flag, _, value in pairs}


@pytest.mark.parametrize("name", in_pods())
@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: f"{c.id} {c.of}: {c.asked}")
def test_a_control_is_met(control: Control, name: str) -> None:
    ctx = plan(dict(control.spec)) if control.spec else case(name)
    assert control.met(given(ctx, control.of))


WRONG: Final = {
    "authorization-mode": "AlwaysAllow",
    ADMITS: "AlwaysAdmit",
    REFUSES: "ServiceAccount,NamespaceLifecycle",
    "token-auth-file": "/tokens",
    "service-account-lookup": "false",
    "feature-gates": "RotateKubeletServerCertificate=false",
    "auto-tls": "true",
    "peer-auto-tls": "true",
    "secure-port": "10257",
    "profiling": "true",
}


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: f"{c.id} {c.of}: {c.asked}")
def test_a_control_can_be_missed(control: Control) -> None:
    """The control run: a component that is told the opposite, and nothing else."""
    if control.of == "kubelet":
        wrong: Any = {
            "authentication": {"anonymous": {"enabled": True}, "x509": {"clientCAFile": ""}},
            "authorization": {"mode": "AlwaysAllow"},
            "makeIPTablesUtilChains": False,
            "rotateCertificates": False,
        }
    else:
        bare: Object = {"spec": {"template": {"spec": {"containers": [{"name": "x", "args": []}]}}}}
        set_args(bare, "x", WRONG)
        wrong = flags(bare, "x")
    assert not control.met(wrong)


def test_every_control_of_these_sections_has_its_row() -> None:
    """As many as the benchmark has."""
    known = [*(control.id for control in CONTROLS), *REASONS, *MANUAL]
    numbers = {"1.2": 30, "1.3": 7, "1.4": 2, "2": 7, "4.2": 15}
    wanted = {f"{part}.{n}" for part, count in numbers.items() for n in range(1, count + 1)}
    assert len(known) == len(set(known))
    assert set(known) == wanted


def test_what_a_person_must_judge_is_answered() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    for control in (*MANUAL, *REASONS):
        assert control in rows, f"docs/security.md has no answer to {control}"


def test_secrets_are_encrypted_as_the_page_says() -> None:
    found = find(everything(plan()), "Secret", "encryption")["data"]["encryption.yaml"]
    (resource,) = yaml.safe_load(base64.b64decode(found))["resources"]
    assert "secretbox" in resource["providers"][0]
