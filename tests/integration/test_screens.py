"""What commands print on terminals of 80 and 120 columns, as it was read and approved: `make screens` writes it anew.

The API server is real and has a host of its own; machines, nodes and measurements, which nobody
here makes, are written as their controllers would. Ages, and what is random, are masked by as many letters.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from kubeception import names
from kubeception.cli.output import width
from kubeception.engine.install import install
from kubeception.engine.reconcile import Engine
from kubeception.kube.client import Cluster, Object
from kubeception.kube.kinds import KINDS
from tests.integration.command import Cli
from tests.integration.conftest import serve
from tests.integration.servers import ApiServer, api_server, binary

SCREENS: Final = Path(__file__).parent / "screens"
COMMANDS: Final = {
    "list": ("list",),
    "list-wide": ("list", "-A", "-o", "wide"),
    "get": ("get", "acme", "umbra"),
    "describe": ("describe", "acme"),
    "tree": ("tree",),
    "tree-wide": ("tree", "-o", "wide"),
    "nodes": ("nodes", "acme"),
    "nodes-wide": ("nodes", "acme", "-o", "wide"),
    "events": ("events", "acme"),
    "events-wide": ("events", "acme", "-o", "wide"),
    "top": ("top", "acme"),
    "top-wide": ("top", "acme", "-o", "wide"),
    "doctor": ("doctor", "acme"),
    "diff": ("diff", "-f", "acme.yaml"),
}
PROSE: Final = ("diff", "doctor")
"""Sentences and objects' names, which a terminal may break; the rest are tables, which never are."""
SAME_AGE: Final = """
from kubeception.cli import output
output.age = lambda moment: "7m" if moment else ""
from kubeception.cli import main
main()
"""
"""The command as it is, in a world where all is of one age."""

HOST: Final = "127.0.0.9"
SPEC: Final = {"datastore": {"storage": "Ephemeral"}}
NETWORK: Final = {"networking": {"podCIDR": "10.20.0.0/16", "serviceCIDR": "10.30.0.0/20"}}
LONG: Final = "a-name-as-long-as-a-name-may-be-40-chars"
EVENTS: Final = (
    ("Normal", "Scheduled", "Pod/etcd-0", "Successfully assigned etcd-0 to host-1"),
    ("Warning", "BackOff", "Pod/etcd-0", f"Back-off pulling image {'registry.example/' * 8}etcd:9"),
    ("Warning", "Evil", "Pod/etcd-0", "\x1b]0;owned\x07\u202e first line\n  second line"),
    ("Normal", "Created", "StatefulSet/etcd", "名前" * 30),
)

NOBODY: Final = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
RESTRICTED: Final = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
"""What the Pod Security Standard of the namespace asks of pods."""


