"""Cilium as the network of a lab's pods: its own chart, with values for nodes that are namespaces of one machine."""

import json
from pathlib import Path
from typing import Any

import yaml

from kubeception.lab.command import output
from kubeception.lab.parts import CILIUM, KUBERNETES
from kubeception.lab.report import Report
from kubeception.lab.state import Lab
from kubeception.plan.render import manifest

Object = dict[str, Any]

KERNEL = "host-proc-sys-kernel"
"""The agent's volume with those settings of the kernel that are the whole machine's."""


def objects(lab: Lab, programs: Path, report: Report) -> list[Object]:
    """The chart's objects. Raises KubeceptionError."""
    template = {"version": CILIUM, "api_host": str(lab.node(1).address)}
    values = manifest("lab/cilium.yaml.j2", template)
    chart = programs.parent / "share" / "cilium" / "chart"
    argv = [str(programs / "helm"), "template", "cilium", str(chart), "--namespace=kube-system"]
    argv += [f"--kube-version={KUBERNETES}", "--values=-"]
    doing = "rendering Cilium's chart"
    printed = output(argv, report, doing=doing, stdin=json.dumps(values))
    found = [obj for obj in yaml.load_all(printed, yaml.CSafeLoader) if obj]
    for obj in found:
        if obj["kind"] == "DaemonSet":
            leave_the_machine_alone(obj)
    return found


def leave_the_machine_alone(agent: Object) -> None:
    """Mount the machine's settings read-only: else the agent changes some for every program on it."""
    for container in agent["spec"]["template"]["spec"]["containers"]:
        for mount in container["volumeMounts"]:
            if mount["name"] == KERNEL:
                mount["readOnly"] = True
