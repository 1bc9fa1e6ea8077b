"""`kubeception top`: what tenant clusters use of their host."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from kubeception.cli.options import HostArgs, examples, host_options, named
from kubeception.cli.output import Column, Listing, Row, all_option, output_option

if TYPE_CHECKING:
    from kubeception.kube.client import Cluster, Object

METRICS: Final = "/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods"
COLUMNS: Final = (
    Column("CLUSTER", least=12),
    Column("WHAT", least=16),
    Column("CPU"),
    Column("MEMORY"),
    Column("HOST", least=8, wide=True),
    Column("POD", least=16, wide=True),
)
FACTORS: Final = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "Ki": 1024.0,
    "Mi": 1024.0**2,
    "Gi": 1024.0**3,
}


@click.command(epilog=examples("top acme", "top -A -o wide"))
@named(required=False)
@all_option
@output_option
@host_options
def top(name: str | None, output: str, *, all_namespaces: bool, host: HostArgs) -> None:
    """Show the CPU and memory that tenant cluster NAME, or each of them, uses of the host.

    A machine's memory is what its guest has touched, with what KubeVirt needs beside it.
    """
    from kubeception.cli.host import connect
    from kubeception.cli.listing import chosen
    from kubeception.errors import NotFoundError

    cluster = connect(host).cluster
    if cluster.raw("/apis/metrics.k8s.io/v1beta1") is None:
        raise NotFoundError(
            f"{cluster.title}: has no metrics API", hint="metrics-server in the host provides it."
        )
    found = chosen(cluster, "" if all_namespaces else host.namespace, name)
    rows = [row for tenant in found for row in usage(cluster, tenant)]
    Listing(COLUMNS, lambda: rows, output, "Nothing is measured yet.").show()


def usage(cluster: "Cluster", tenant: "Object") -> Iterator[Row]:
    """A row for each container of the control plane, and for each machine."""
    from kubeception import names
    from kubeception.cli.events import spaces

    own, machines = spaces(tenant)
    for namespace in (own, machines):
        pods = {pod["metadata"]["name"]: pod for pod in cluster.list("Pod", namespace)}
        for measured in metrics(cluster, namespace):
            pod = pods.get(measured["metadata"]["name"])
            if pod is None:
                continue
            label = pod["metadata"].get("labels", {}).get(names.MACHINE_LABEL, "")
            if namespace == own:
                for container in measured["containers"]:
                    yield row(tenant, container["name"], [container], pod)
            else:
                yield row(tenant, f"node {label}", measured["containers"], pod)


def metrics(cluster: "Cluster", namespace: str) -> list[Any]:
    """What the metrics API has about a namespace's pods."""
    answer = json.loads(cluster.raw(METRICS.format(namespace)) or "{}")
    return list(answer.get("items") or ())


def row(tenant: "Object", what: str, containers: list[Any], pod: "Object") -> Row:
    """What these containers use, together."""
    cpu, memory = (sum(amount(c["usage"][key]) for c in containers) for key in ("cpu", "memory"))
    name = tenant["metadata"]["name"]
    on, pod_name = pod["spec"].get("nodeName", ""), pod["metadata"]["name"]
    obj = {
        "cluster": name,
        "namespace": tenant["metadata"]["namespace"],
        "what": what,
        "cpuCores": round(cpu, 4),
        "memoryBytes": int(memory),
        "host": on,
        "pod": pod_name,
    }
    cells = (name, what, f"{cpu * 1000:.0f}m", f"{memory / 1024**2:.0f}Mi", on, pod_name)
    return Row(f"{name}/{what}", cells, obj, pod["metadata"]["creationTimestamp"])


def amount(text: str) -> float:
    """A quantity of the metrics API: cores, or octets. Raises ValueError."""
    digits = text.rstrip("numkKMGi")
    return float(digits) * FACTORS[text[len(digits) :]]
