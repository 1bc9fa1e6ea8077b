"""The cluster of a lab, as kubeadm makes it: initialised on the first node, joined by the others."""

import re
from pathlib import Path
from typing import Any

import yaml

from kubeception import names
from kubeception.errors import KubeceptionError
from kubeception.lab.cgroup import Cgroups, may_raise_limits
from kubeception.lab.command import output
from kubeception.lab.node import Node, enter
from kubeception.lab.parts import KUBERNETES
from kubeception.lab.state import Lab
from kubeception.plan.render import manifest
from kubeception.plan.versions import IMAGES

CONFIG = "/var/lib/kubeception/kubeadm.yaml"
"""Inside the node; holds a bootstrap token while it joins."""
AUDIT_POLICY = "/var/lib/kubeception/audit.yaml"
AUDIT_LOG = "/var/log/kubernetes/audit.log"
"""Inside the first node: what an operator asked of the lab's API server, and by which right."""
JOIN = re.compile(r"--token (\S+) --discovery-token-ca-cert-hash (\S+)")


def initialise(node: Node) -> None:
    """Make the lab's first node a cluster of its own."""
    audit = manifest("lab/kubeadm/audit.yaml.j2", {"operator": names.OPERATOR_USER})
    write(node, AUDIT_POLICY, audit)
    write(node, CONFIG, *init_documents(node.place.lab, node.place.name, node.cgroups))
    node.run(["kubeadm", "init", "--config", CONFIG], doing="kubeadm init")
    write_kubeconfig(node)
    node.set_joined()


def join(node: Node, first: Node) -> None:
    """Make a node a member of the cluster that `first` began."""
    argv = ["kubeadm", "token", "create", "--ttl", "15m", "--print-join-command"]
    printed = output(enter(first.place, argv), first.report, doing="making a bootstrap token")
    found = JOIN.search(printed)
    if not found:
        raise KubeceptionError("kubeadm printed no join command", output=printed)
    values = {
        "node": node.place.name,
        "endpoint": endpoint(node.place.lab),
        "token": found[1],
        "ca_hash": found[2],
    }
    path = write(node, CONFIG, manifest("lab/kubeadm/join.yaml.j2", values))
    node.run(["kubeadm", "join", "--config", CONFIG], doing=f"kubeadm join of {node.place.name}")
    path.unlink()
    node.set_joined()


def init_documents(lab: Lab, node: str, cgroups: Cgroups) -> list[dict[str, Any]]:
    """What `kubeadm init` is told, one document a kind."""
    values = {
        "node": node,
        "address": str(lab.node(1).address),
        "endpoint": endpoint(lab),
        "cluster": lab.context,
        "version": KUBERNETES,
        "pods": str(lab.pod_range),
        "services": str(lab.service_range),
        "coredns": tag("coredns"),
        "etcd": tag("etcd"),
        "audit": {
            "policy": AUDIT_POLICY,
            "log": AUDIT_LOG,
            "folder": AUDIT_LOG.rpartition("/")[0],
        },
    }
    kinds = ("init", "cluster", "kubelet", "kube-proxy")
    documents = {kind: manifest(f"lab/kubeadm/{kind}.yaml.j2", values) for kind in kinds}
    if cgroups.version == 1:
        documents["kubelet"]["failCgroupV1"] = False
    if not may_raise_limits():  # the default of both is below what an unprivileged process may set
        documents["kubelet"]["oomScoreAdj"] = 0
        documents["kube-proxy"]["oomScoreAdj"] = 0
    return list(documents.values())


def endpoint(lab: Lab) -> str:
    """`host:port` of the API server."""
    return lab.server.removeprefix("https://")


def tag(image: str) -> str:
    """The tag of one of our images."""
    return IMAGES[image].rpartition(":")[2]


def write(node: Node, place: str, *documents: dict[str, Any]) -> Path:
    """Write documents where the node sees them as `place`; their path here."""
    path = node.place.folder / place.removeprefix("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False))
    return path


def write_kubeconfig(node: Node) -> None:
    """The lab's kubeconfig: kubeadm's own for its admin, under the names of this lab."""
    lab = node.place.lab
    document = yaml.safe_load((node.place.folder / "etc/kubernetes/admin.conf").read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    named: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": lab.context, "cluster": cluster}],
        "users": [{"name": lab.context, "user": user}],
        "contexts": [
            {"name": lab.context, "context": {"cluster": lab.context, "user": lab.context}}
        ],
        "current-context": lab.context,
    }
    draft = lab.kubeconfig.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(yaml.safe_dump(named, sort_keys=False))
    draft.replace(lab.kubeconfig)
