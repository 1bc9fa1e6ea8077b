"""A control plane that kubeadm makes in virtual machines: what each of them boots with."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import yaml

from kubeception import names
from kubeception.api.v1alpha1 import NodePool
from kubeception.components import admission, authentication, encryption
from kubeception.plan import x509
from kubeception.plan.bootstrap import (
    JOIN,
    JOIN_UNIT,
    PATCHES,
    UNIT,
    Bootstrap,
    File,
    join_configuration,
    kubeadm_bootstrap,
    mirrors,
)
from kubeception.plan.context import PlanContext
from kubeception.plan.control_plane import CLIENT_PORT, PEER_PORT, Member, own_address
from kubeception.plan.endpoint import API_PORT
from kubeception.plan.facts import Object
from kubeception.plan.kubelet import kubelet_configuration, kubelet_patch
from kubeception.plan.render import document, text

PKI: Final = "/etc/kubernetes/pki"
FOLDER: Final = "/etc/kubernetes/kubeception"
"""What kube-apiserver reads besides what kubeadm writes."""
INIT: Final = "/etc/kubernetes/init.yaml"
DONE: Final = "/var/lib/kubelet/control-plane"
"""There once the machine is part of the control plane: after a reboot kubeadm isn't run again."""
DROP_IN: Final = "/etc/systemd/system/kubelet.service.d/20-addresses.conf"
INIT_SKIPS: Final = ("preflight", "upload-config", "bootstrap-token", "addon", "show-join-command")
"""Phases of `kubeadm init` whose work is that of components."""
TIMEOUTS: Final = {
    "controlPlaneComponentHealthCheck": "20m0s",
    "etcdAPICall": "5m0s",
    "kubeletHealthCheck": "10m0s",
    "kubernetesAPICall": "5m0s",
    "tlsBootstrap": "10m0s",
}
"""An emulated processor takes minutes for what kubeadm expects in seconds."""
READINESS: Final = {"periodSeconds": 10}
"""kubeadm has three servers asked each second, over TLS, and kube-apiserver asks etcd each time."""
LIVENESS: Final = {"failureThreshold": 30}
"""Five minutes without an answer, not kubeadm's eighty seconds: an emulated processor takes three for a restart."""


def cluster_configuration(ctx: PlanContext) -> Object:
    """What all machines of the control plane go by; those that come later read it in the cluster."""
    sans = [*ctx.pki.api_server_names(), *ctx.facts.host.node_addresses]
    return ctx.manifest(
        "kubeadm/machines.yaml.j2",
        api_port=API_PORT,
        folder=FOLDER,
        etcd_tag=ctx.image("etcd").rpartition(":")[2],
        sans=list(dict.fromkeys(sans)),
        api_server=_arguments(_api_server(ctx)),
        controller_manager=_arguments(_controller_manager(ctx)),
        scheduler=_arguments({"profiling": "false", **_election(ctx)}),
        etcd=_arguments(_etcd(ctx)),
    )


def machine_bootstrap(
    ctx: PlanContext, pool: NodePool, member: Member, token: str = ""
) -> Bootstrap:
    """How a machine makes the cluster or, with a token for that, becomes part of the control plane there is."""
    own = own_address(ctx, member)
    shared = ctx.endpoint.cluster_ip if ctx.endpoint else ""
    files = [*_keys(ctx), *_configuration(ctx), *_patches()]
    if token:
        boot = kubeadm_bootstrap(ctx, pool, member.name, token)
        files += [file for file in boot.files if file.path != JOIN]
        files.append(File(JOIN, json.dumps(_join(pool, member, own)), "0600"))
        command, addresses = f"join --config {JOIN}", [own]
    else:
        boot = Bootstrap(member.name, (), (), (), ctx.spec.networking.cni == "flannel")
        patch = f"{PATCHES}/kubeletconfiguration0+merge.json"
        files += [*mirrors(ctx), File(patch, json.dumps(kubelet_patch(pool)))]
        files.append(File(INIT, _init(ctx, pool, member, own)))
        # What is dialled at the cluster's own address it answers itself, also before it answers others.
        command, addresses = f"init --config {INIT}", [own, shared]
    unit = text("kubeadm-control-plane.service.j2", {"command": command, "done": DONE})
    files.append(File(UNIT.format(JOIN_UNIT), unit))
    files.append(File(DROP_IN, text("addresses.conf.j2", {"addresses": " ".join(addresses)})))
    return replace(boot, files=tuple(files))


def _init(ctx: PlanContext, pool: NodePool, member: Member, address: str) -> str:
    """What `kubeadm init --config` reads: three documents."""
    joining = join_configuration(pool, member.name)
    init = {
        "apiVersion": joining["apiVersion"],
        "kind": "InitConfiguration",
        "localAPIEndpoint": {"advertiseAddress": address, "bindPort": API_PORT},
        "nodeRegistration": joining["nodeRegistration"],
        "patches": joining["patches"],
        "skipPhases": list(INIT_SKIPS),
        "timeouts": dict(TIMEOUTS),
    }
    parts = (init, cluster_configuration(ctx), kubelet_configuration(ctx))
    return yaml.safe_dump_all(parts, sort_keys=False)