class World:
    """A host with three tenants, one of which has machines."""

    def __init__(self, host: Cluster, kubectl: tuple[str, ...]) -> None:
        self.host, self.kubectl = host, kubectl
        self.hashes: list[str] = []
        install(host)
        for plural, kind in (
            ("kubevirts", "KubeVirt"),
            ("virtualmachines", "VirtualMachine"),
            ("virtualmachineinstances", "VirtualMachineInstance"),
            ("virtualmachineinstancemigrations", "VirtualMachineInstanceMigration"),
        ):
            serve(host, plural, kind)
        self.make_host()
        self.space, self.machines = self.make_tenants()
        self.make_machines()
        self.make_events()
        self.make_measurements()

    def make_host(self) -> None:
        for number, unschedulable in ((1, False), (2, True)):
            name = f"host-{number}"
            spec = {"unschedulable": unschedulable}
            self.write("v1", "Node", name, "", spec=spec)
            ready = [{"type": "Ready", "status": "True"}]
            where = [{"type": "InternalIP", "address": HOST}]
            self.status("Node", name, "", {"conditions": ready, "addresses": where})
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        self.write(
            "storage.k8s.io/v1",
            "StorageClass",
            "local-path",
            "",
            annotations=default,
            provisioner="x",
        )
        emulated = {"configuration": {"developerConfiguration": {"useEmulation": True}}}
        accepted = {names.ACCEPTED_ANNOTATION: "v1.7.0"}
        self.write(
            "kubevirt.io/v1",
            "KubeVirt",
            "kubevirt",
            "default",
            annotations=accepted,
            spec=emulated,
        )
        said = {"phase": "Deployed", "observedKubeVirtVersion": "v1.7.0"}
        self.status("KubeVirt", "kubevirt", "default", said)

    def make_tenants(self) -> tuple[str, str]:
        for name, spec in (("acme", NETWORK), ("umbra", {"paused": True}), (LONG, {})):
            ephemeral = {**SPEC, **spec}
            made = self.write(names.API_VERSION, "TenantCluster", name, "default", spec=ephemeral)
            self.hashes.append(names.digest(made["metadata"]["uid"], name))
        pool = {"clusterRef": {"name": "acme"}, "replicas": 3}
        self.write(names.API_VERSION, "NodePool", "acme-workers", "default", spec=pool)
        with Engine(self.host, "default", "acme") as engine:
            engine.step()
        self.status("NodePool", "acme-workers", "default", {"replicas": 3, "readyReplicas": 1})
        self.status(
            "TenantCluster",
            "acme",
            "default",
            {"phase": "Ready", "endpoint": "https://10.200.0.2:31234", "nodes": 3, "readyNodes": 1},
        )
        why = "Datastore: 0/1 replicas ready: pod etcd-0: Unschedulable: 0/2 nodes are available."
        unready = {"type": "Ready", "status": "False", "reason": "Unschedulable", "message": why}
        unready["lastTransitionTime"] = "2026-01-02T03:04:05Z"
        self.status(
            "TenantCluster", LONG, "default", {"phase": "Creating", "conditions": [unready]}
        )
        meta = self.host.get("TenantCluster", "acme", "default")
        assert meta
        uid = meta["metadata"]["uid"]
        return names.control_plane_namespace(uid, "acme"), names.nodes_namespace(uid, "acme")

    def make_machines(self) -> None:
        """One boots, one has no room, one is to go."""
        found = self.host.get("Namespace", self.machines)
        assert found
        cluster = {names.CLUSTER_LABEL: found["metadata"]["labels"][names.CLUSTER_LABEL]}
        stuck = {"type": "PodScheduled", "status": "False"}
        stuck["message"] = "0/2 nodes are available: 1 Insufficient memory, 1 node is cordoned."
        for digit, conditions, going in (("1", [], False), ("2", [stuck], False), ("3", [], True)):
            name = f"acme-workers-{digit * 8}"
            labels = {**cluster, names.MACHINE_LABEL: name, names.POOL_LABEL: "acme-workers"}
            marks = {names.DRAINING_ANNOTATION: "2026-01-02T03:04:05Z"} if going else {}
            its = {"annotations": marks, "labels": labels, "spec": {}}
            self.write("kubevirt.io/v1", "VirtualMachine", name, self.machines, **its)
            self.status("VirtualMachine", name, self.machines, {"conditions": conditions})
            if not conditions:
                self.write("kubevirt.io/v1", "VirtualMachineInstance", name, self.machines, **its)
                address = [{"name": "default", "ipAddress": f"10.244.0.{digit}"}]
                running = {"phase": "Running", "nodeName": "host-1", "interfaces": address}
                self.status("VirtualMachineInstance", name, self.machines, running)

    def make_events(self) -> None:
        for number, (kind, reason, about, message) in enumerate(EVENTS):
            what, _, name = about.partition("/")
            self.host.create(
                {
                    "apiVersion": "v1",
                    "kind": "Event",
                    "metadata": {"name": f"e-{number}", "namespace": self.space},
                    "involvedObject": {"kind": what, "name": name, "namespace": self.space},
                    "type": kind,
                    "reason": reason,
                    "message": message,
                    "count": 1 + number * 9,
                    "lastTimestamp": f"2026-01-02T03:04:0{number}Z",
                }
            )

    def make_measurements(self) -> None:
        """The metrics API, as metrics-server would serve it, and the pods it knows."""
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version = {"name": "v1beta1", "served": True, "storage": True}
        crd = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": "pods.metrics.k8s.io",
                "annotations": {"api-approved.kubernetes.io": "unapproved, a stand-in"},
            },
            "spec": {
                "group": "metrics.k8s.io",
                "scope": "Namespaced",
                "names": {"plural": "pods", "kind": "PodMetrics"},
                "versions": [{**version, "schema": {"openAPIV3Schema": schema}}],
            },
        }
        self.host.apply(crd)
        while self.host.raw("/apis/metrics.k8s.io/v1beta1/pods") is None:
            pass
        machine = "acme-workers-11111111"
        launcher = {names.MACHINE_LABEL: machine}
        pods: tuple[tuple[str, str, dict[str, str], dict[str, tuple[str, str]]], ...] = (
            (
                self.space,
                "etcd-0",
                {names.COMPONENT_LABEL: "etcd"},
                {"etcd": ("15m", "37Mi")},
            ),
            (
                self.space,
                "control-plane-5d8f-x2x7k",
                {names.COMPONENT_LABEL: "control-plane"},
                {"kube-apiserver": ("26081234n", "178000Ki"), "kube-scheduler": ("900u", "14Mi")},
            ),
            (
                self.machines,
                f"virt-launcher-{machine}-8k2sx",
                launcher,
                {"compute": ("343m", "2190Mi"), "guest-console-log": ("1m", "2Mi")},
            ),
        )
        for namespace in (self.space, self.machines):
            self.write("v1", "ServiceAccount", "default", namespace)
        for namespace, name, labels, used in pods:
            containers = [
                {"name": each, "image": "x", "securityContext": RESTRICTED} for each in used
            ]
            spec = {"nodeName": "host-1", "containers": containers, "securityContext": NOBODY}
            self.write("v1", "Pod", name, namespace, labels=labels, spec=spec)
            usage = [
                {"name": each, "usage": {"cpu": cpu, "memory": memory}}
                for each, (cpu, memory) in used.items()
            ]
            self.write("metrics.k8s.io/v1beta1", "PodMetrics", name, namespace, containers=usage)

    def write(self, version: str, kind: str, name: str, namespace: str, **fields: Any) -> Object:
        """Apply an object; `annotations` and `labels` are its metadata's, other fields its own."""
        meta: Object = {"name": name} | ({"namespace": namespace} if namespace else {})
        meta |= {key: fields.pop(key) for key in ("annotations", "labels") if key in fields}
        obj = {"apiVersion": version, "kind": kind, "metadata": meta, **fields}
        if kind in KINDS:
            return self.host.apply(obj, manager="world")
        argv = [*self.kubectl, "apply", "-f", "-"]
        subprocess.run(argv, input=json.dumps(obj), text=True, check=True, capture_output=True)
        return obj

    def status(self, kind: str, name: str, namespace: str, status: Object) -> None:
        self.host.patch(kind, name, {"status": status}, namespace, subresource="status")

    def forget_repairs(self) -> None:
        """Delete what an API server says when it looks at Services in the moment one of them is made."""
        for event in self.host.list("Event", self.space, fields="reason=ClusterIPNotAllocated"):
            self.host.delete("Event", event["metadata"]["name"], self.space)

    def masked(self, text: str) -> str:
        """What differs from run to run, as so many letters; hashes also where a part of them is cut off."""
        text = re.sub(r"\d{4}-\d\d-\d\d\b", "YYYY-MM-DD", text)
        text = re.sub(r"(?<=\(in )\d+(?=d\))", lambda m: "N" * len(m[0]), text)
        text = re.sub(rf"(?<={re.escape(HOST)}:)\d{{5}}", "PPPPP", text)
        for digest in self.hashes:
            text = text.replace(f"-{digest}", "-" + "x" * len(digest))
            for length in range(len(digest) - 1, 0, -1):
                text = text.replace(f"-{digest[:length]}…", "-" + "x" * length + "…")
        return text


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, etcd: str) -> Iterator[ApiServer]:
    """A host that other tests leave nothing in."""
    with api_server(tmp_path_factory.mktemp("screens") / "api", etcd, "/screens") as made:
        yield made


