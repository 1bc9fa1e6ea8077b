"""What a lab's cluster has beside Kubernetes itself: routes (where these are flannel's), storage, metrics, KubeVirt."""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from kubeception import names
from kubeception.components.causes import cause
from kubeception.errors import ApiError, NotFoundError, WaitTimeoutError
from kubeception.kube.client import Cluster
from kubeception.kube.conditions import is_true
from kubeception.lab.command import output
from kubeception.lab.parts import KUBEVIRT, METALLB
from kubeception.lab.report import Report
from kubeception.lab.state import Lab
from kubeception.plan.render import manifest
from kubeception.plan.versions import image

Object = dict[str, Any]

MANAGER = "kubeception-lab"
"""Field manager of all the lab applies."""
WORKLOADS = ("Deployment", "DaemonSet")


def flannel_objects(lab: Lab) -> list[Object]:
    """The routes between nodes, and the masquerading of what leaves them."""
    config = {
        "Network": str(lab.pod_range),
        "EnableNFTables": True,
        "Backend": {"Type": "host-gw"},
    }
    api_host = str(lab.node(1).address)
    return items("flannel", config=json.dumps(config), image=image("flannel"), api_host=api_host)


def host_objects(lab: Lab) -> list[Object]:
    """Storage and metrics, and where the registry is."""
    registry = {"host": lab.registry, "hostFromClusterNetwork": lab.registry}
    registry["hostFromContainerRuntime"] = lab.registry
    api_host = str(lab.node(1).address)
    helper = manifest("lab/local-path/helper-pod.yaml.j2", {"image": image("busybox")})
    return [
        manifest("lab/tenants-namespace.yaml.j2", {}),
        manifest("lab/registry.yaml.j2", {"hosting": yaml.safe_dump(registry)}),
        *items(
            "local-path/objects",
            helper_pod=yaml.safe_dump(helper),
            image=image("local-path-provisioner"),
            api_host=api_host,
        ),
        *items("metrics-server", image=image("metrics-server"), api_host=api_host),
    ]


def metallb_objects(lab: Lab, programs: Path) -> list[Object]:
    """MetalLB, which gives Services of type LoadBalancer addresses of the nodes' network."""
    # the API server itself, not its Service: that one is reached only after kube-proxy is up
    env = {"KUBERNETES_SERVICE_HOST": str(lab.node(1).address), "KUBERNETES_SERVICE_PORT": "6443"}
    env["METALLB_NAMESPACE"] = "metallb-system"
    listed = [{"name": name, "value": value} for name, value in env.items()]
    ours = {
        "METALLB_NODE_NAME": "spec.nodeName",
        "METALLB_POD_NAME": "metadata.name",
        "METALLB_HOST": "status.hostIP",
    }
    fields = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in ours.items()
    ]
    probe = {"httpGet": {"path": "/metrics", "port": 7472}, "periodSeconds": 2}
    return [
        *kept(programs, f"metallb-{METALLB}", "share/metallb.yaml", partial(upstream, programs)),
        *items(
            "metallb",
            images={p: f"quay.io/metallb/{p}:{METALLB}" for p in ("controller", "speaker")},
            env=listed,
            speaker_env=[*listed, *fields],
            probe=probe,
            addresses=[lab.balanced],
        ),
    ]


def upstream(programs: Path) -> list[Object]:
    """MetalLB's namespace, CRDs and RBAC, as its release has them."""
    text = (programs.parent / "share" / "metallb.yaml").read_text()
    left = ("DaemonSet", "Deployment", "Secret", "Service", "ValidatingWebhookConfiguration")
    found = yaml.load_all(text, yaml.CSafeLoader)
    return [obj for obj in found if obj and obj["kind"] not in left]


def items(template: str, **values: Any) -> list[Object]:
    """The objects of a template that is a List."""
    found: list[Object] = manifest(f"lab/{template}.yaml.j2", values)["items"]
    return found


def kubevirt_objects(programs: Path, report: Report, *, emulation: bool) -> list[Object]:
    """KubeVirt's namespace, what its own generator writes, its operator, and the object that has it installed."""
    labels = {"pod-security.kubernetes.io/enforce": "privileged"}
    namespace = {"apiVersion": "v1", "kind": "Namespace"}
    parts = ("operator", "api", "controller", "handler", "launcher")
    images = {part: f"quay.io/kubevirt/virt-{part}:{KUBEVIRT}" for part in parts}
    return [
        {**namespace, "metadata": {"name": "kubevirt", "labels": labels}},
        *kept(
            programs,
            f"kubevirt-{KUBEVIRT}",
            "bin/resource-generator",
            partial(generated, programs, report),
        ),
        manifest("lab/kubevirt/operator.yaml.j2", {"images": images, "version": KUBEVIRT}),
        manifest(
            "lab/kubevirt/kubevirt.yaml.j2",
            {"emulation": emulation, "accepted": names.ACCEPTED_ANNOTATION, "version": KUBEVIRT},
        ),
    ]