def _join(pool: NodePool, member: Member, address: str) -> dict[str, Any]:
    endpoint = {"advertiseAddress": address, "bindPort": API_PORT}
    return {
        **join_configuration(pool, member.name),
        "controlPlane": {"localAPIEndpoint": endpoint},
        "timeouts": dict(TIMEOUTS),
    }


def _keys(ctx: PlanContext) -> Iterator[File]:
    """The tenant's CAs and keys, where kubeadm and the components look for them: what it finds it doesn't make."""
    pki = ctx.pki
    for path, name in (
        ("ca", "serving"),
        ("client-ca", "client"),
        ("etcd/ca", "etcd"),
        ("front-proxy-ca", "front-proxy"),
        ("kubelet-serving-ca", "kubelet-serving"),
    ):
        pair = pki.ca(name)
        yield File(f"{PKI}/{path}.crt", pair.cert.decode())
        yield File(f"{PKI}/{path}.key", pair.key.decode(), "0600")
    key = pki.service_account_key
    yield File(f"{PKI}/sa.key", key.decode(), "0600")
    yield File(f"{PKI}/sa.pub", (x509.public_key(key) or b"").decode())
    # kubeadm signs its own clients by the CA of its servers.
    clients = pki.ca("client").cert + pki.ca("serving").cert
    yield File(f"{PKI}/clients.crt", clients.decode())


def _configuration(ctx: PlanContext) -> Iterator[File]:
    """The files that flags of kube-apiserver name."""
    plugins = admission.configuration(ctx.spec.version, policies=False)
    yield File(f"{FOLDER}/{admission.FILE}", document(plugins))
    yield File(f"{FOLDER}/encryption.yaml", encryption.configuration(ctx), "0600")
    yield File(f"{FOLDER}/{authentication.FILE}", document(authentication.configuration(ctx)))
    if _audited(ctx):
        policy = ctx.manifest("control-plane/audit-policy.yaml.j2")
        yield File(f"{FOLDER}/audit-policy.yaml", document(policy))


def _patches() -> Iterator[File]:
    """What is changed of the static pods that kubeadm writes."""
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        container: dict[str, Any] = {"name": name, "livenessProbe": LIVENESS}
        if name != "kube-controller-manager":
            container["readinessProbe"] = READINESS
        change = {"spec": {"containers": [container]}}
        yield File(f"{PATCHES}/{name}0+strategic.json", json.dumps(change))


def _audited(ctx: PlanContext) -> bool:
    return ctx.spec.control_plane.audit.level != "None"


def _api_server(ctx: PlanContext) -> dict[str, str]:
    said = {
        "admission-control-config-file": f"{FOLDER}/{admission.FILE}",
        "advertise-address": ctx.endpoint.cluster_ip if ctx.endpoint else "",
        "authentication-config": f"{FOLDER}/{authentication.FILE}",
        "client-ca-file": f"{PKI}/clients.crt",
        "enable-admission-plugins": ",".join(admission.ENABLED),
        "encryption-provider-config": f"{FOLDER}/encryption.yaml",
        "kubelet-certificate-authority": f"{PKI}/kubelet-serving-ca.crt",
        "kubelet-preferred-address-types": "InternalIP,Hostname",
        "profiling": "false",
        "service-account-extend-token-expiration": "false",
        "service-account-issuer": f"https://{ctx.id}.{names.GROUP}",
        "tls-min-version": "VersionTLS12",
    }
    if _audited(ctx):
        said |= {"audit-log-path": "-", "audit-policy-file": f"{FOLDER}/audit-policy.yaml"}
    return {**said, **ctx.spec.control_plane.api_server.extra_args}


def _controller_manager(ctx: PlanContext) -> dict[str, str]:
    signers = {
        "kube-apiserver-client": "client-ca",
        "kubelet-client": "client-ca",
        "kubelet-serving": "kubelet-serving-ca",
    }
    said = {
        # One pair for all signers is kubeadm's way, and excludes one for each.
        "cluster-signing-cert-file": "",
        "cluster-signing-key-file": "",
        "node-cidr-mask-size-ipv4": str(ctx.network.node_mask),
        "profiling": "false",
        **_election(ctx),
    }
    for signer, ca in signers.items():
        said[f"cluster-signing-{signer}-cert-file"] = f"{PKI}/{ca}.crt"
        said[f"cluster-signing-{signer}-key-file"] = f"{PKI}/{ca}.key"
    return said


def _election(ctx: PlanContext) -> dict[str, str]:
    """How one of several comes to be in charge, and stays it where a processor is slow; one alone just is."""
    if _alone(ctx):
        return {"leader-elect": "false"}
    return {
        "leader-elect-lease-duration": "60s",
        "leader-elect-renew-deadline": "40s",
        "leader-elect-retry-period": "5s",
    }


def _etcd(ctx: PlanContext) -> dict[str, str]:
    """Members dial each other by the addresses of Services, which no guest has but its own, and come by others."""
    patient = {"heartbeat-interval": "500", "election-timeout": "5000"}
    return {
        "listen-client-urls": f"https://0.0.0.0:{CLIENT_PORT}",
        "listen-peer-urls": f"https://0.0.0.0:{PEER_PORT}",
        "peer-skip-client-san-verification": "true",
        **({} if _alone(ctx) else patient),
    }


def _alone(ctx: PlanContext) -> bool:
    return ctx.spec.control_plane.replicas == 1


def _arguments(said: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": key, "value": value} for key, value in sorted(said.items())]
