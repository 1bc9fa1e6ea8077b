"""What turns a bare machine into a node, apart from how that reaches the machine: files, then commands."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from kubeception.api.v1alpha1 import NodePool
from kubeception.plan.facts import Object
from kubeception.plan.render import text

if TYPE_CHECKING:
    from kubeception.plan.context import PlanContext

REGISTRIES: Final = ("registry.k8s.io", "quay.io", "ghcr.io", "docker.io")
"""Registries a mirror stands in for."""

DISCOVERY: Final = "/etc/kubernetes/discovery.conf"
JOIN: Final = "/etc/kubernetes/join.yaml"
NO_POD_NETWORK: Final = (
    ("sed", "-i", "/conf_template/d", "/etc/containerd/config.toml"),
    ("systemctl", "restart", "containerd.service"),
)
"""The node image's containerd makes a pod network of the node's range, unless the tenant brings its own."""
TOKEN_GROUP: Final = "system:bootstrappers:kubeadm:default-node-token"
TOKEN_NAMESPACE: Final = "kube-system"


@dataclass(frozen=True)
class File:
    """A file of the machine, owned by root."""

    path: str
    content: str
    mode: str = "0644"


@dataclass(frozen=True)
class Bootstrap:
    """Files to write and commands to run after, once, as root, with the network up."""

    hostname: str
    files: tuple[File, ...]
    commands: tuple[tuple[str, ...], ...]

    def cloud_config(self) -> str:
        """This as cloud-init user data.

        Only the stage that runs as soon as the network is up is used, with just the modules needed; the
        later stages are ended before they start: on an emulated CPU each costs seconds.
        """
        config = {
            "hostname": self.hostname,
            "prefer_fqdn_over_hostname": False,
            "manage_etc_hosts": False,
            "ssh_deletekeys": False,
            "ssh_genkeytypes": [],
            "disable_root": True,
            "users": [],
            "write_files": [
                {"path": file.path, "content": file.content, "permissions": file.mode}
                for file in self.files
            ],
            "bootcmd": [
                *map(list, self.commands),
                ["systemctl", "--no-block", "stop", "cloud-config.service", "cloud-final.service"],
            ],
            "cloud_init_modules": ["set_hostname", "write_files", "bootcmd"],
            "cloud_config_modules": [],
            "cloud_final_modules": [],
        }
        return f"#cloud-config\n{yaml.dump(config, Dumper=_Dumper, sort_keys=False)}"


def node_bootstrap(ctx: "PlanContext", pool: NodePool, machine: str, token: str) -> Bootstrap:
    """How a machine joins the tenant as a node, with a token that is good for it only."""
    files = [
        File(DISCOVERY, json.dumps(ctx.pki.bootstrap_kubeconfig(token)), "0600"),
        File(JOIN, json.dumps(join_configuration(pool, machine)), "0600"),
        File("/etc/systemd/system/kubeadm-join.service", _text("kubeadm-join.service.j2")),
        File("/etc/systemd/system/node-address.service", _text("node-address.service.j2")),
        File("/usr/local/sbin/node-address", _text("node-address.py.j2", machine=machine), "0755"),
    ]
    mirror = ctx.facts.host.registry_mirror
    if mirror:
        files += [
            File(
                f"/etc/containerd/certs.d/{registry}/hosts.toml",
                _text("hosts.toml.j2", mirror=mirror),
            )
            for registry in REGISTRIES
        ]
    units = ("kubeadm-join.service", "node-address.service")
    commands: list[tuple[str, ...]] = [("systemctl", "--no-block", "start", *units)]
    if ctx.spec.networking.cni == "none":
        commands[:0] = NO_POD_NETWORK
    return Bootstrap(machine, tuple(files), tuple(commands))


def join_configuration(pool: NodePool, machine: str) -> dict[str, Any]:
    """What `kubeadm join --config` reads; kubeadm.k8s.io/v1beta4 is served since Kubernetes 1.31."""
    arguments = {"cloud-provider": "external"}
    if pool.spec.labels:
        arguments["node-labels"] = ",".join(f"{k}={v}" for k, v in sorted(pool.spec.labels.items()))
    return {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "JoinConfiguration",
        "discovery": {"file": {"kubeConfigPath": DISCOVERY}},
        "nodeRegistration": {
            "name": machine,
            "criSocket": "unix:///run/containerd/containerd.sock",
            "imagePullPolicy": "IfNotPresent",
            "ignorePreflightErrors": ["all"],
            "taints": [taint.model_dump(mode="json") for taint in pool.spec.taints],
            "kubeletExtraArgs": [{"name": k, "value": v} for k, v in arguments.items()],
        },
        "skipPhases": ["preflight"],
    }


def token_secret(token: str, machine: str, expires: str, labels: dict[str, str]) -> Object:
    """The bootstrap token `id.secret` as the tenant's API server knows it."""
    token_id, secret = token.split(".")
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {
            "name": f"bootstrap-token-{token_id}",
            "namespace": TOKEN_NAMESPACE,
            "labels": labels,
        },
        "stringData": {
            "token-id": token_id,
            "token-secret": secret,
            "expiration": expires,
            "description": f"Joins machine {machine}, once.",
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": TOKEN_GROUP,
        },
    }


def _text(template: str, **values: Any) -> str:
    return text(template, values)


_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