@pytest.fixture(scope="module")
def world(server: ApiServer) -> Iterator[World]:
    kubeconfig = server.folder / "kubectl.json"
    kubeconfig.write_text(json.dumps(server.kubeconfig))
    with server.cluster() as host:
        yield World(host, (binary("kubectl"), f"--kubeconfig={kubeconfig}"))


@pytest.fixture(scope="module")
def cli(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    folder = tmp_path_factory.mktemp("cli")
    audit = {"controlPlane": {"audit": {"level": "Metadata"}}}
    cluster = {
        "apiVersion": names.API_VERSION,
        "kind": "TenantCluster",
        "metadata": {"name": "acme"},
        "spec": {**SPEC, **NETWORK, **audit},
    }
    (folder / "acme.yaml").write_text(yaml.safe_dump(cluster))
    return Cli.of(server, folder, "-c", SAME_AGE)


@pytest.mark.parametrize(
    ("screen", "columns"),
    [
        (screen, columns)
        for screen in COMMANDS
        for columns in (80, 120)
        if columns == 120 or not screen.endswith("-wide") or screen == "list-wide"
    ],
)
def test_a_screen_is_as_it_was_approved(
    world: World, cli: Cli, screen: str, columns: int, update_golden: bool
) -> None:
    world.forget_repairs()
    words = [str(cli.folder / w) if w == "acme.yaml" else w for w in COMMANDS[screen]]
    shown = cli.terminal(*words, columns=columns)
    shown.end()
    assert "\x1b]" not in shown.text
    lines = [line.rstrip("\r") for line in shown.plain.split("\n")]
    if screen not in PROSE:
        assert [line for line in lines if width(line) > columns] == []
    typed = " ".join(["$ kubeception", *COMMANDS[screen]])
    found = "\n".join([typed, *lines]).replace(str(cli.folder), "~")
    golden = SCREENS / f"{screen}.{columns}.txt"
    if update_golden:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(world.masked(found))
    assert world.masked(found) == golden.read_text(), (
        "`make screens`, and read the diff, if it is meant"
    )