def generated(programs: Path, report: Report) -> list[Object]:
    """KubeVirt's CRD, priority class and operator's RBAC."""
    objects = []
    for kind in ("kv", "priorityclass", "operator-rbac"):
        argv = [str(programs / "resource-generator"), f"-type={kind}", "-namespace=kubevirt"]
        printed = output(argv, report, doing=f"generating KubeVirt's {kind}")
        objects += [found for found in yaml.load_all(printed, yaml.CSafeLoader) if found]
    return objects


def kept(programs: Path, name: str, source: str, make: Callable[[], list[Object]]) -> list[Object]:
    """What `make` makes of a file below the cache; kept beside that, for parsing it takes a second."""
    file = programs.parent / "share" / f"{name}.json"
    if not file.exists() or file.stat().st_mtime < (programs.parent / source).stat().st_mtime:
        draft = file.with_suffix(".new")
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(make()))
        draft.replace(file)
    found: list[Object] = json.loads(file.read_text())
    return found


def apply(cluster: Cluster, objects: Iterable[Object], *, patience: float = 30.0) -> None:
    """Apply in order. An object whose kind is not served yet (its CRD was applied just before) is tried again."""
    until = time.monotonic() + patience
    for obj in objects:
        while True:
            try:
                cluster.apply(obj, manager=MANAGER)
                break
            except NotFoundError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.1)


@dataclass(frozen=True)
class Wait:
    """Something a lab waits for: `missing` says what is not yet so, or nothing."""

    what: str
    seconds: float
    missing: Callable[[], Sequence[str]]
    hint: str

    def wait(self, report: Report) -> None:
        """Return when nothing is missing. Raises WaitTimeoutError that names what is."""
        until = time.monotonic() + self.seconds
        told: Sequence[str] = ()
        while missing := self.look():
            report.waits("; ".join(missing))
            if missing != told:
                report.log(f"{self.what}: waiting for {'; '.join(missing)}")
                told = missing
            if time.monotonic() > until:
                raise WaitTimeoutError(
                    f"{self.what} took longer than {self.seconds:.0f} s: {'; '.join(missing)}",
                    hint=self.hint,
                )
            time.sleep(0.25)

    def look(self) -> Sequence[str]:
        """What is missing; an API server that doesn't answer is."""
        try:
            return self.missing()
        except ApiError as error:
            return [error.message]


def unready_nodes(cluster: Cluster, names: Iterable[str]) -> list[str]:
    """Those of these nodes that are not Ready."""
    nodes = {node["metadata"]["name"]: node for node in cluster.list("Node")}
    return [f"node {name}" for name in names if not is_true(nodes.get(name, {}), "Ready")]


def stale_pods(
    cluster: Cluster, namespaces: Iterable[str], nodes: Sequence[str], since: datetime
) -> list[str]:
    """Pods of these nodes with a container that runs not, or only in what the API remembers of before `since`."""
    return [
        f"pod {namespace}/{pod['metadata']['name']}"
        for namespace in (namespaces if nodes else ())
        for pod in cluster.list("Pod", namespace)
        if pod["spec"].get("nodeName") in nodes and not runs_since(pod, since)
    ]


def runs_since(pod: Object, since: datetime) -> bool:
    """Whether every container of a pod runs and was started at `since` or later."""
    seen = pod.get("status", {}).get("containerStatuses", ())
    starts = [status.get("state", {}).get("running", {}).get("startedAt") for status in seen]
    return bool(starts) and all(at and datetime.fromisoformat(at) >= since for at in starts)


def unready_workloads(cluster: Cluster, namespaces: Sequence[str]) -> list[str]:
    """The Deployments and DaemonSets of these namespaces that are not wholly up, and what keeps pods there."""
    found = [
        f"{kind} {namespace}/{obj['metadata']['name']}"
        for namespace in namespaces
        for kind in WORKLOADS
        for obj in cluster.list(kind, namespace)
        if not is_up(obj)
    ]
    if found:
        now = datetime.now(UTC)
        pods = [pod for namespace in namespaces for pod in cluster.list("Pod", namespace)]
        found += [why.message for pod in pods if (why := cause([pod], (), (), now))]
    return found


def is_up(workload: Object) -> bool:
    """Whether a Deployment or DaemonSet runs as it is now specified."""
    status, generation = workload.get("status", {}), workload["metadata"]["generation"]
    wanted = status.get("desiredNumberScheduled", workload["spec"].get("replicas"))
    ready = status.get("numberReady", status.get("readyReplicas", 0))
    return bool(status.get("observedGeneration") == generation and ready == wanted)


def kubevirt_missing(cluster: Cluster) -> list[str]:
    """What KubeVirt lacks to run virtual machines."""
    kubevirt = cluster.get("KubeVirt", "kubevirt", "kubevirt") or {}
    phase = kubevirt.get("status", {}).get("phase", "not seen by its operator")
    if phase == "Deployed" and is_true(kubevirt, "Available"):
        return []
    return [f"KubeVirt is {phase}", *unready_workloads(cluster, ["kubevirt"])]
