"""The duties of a cloud controller: what a node's machine is, and which certificate it may have. Pure."""

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from kubeception import names
from kubeception.engine.observe import is_ready
from kubeception.kube.conditions import condition, is_true
from kubeception.plan.facts import Object
from kubeception.providers import provider
from kubeception.providers.base import Machine

UNINITIALIZED: Final = "node.cloudprovider.kubernetes.io/uninitialized"
NETWORK_UNAVAILABLE: Final = "NetworkUnavailable"
"""The node's condition, which flannel sets to False once it runs."""
NO_NETWORK: Final = {"key": "node.kubernetes.io/network-unavailable", "effect": "NoSchedule"}
"""The taint that kube-controller-manager keeps on a node of which the same is True."""
FLANNEL_STARTS: Final = "FlannelIsStarting"
"""Why, when it was us who said so."""
FLANNEL_PATIENCE: Final = timedelta(minutes=5)
"""flannel says once that it runs, and never again: should that be lost, the node is opened after this time."""
FLANNEL_ADDRESS: Final = "flannel.alpha.coreos.com/public-ip-overwrite"
"""Where the flannel of a node reads, once, by which address other nodes reach it."""
FLANNEL_KNOWN: Final = "flannel.alpha.coreos.com/public-ip"
"""Where it writes that, and all others read it, again and again."""
FLANNEL_ADDRESS6: Final = "flannel.alpha.coreos.com/public-ipv6-overwrite"
ZONE_LABELS: Final = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")
"""Copied from the host's node to the tenant's."""

SERVING_SIGNER: Final = "kubernetes.io/kubelet-serving"
SERVING_USAGES: Final = (
    {"digital signature", "server auth"},
    {"digital signature", "key encipherment", "server auth"},
)


def addresses(machine: Machine) -> list[dict[str, str]]:
    """`status.addresses` of the machine's node: what a guest behind masquerade can't know."""
    return [
        {"type": "InternalIP", "address": machine.address},
        {"type": "Hostname", "address": machine.name},
    ]


def status_patch(
    node: Object, machine: Machine, now: datetime, *, overlay: bool
) -> dict[str, Any] | None:
    """What to change in the node's status, as a strategic merge patch, or None when it is right.

    With an `overlay` the node has no pod network until flannel takes that condition back: kube-controller-manager
    keeps pods away by it, which would find neither other nodes nor Services yet.
    """
    status: dict[str, Any] = {}
    wanted = addresses(machine)
    if node.get("status", {}).get("addresses") != wanted:
        status["addresses"] = [{"$patch": "replace"}, *wanted]
    if overlay and is_uninitialized(node) and not condition(node, NETWORK_UNAVAILABLE):
        said = "flannel has not said yet that it runs on this node"
        status["conditions"] = [_network(FLANNEL_STARTS, said, now, unavailable=True)]
    elif (due := network_due(node)) and now >= due:
        said = "flannel has not said in time that it runs on this node; pods may come all the same"
        status["conditions"] = [_network("FlannelIsSilent", said, now, unavailable=False)]
    return {"status": status} if status else None


def network_due(node: Object) -> datetime | None:
    """When its pods wait no longer for flannel; None when they don't, or not by our word."""
    said = condition(node, NETWORK_UNAVAILABLE)
    since = said.get("lastTransitionTime")
    if said.get("status") != "True" or said.get("reason") != FLANNEL_STARTS or not since:
        return None
    return datetime.fromisoformat(since) + FLANNEL_PATIENCE


def _network(reason: str, message: str, now: datetime, *, unavailable: bool) -> dict[str, str]:
    return {
        "type": NETWORK_UNAVAILABLE,
        "status": str(unavailable),
        "reason": reason,
        "message": message,
        "lastTransitionTime": now.isoformat(timespec="seconds"),
    }


def head_start(node: Object, machine: Machine, now: datetime) -> timedelta:
    """How long its pods wait yet, so that a slow processor makes the kubelet ready first; none when it is."""
    age = now - datetime.fromisoformat(node["metadata"]["creationTimestamp"])
    waits = is_uninitialized(node) and not is_ready(node)
    return max(timedelta(), provider(machine.provider).head_start - age) if waits else timedelta()


def lacks(node: Object) -> str:
    """Why it isn't ready, out of what its kubelet says, which is a list of long chains of causes."""
    said = str(condition(node, "Ready").get("message") or "").strip("[]")
    if "NetworkPluginNotReady" in said:
        return "its pod network is not up yet"
    return ": ".join(said.split(", ")[0].split(": ")[:2])


def is_uninitialized(node: Object) -> bool:
    """Whether it waits yet to be told what its machine is."""
    return _is_tainted(node, UNINITIALIZED)


