"""What turns a bare machine into a node, apart from how that reaches the machine: files, then commands."""

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import yaml

from kubeception.api.v1alpha1 import ROOT_KEYS, NodePool
from kubeception.plan.facts import Object
from kubeception.plan.kubelet import kubelet_arguments, kubelet_configuration, kubelet_patch
from kubeception.plan.render import document, text
from kubeception.plan.way import RULES

if TYPE_CHECKING:
    from kubeception.plan.context import PlanContext

REGISTRIES: Final = ("registry.k8s.io", "quay.io", "ghcr.io", "docker.io")
"""Registries a mirror stands in for."""

DISCOVERY: Final = "/etc/kubernetes/discovery.conf"
JOIN: Final = "/etc/kubernetes/join.yaml"
BOOTSTRAP: Final = "/etc/kubernetes/bootstrap-kubelet.conf"
CERTIFICATE: Final = "/var/lib/kubelet/pki/kubelet-client-current.pem"
"""What the kubelet exchanges its bootstrap token for; kubelet.conf names it before it is there."""
CONTAINERD: Final = "unix:///run/containerd/containerd.sock"
JOINED: Final = "This node has joined the cluster"
"""What a machine's console says then, as `kubeadm join` does."""
PATCHES: Final = "/etc/kubernetes/patches"
"""What changes the cluster's kubelet configuration for one node, by kubeadm's own rules for names."""
UNIT: Final = "/etc/systemd/system/{}"
JOIN_UNIT: Final = "join.service"
"""Ends when the machine is a node; a bootstrap that makes it one in another way has its own of this name."""
NO_POD_NETWORK: Final = (
    ("sed", "-i", "/conf_template/d", "/etc/containerd/config.toml"),
    ("systemctl", "restart", "containerd.service"),
)
"""The node image's containerd makes a pod network of the node's range, unless the tenant brings its own."""
GROW: Final = ("sh", "-c", 'resize2fs "$(findmnt --noheadings --output SOURCE /)"')
"""The root file system of our disk image takes all of the disk it is on, while it is in use."""
READ_NETWORK: Final = ("networkctl", "reload")
"""What cloud-init writes of the network comes when networkd, which waits for nobody, has begun."""
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
    """Each a program and its arguments, to be repeated until it goes well."""
    after: tuple[tuple[str, ...], ...] = ()
    """The same, to be run once, when the machine is a node: what becomes of these changes nothing about that."""
    pod_network: bool = True
    """Whether the container runtime makes a pod network of the node's range; not where tenants bring their own."""

    def document(self) -> str:
        """This as JSON, for a machine whose process 1 is ours (`lab/pod.py`)."""
        said = asdict(self)
        return json.dumps({"podNetwork": said.pop("pod_network"), **said})

    def on_systemd(self, way: str = "") -> "Bootstrap":
        """This for our disk image, whose systemd repeats what didn't go well; `way` leads to the API server.

        Its sshd runs where somebody has a key to it, and only there.
        """
        units: tuple[str, ...] = (JOIN_UNIT,)
        files = [_unit("node-address.service")]
        if UNIT.format(JOIN_UNIT) not in {file.path for file in self.files}:
            units = ("kubelet.service", "join.path", "join-waits.timer")
            files.append(_unit("join.path", certificate=CERTIFICATE))
            files.append(_unit("join-waits.timer"))
            files.append(_unit("join-waits.service", certificate=CERTIFICATE))
            files.append(_unit(JOIN_UNIT, bootstrap=BOOTSTRAP, joined=JOINED))
        address = _text("node-address.py.j2", machine=self.hostname)
        files.append(File("/usr/local/sbin/node-address", address, "0755"))
        if self.after:
            lines = "".join(f"{shlex.join(command)}\n" for command in self.after)
            files.append(File("/usr/local/sbin/user-commands", lines, "0700"))
            files.append(_unit("user-commands.service"))
        if any(file.path == ROOT_KEYS for file in self.files):
            units += ("ssh.service",)
        start = ("systemctl", "--no-block", "start", *units)
        before: tuple[tuple[str, ...], ...] = () if self.pod_network else NO_POD_NETWORK
        if way:  # at each boot: cloud-init's early commands are repeated
            files.append(File(RULES, way))
            before = (("nft", "-f", RULES), *before)
        return replace(self, files=(*files, *self.files), commands=(*before, start))

    def cloud_config(self) -> str:
        """This as cloud-init user data.

        Only the stage that runs as soon as the network is up is used, with just the modules needed; the
        later stages are ended before they start: on an emulated CPU each costs seconds. Our image's own
        `seed` knows what is said here, and leaves the rest of cloud-init's words to cloud-init.
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
    """How a machine joins the tenant as a node, with a token that is good for it only.

    On a machine that is somebody's own `kubeadm join` looks what is there; for ours all of that is known.
    """
    if pool.spec.provider == "ssh":
        return kubeadm_bootstrap(ctx, pool, machine, token)
    wait = f"until [ -e {CERTIFICATE} ]; do sleep 1; done; rm -f {BOOTSTRAP}; echo {JOINED}"
    return _bootstrap(ctx, pool, machine, kubelet_files(ctx, pool, token), (("sh", "-c", wait),))


def kubeadm_bootstrap(ctx: "PlanContext", pool: NodePool, machine: str, token: str) -> Bootstrap:
    """The same by `kubeadm join`."""
    files = (
        File(DISCOVERY, json.dumps(ctx.pki.bootstrap_kubeconfig(token)), "0600"),
        File(JOIN, json.dumps(join_configuration(pool, machine)), "0600"),
        File(f"{PATCHES}/kubeletconfiguration0+merge.json", json.dumps(kubelet_patch(pool))),
    )
    commands = (("kubeadm", "join", "--config", JOIN), ("rm", "-f", DISCOVERY))
    return _bootstrap(ctx, pool, machine, files, commands)


def _bootstrap(
    ctx: "PlanContext",
    pool: NodePool,
    machine: str,
    files: Iterable[File],
    commands: tuple[tuple[str, ...], ...],
) -> Bootstrap:
    """With what the pool and its host add; `files` are the last."""
    user = pool.spec.user_data
    others = (File(file.path, file.content, file.mode) for file in user.files)
    all_files = (*others, *_keys(user.ssh_authorized_keys), *mirrors(ctx), *files)
    after = (*_installation(user.packages), *user.commands)
    return Bootstrap(machine, all_files, commands, after, ctx.spec.networking.cni == "flannel")


def kubelet_files(ctx: "PlanContext", pool: NodePool, token: str) -> Iterator[File]:
    """What `kubeadm join` of all supported minors leaves to the kubelet, which finds its node's name by itself.

    Upstream: cmd/kubeadm/app/phases/kubelet. The configuration comes last: a kubelet starts as soon as it is there.
    """
    config = ctx.pki.bootstrap_kubeconfig(token)
    yield File("/etc/kubernetes/pki/ca.crt", ctx.pki.ca("serving").cert.decode())
    yield File(BOOTSTRAP, json.dumps(config), "0600")
    keys = [(t, "=".join(filter(None, (t.key, t.value)))) for t in pool.spec.taints]
    taints = ",".join(f"{key}:{taint.effect}" for taint, key in keys)
    flags = {"register-with-taints": taints} if taints else {}
    arguments = " ".join(f"--{k}={v}" for k, v in (flags | kubelet_arguments(pool)).items())
    yield File("/var/lib/kubelet/kubeadm-flags.env", f'KUBELET_KUBEADM_ARGS="{arguments}"\n')
    said = {**kubelet_configuration(ctx), "containerRuntimeEndpoint": CONTAINERD}
    yield File("/var/lib/kubelet/config.yaml", document(said | kubelet_patch(pool)))


def mirrors(ctx: "PlanContext") -> Iterator[File]:
    """Where the container runtime finds images first."""
    if mirror := ctx.facts.host.registry_mirror:
        for registry in REGISTRIES:
            path = f"/etc/containerd/certs.d/{registry}/hosts.toml"
            yield File(path, _text("hosts.toml.j2", mirror=mirror))


def _keys(lines: Sequence[str]) -> Iterator[File]:
    """Who may log in as root."""
    if lines:
        yield File(ROOT_KEYS, "".join(f"{line}\n" for line in lines), "0600")


def _installation(packages: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Commands that install Debian packages."""
    if packages:
        yield "apt-get", "update"
        silent = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes")
        yield *silent, "--no-install-recommends", "--", *packages


def join_configuration(pool: NodePool, machine: str) -> dict[str, Any]:
    """What `kubeadm join --config` reads; kubeadm.k8s.io/v1beta4 is served since Kubernetes 1.31."""
    return {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "JoinConfiguration",
        "discovery": {"file": {"kubeConfigPath": DISCOVERY}},
        "nodeRegistration": {
            "name": machine,
            "criSocket": CONTAINERD,
            "imagePullPolicy": "IfNotPresent",
            "ignorePreflightErrors": ["all"],
            "taints": [taint.model_dump(mode="json") for taint in pool.spec.taints],
            "kubeletExtraArgs": [
                {"name": name, "value": value} for name, value in kubelet_arguments(pool).items()
            ],
        },
        "patches": {"directory": PATCHES},
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


def _unit(name: str, **values: str) -> File:
    return File(UNIT.format(name), _text(f"{name}.j2", **values))


def _text(template: str, **values: Any) -> str:
    return text(template, values)


_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
