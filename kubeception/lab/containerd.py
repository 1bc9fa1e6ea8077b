"""containerd's configuration on a lab node: texts, nothing else."""

from collections.abc import Iterator

from kubeception.lab.state import Lab

MIRRORED = ("registry.k8s.io", "quay.io", "ghcr.io", "docker.io")
"""The registries whose images the lab's registry serves."""
UPSTREAM = {"docker.io": "registry-1.docker.io"}
"""Where a registry is not served by the host its images are named after."""
PAUSE = "registry.k8s.io/pause:3.10.1"
SOCKET = "/run/containerd/containerd.sock"
MIRRORS = "/etc/containerd/certs.d"
"""Where it is told which registry serves whose images."""


def config(*, raises_limits: bool, template: bool) -> str:
    """The text of /etc/containerd/config.toml; without `template` the pods' network brings its own configuration.

    Without CAP_SYS_RESOURCE runc dies of an oom_score_adj lower than its own ("can't get final child's PID from pipe").
    """
    return f"""\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.nri.v1.nri",
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{SOCKET}"

[plugins."io.containerd.cri.v1.images"]
max_concurrent_downloads = 8

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE}"

[plugins."io.containerd.cri.v1.images".registry]
config_path = "{MIRRORS}"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = {"false" if raises_limits else "true"}
device_ownership_from_security_context = true

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/opt/cni/bin", "/opt/kubeception/bin"]
conf_dir = "/etc/cni/net.d"
{'conf_template = "/etc/cni/template.conflist"' if template else ""}
"""


def cni_template(*, mtu: int) -> str:
    """The text of /etc/cni/template.conflist: containerd puts the node's pod range in and writes the result to net.d.

    `ptp` routes every pod by itself, so Services work without a bridge's netfilter hook.
    """
    return f"""\
{{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {{
      "type": "ptp",
      "mtu": {mtu},
      "ipam": {{
        "type": "host-local",
        "ranges": [[{{"subnet": "{{{{.PodCIDR}}}}"}}]],
        "routes": [{{"dst": "0.0.0.0/0"}}]
      }}
    }},
    {{"type": "portmap", "capabilities": {{"portMappings": true}}}}
  ]
}}
"""


def mirrors(lab: Lab, *, upstream: bool) -> Iterator[tuple[str, str]]:
    """(registry, text of its hosts.toml): the lab's registry first, then the real one if `upstream`."""
    mirror = f'[host."http://{lab.registry}"]\ncapabilities = ["pull", "resolve"]\n'
    for name in MIRRORED:
        server = f"https://{UPSTREAM.get(name, name)}" if upstream else f"http://{lab.registry}"
        yield name, f'server = "{server}"\n\n{mirror}'
    yield lab.registry, f'server = "http://{lab.registry}"\n\n{mirror}'