def is_open(node: Object) -> bool:
    """Whether pods may come: neither of the taints of a new node is left, which go after what they stand for."""
    return not is_uninitialized(node) and not _is_tainted(node, NO_NETWORK["key"])


def node_patch(
    node: Object,
    machine: Machine,
    provider_id: str,
    host_labels: Mapping[str, str],
    annotations: Mapping[str, str],
    *,
    open_to_pods: bool = True,
) -> dict[str, Any] | None:
    """What to merge into the node once its addresses are right, or None when nothing is missing.

    Removing the taint comes last, or with it: whatever waits for that finds the node complete.
    """
    meta, spec = node["metadata"], node.get("spec", {})
    patch: dict[str, Any] = {}
    if not spec.get("providerID"):
        patch.setdefault("spec", {})["providerID"] = provider_id
    if open_to_pods and is_uninitialized(node):
        kept = [taint for taint in spec["taints"] if taint["key"] != UNINITIALIZED]
        if is_true(node, NETWORK_UNAVAILABLE) and not _is_tainted(node, NO_NETWORK["key"]):
            kept.append(NO_NETWORK)  # here and now: a scheduler is quicker than the controller
        patch.setdefault("spec", {})["taints"] = kept
    zones = {key: host_labels[key] for key in ZONE_LABELS if key in host_labels}
    known = meta.get("annotations", {})
    # a flannel that hasn't begun yet reads the first when it does
    underlay = {
        FLANNEL_ADDRESS: machine.address,
        **({FLANNEL_KNOWN: machine.address} if FLANNEL_KNOWN in known else {}),
        **({FLANNEL_ADDRESS6: machine.address6} if machine.address6 else {}),
    }
    marks = {
        "annotations": {**underlay, **annotations},
        "labels": {names.PROVIDER_LABEL: machine.provider, **zones},
    }
    for field, wanted in marks.items():
        if not wanted.items() <= meta.get(field, {}).items():
            patch.setdefault("metadata", {})[field] = wanted
    if patch:
        patch.setdefault("metadata", {})["resourceVersion"] = meta["resourceVersion"]
    return patch or None


def _is_tainted(node: Object, key: str) -> bool:
    return any(taint["key"] == key for taint in node.get("spec", {}).get("taints") or ())


def is_pending(csr: Object) -> bool:
    """Whether a kubelet's serving certificate is asked for and nobody has decided yet."""
    decided = {c["type"] for c in csr.get("status", {}).get("conditions") or ()}
    return csr["spec"].get("signerName") == SERVING_SIGNER and not decided & {"Approved", "Denied"}


def objection(csr: Object, machine: Machine) -> str:
    """Why the machine's kubelet may not have the serving certificate it asks for; empty if it may.

    The requestor must be the node itself, and the certificate good for its name and address, and
    for nothing else.
    """
    spec, user = csr["spec"], f"system:node:{machine.name}"
    if spec.get("username") != user:
        return f"asked for by {spec.get('username')!r}"
    if "system:nodes" not in spec.get("groups", ()):
        return "asked for by a user that is no node"
    if set(spec.get("usages", ())) not in SERVING_USAGES:
        return f"usages {', '.join(spec.get('usages', ()))}"
    try:
        request = x509.load_pem_x509_csr(base64.b64decode(spec["request"]))
        return _subject_objection(request, user) or _names_objection(request, machine)
    except (ValueError, TypeError) as error:
        return f"not a certificate request: {error}"


def _subject_objection(request: x509.CertificateSigningRequest, user: str) -> str:
    subject = {attribute.oid: attribute.value for attribute in request.subject}
    wanted = {NameOID.COMMON_NAME: user, NameOID.ORGANIZATION_NAME: "system:nodes"}
    if subject != wanted or len(list(request.subject)) != len(wanted):
        return f"subject {request.subject.rfc4514_string()}"
    return "" if request.is_signature_valid else "its signature is wrong"


def _names_objection(request: x509.CertificateSigningRequest, machine: Machine) -> str:
    try:
        found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "it names no host"
    said = sorted(f"{type(name).__name__}:{name.value}" for name in found)
    wanted = sorted((f"DNSName:{machine.name}", f"IPAddress:{machine.address}"))
    return "" if said == wanted else f"names {', '.join(said)}"


def approval(csr: Object, now: str) -> Object:
    """The request with our approval."""
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "MachineMatches",
        "message": "The request names this machine and its address only.",
        "lastUpdateTime": now,
    }
    status = csr.get("status", {})
    conditions = [*(status.get("conditions") or ()), condition]
    return {**csr, "status": {**status, "conditions": conditions}}
