"""`make bench`: measure the command against the running lab. Figures, never a pass or a fail."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubeception
from kubeception import names
from tests.bench import memory
from tests.bench.api import Api
from tests.bench.figures import Figure, save, table
from tests.bench.network import BALANCED, latency, rate, servers
from tests.bench.tenant import PROBE, Tenant, boot_seconds, moment, ready_nodes, until, usable
from tests.commands import all_commands
from tests.e2e.conftest import Lab
from tests.e2e.owned import owned
from tests.e2e.tenant import tenant_in

COMMAND = str(Path(sys.executable).with_name("kubeception"))
SETTLED = 90
"""Seconds after which a control plane counts as idle."""
WIDE = (3, 8)
"""Tenants of a tenant, and all that these have."""
MIB = 1 << 20


def all_figures() -> dict[str, Figure]:
    """All that is measured, in the order of the table."""
    return {
        "help": Figure("kubeception --help", "ms", 80),
        "help_each": Figure("--help of a command, all of them", "ms", 80),
        "tab": Figure("a name completed by the shell", "ms", 250),
        "ephemeral_ready": Figure("create to /readyz, ephemeral etcd", "s", 5),
        "ephemeral_usable": Figure("create to usable, ephemeral etcd", "s", 6),
        "volume_ready": Figure("create to /readyz, etcd on a volume", "s", 8),
        "volume_usable": Figure("create to usable, etcd on a volume", "s", 9),
        "command": Figure("create, the whole command", "s"),
        "cpu": Figure("create, its own CPU time", "s", 1.5),
        "restarts": Figure("container restarts in a create", "", 0),
        "again": Figure("create again, unchanged", "s"),
        "writes": Figure("objects changed by create again", "", 0),
        "private": Figure("idle control plane, private memory", "MiB", 280),
        "proportional": Figure("idle control plane, proportional memory", "MiB"),
        "delete": Figure("delete without workers, to namespaces gone", "s", 10),
        "node": Figure("VirtualMachine object to Ready node", "s", 60),
        "boot": Figure("start of that machine's kernel to its kubelet's", "s", 25),
        "delete_node": Figure("delete with a worker, to namespaces gone", "s"),
        "pod_node": Figure("pod object to Ready node", "s", 5),
        "grow": Figure("scale 1 to 3 pod nodes, to all Ready", "s"),
        "replace": Figure("a pod node killed, to another one Ready", "s"),
        "pods": Figure("pod to pod over two VMs, rate by the host's", "x"),
        "exec": Figure("exec through the tunnel, time by the host's", "x"),
        "latency": Figure("load balancer, latency by a NodePort's", "x"),
        "rate": Figure("load balancer, rate by a NodePort's", "x"),
        "depth_1": Figure("create with a pod node", "s"),
        "depth_2": Figure("the same in that one, by the first", "x", 1.5),
        "depth_3": Figure("the same in the second, by the first", "x", 1.5),
        "level": Figure("memory of a level without anything in it", "MiB"),
        "deep_latency": Figure("answer of the API at depth 3, by that at 1", "x"),
        "chain": Figure("five clusters, each in the one before, by one command", "s"),
        "tree": Figure("twelve clusters, 1 with 3 with 8 without nodes", "s"),
        "drawn": Figure("tree of those", "s"),
        "cascade": Figure("delete --cascade of those", "s"),
        "owned": Figure("pool of a booted machine over SSH, to Ready node", "s"),
    }


class Bench:
    """The measurements, on one host cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        text = kubeconfig.read_text()
        self.host = Api.of_kubeconfig(text)
        self.figures = all_figures()
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        self._node = next(
            urlsplit(line.split()[-1]).hostname or ""
            for line in text.splitlines()
            if line.strip().startswith("server:")
        )
        self._made = 0

    def run(self, *args: str) -> float:
        """Seconds that the command takes."""
        began = time.monotonic()
        subprocess.run(
            [COMMAND, *args], env=self._environment, check=True, stdout=sys.stderr.fileno()
        )
        return time.monotonic() - began

    def help(self, figure: str, *path: str) -> None:
        """The quickest thing a command does."""
        self.quick(figure, [*path, "--help"], {})

    def tab(self) -> None:
        """What a shell asks for when the Tab key is pressed after `describe`."""
        asked = {"COMP_WORDS": "kubeception describe ", "COMP_CWORD": "2"}
        self.quick("tab", [], {**asked, "_KUBECEPTION_COMPLETE": "bash_complete"})

    def quick(self, figure: str, args: list[str], environment: dict[str, str]) -> None:
        """Milliseconds of a command that prints little."""
        began = time.perf_counter()
        subprocess.run(
            [COMMAND, *args],
            env={**self._environment, **environment},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.figures[figure].take((time.perf_counter() - began) * 1000)

    def create(self, storage: str, ready: Figure, can_begin: Figure) -> tuple[Tenant, Api]:
        """A tenant cluster without workers, watched while it is made."""
        self._made += 1
        tenant = Tenant(f"bench-{os.getpid()}-{self._made}", self.host)
        began = time.monotonic()
        running = subprocess.Popen(
            [COMMAND, "create", tenant.name, "--workers=0", f"--set=datastore.storage={storage}"],
            env=self._environment,
            stdout=sys.stderr.fileno(),
        )
        tenant.appear()
        api = tenant.api(self._node)
        until(api.ready)
        ready.take(time.monotonic() - began)
        until(lambda: api.post("/apis/apps/v1/namespaces/default/deployments", PROBE))
        until(lambda: usable(api))
        can_begin.take(time.monotonic() - began)
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        if running.returncode:
            raise subprocess.CalledProcessError(running.returncode, running.args)
        self.figures["command"].take(time.monotonic() - began)
        self.figures["cpu"].take(used.ru_utime + used.ru_stime)
        self.figures["restarts"].take(tenant.restarts())
        return tenant, api

    def delete(self, tenant: Tenant, figure: Figure) -> None:
        """The end of a tenant cluster."""
        began = time.monotonic()
        self.run("delete", tenant.name)
        until(tenant.gone)
        figure.take(time.monotonic() - began)

    def idle(self, tenant: Tenant, api: Api) -> None:
        """What a control plane with nothing to do takes; what a second `create` changes."""
        time.sleep(SETTLED)
        processes = memory.of_pods(pod["metadata"]["uid"] for pod in tenant.pods())
        for process in processes:
            shown = f"{process.private / MIB:.0f} MiB private"
            print(f"  {process.command}: {shown}", file=sys.stderr)
        self.figures["private"].take(sum(p.private for p in processes) / MIB)
        self.figures["proportional"].take(sum(p.proportional for p in processes) / MIB)

        before = tenant.versions(api)
        seconds = self.run(
            "create", tenant.name, "--workers=0", "--set=datastore.storage=Ephemeral"
        )
        after = tenant.versions(api)
        self.figures["again"].take(seconds)
        changed = {key for key in before | after if before.get(key) != after.get(key)}
        for key in sorted(changed):
            print(f"  changed: {key}", file=sys.stderr)
        self.figures["writes"].take(len(changed))

    def worker(self) -> None:
        """A tenant cluster with one virtual machine."""
        self._made += 1
        tenant = Tenant(f"bench-{os.getpid()}-{self._made}", self.host)
        self.run("create", tenant.name, "--workers=1")
        tenant.appear()
        kind = f"/apis/kubevirt.io/v1/namespaces/{tenant.nodes_namespace}/virtualmachines"
        machines = until(lambda: self.host.get(kind))["items"]
        api = tenant.api(self._node)
        nodes = until(lambda: api.get("/api/v1/nodes"))["items"]
        ready = [
            moment(condition["lastTransitionTime"])
            for condition in nodes[0]["status"]["conditions"]
            if condition["type"] == "Ready" and condition["status"] == "True"
        ]
        made = moment(machines[0]["metadata"]["creationTimestamp"])
        self.figures["node"].take((ready[0] - made).total_seconds())
        self.figures["boot"].take(boot_seconds(api))
        self.delete(tenant, self.figures["delete_node"])

    def pod_nodes(self) -> None:
        """A tenant cluster whose nodes are pods: the first, two more, and another one for one that is killed."""
        self._made += 1
        tenant = Tenant(f"bench-{os.getpid()}-{self._made}", self.host)
        self.run("create", tenant.name, "--workers=0", "--provider=pod")
        tenant.appear()
        api = tenant.api(self._node)

        with self.running("scale", tenant.name, "--workers=1"):
            (first,) = until(tenant.machines)
            began = time.monotonic()
            until(lambda: ready_nodes(api) == {first})
            self.figures["pod_node"].take(time.monotonic() - began)
        with self.running("scale", tenant.name, "--workers=3") as began:
            until(lambda: len(ready_nodes(api)) == 3)
            self.figures["grow"].take(time.monotonic() - began)
        self.host.delete(f"/api/v1/namespaces/{tenant.nodes_namespace}/pods/{first}")
        with self.running("scale", tenant.name, "--workers=3") as began:
            until(lambda: len(ready_nodes(api) - {first}) == 3)
            self.figures["replace"].take(time.monotonic() - began)
        self.delete(tenant, self.figures["delete_node"])

    def nested(self) -> None:
        """Three clusters, each in the one before, on nodes that are pods."""
        self._made += 1
        first = f"bench-{os.getpid()}-{self._made}"
        paths = (first, f"{first}/b", f"{first}/b/c")
        took = [self.run("create", path, "--provider=pod", "--no-merge") for path in paths]
        self.figures["depth_1"].take(took[0])
        for depth in (2, 3):
            self.figures[f"depth_{depth}"].take(took[depth - 1] / took[0])
        time.sleep(SETTLED)
        (deepest,) = json.loads(self.said("tree", "c", f"--in={paths[1]}", "-o", "json"))["items"]
        self.figures["level"].take(deepest["use"]["memory"] / MIB)
        ask = (sys.executable, "-m", "tests.bench.nesting")
        near, far = (float(self.said("connect", path, "--", *ask)) for path in paths[::2])
        self.figures["deep_latency"].take(far / near)
        self.run("delete", first, "--cascade")

    def forest(self) -> None:
        """As deep as five, and as wide as twelve."""
        self._made += 1
        first = f"bench-{os.getpid()}-{self._made}"
        pods = ("--provider=pod", "--no-merge")
        chain = "/".join((first, *"bcde"))
        self.figures["chain"].take(self.run("create", chain, "--parents", *pods))
        self.run("delete", first, "--cascade")
        took = self.run("create", first, *pods)
        for number in range(WIDE[0]):
            took += self.run("create", f"{first}/c{number}", *pods)
        for number in range(WIDE[1]):
            path = f"{first}/c{number % WIDE[0]}/d{number}"
            took += self.run("create", path, "--workers=0", *pods)
        self.figures["tree"].take(took)
        self.figures["drawn"].take(self.run("tree", first))
        self.figures["cascade"].take(self.run("delete", first, "--cascade"))

    def said(self, *args: str) -> str:
        """What a command prints."""
        return subprocess.run(
            [COMMAND, *args], env=self._environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def owned(self, lab: Lab) -> None:
        """A tenant cluster whose node is a machine that was there before, booted and waiting."""
        self._made += 1
        tenant = Tenant(f"bench-{os.getpid()}-{self._made}", self.host)
        pool: dict[str, Any] = {
            "apiVersion": names.API_VERSION,
            "kind": "NodePool",
            "metadata": {"name": tenant.name},
            "spec": {"clusterRef": {"name": tenant.name}, "provider": "ssh", "replicas": 1},
        }
        self.run("create", tenant.name, "--workers=0")
        tenant.appear()
        api = tenant.api(self._node)
        with (
            tempfile.TemporaryDirectory() as folder,
            owned(lab, Path(folder) / "machine") as machine,
            machine.lent(lab, tenant.name) as pool["spec"]["ssh"],
        ):
            machine.wait()
            document = Path(folder) / "pool.json"
            document.write_text(json.dumps(pool))
            with self.running("apply", f"--file={document}") as began:
                until(lambda: ready_nodes(api))
                self.figures["owned"].take(time.monotonic() - began)
            self.delete(tenant, self.figures["delete_node"])

    def network(self, lab: Lab) -> None:
        """Two virtual machines with a pod each, beside two pods of the host."""
        self._made += 1
        name = f"bench-{os.getpid()}-{self._made}"
        with tempfile.TemporaryDirectory() as folder:
            tenant = tenant_in(lab, Path(folder), name)
            tenant.run("create", name, "--workers=2")

            def balanced() -> str:
                tenant.run("scale", name, "--workers=2")  # a pass, which brings the address over
                ingress = "jsonpath={.status.loadBalancer.ingress[0].ip}"
                return tenant.kubectl("get", "service", "bench", "-o", ingress)

            with servers(lab.kubectl) as host, servers(tenant.kubectl) as mine:
                self.figures["pods"].take(mine.fetch() / host.fetch())
                self.figures["exec"].take(mine.command() / host.command())
                tenant.kubectl("apply", "-f", "-", stdin=BALANCED)
                address = until(balanced)
                space = lab.kubectl(
                    "get", "tc", name, "-o", "jsonpath={.status.controlPlaneNamespace}"
                )
                port = "jsonpath={.items[?(@.spec.type=='LoadBalancer')].spec.ports[0].nodePort}"
                node_port = int(lab.kubectl("get", "services", "-n", space, "-o", port))
                ways = (address, 80), (self._node, node_port)
                self.figures["latency"].take(latency(*ways))
                self.figures["rate"].take(rate(*ways))
            tenant.run("delete", name)

    @contextmanager
    def running(self, *args: str) -> Iterator[float]:
        """The command, while the block looks at what it does; since when it runs. It must end well."""
        began = time.monotonic()
        argv = [COMMAND, *args]
        with subprocess.Popen(argv, env=self._environment, stdout=sys.stderr.fileno()) as process:
            yield began
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, argv)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--creates", type=int, default=20, help="with ephemeral etcd; default 20")
    parser.add_argument("--volumes", type=int, default=5, help="with a volume; default 5")
    parser.add_argument("--workers", type=int, default=3, help="virtual machines; default 3")
    parser.add_argument("--pods", type=int, default=5, help="tenants with pod nodes; default 5")
    parser.add_argument("--trees", type=int, default=3, help="three levels each; default 3")
    parser.add_argument("--forests", type=int, default=1, help="five deep, twelve wide; default 1")
    parser.add_argument("--owned", type=int, default=1, help="machines over SSH; default 1")
    parser.add_argument("--networks", type=int, default=1, help="pairs of machines; default 1")
    parser.add_argument("--lab", default="lab", help="name of the lab; default lab")
    parser.add_argument("--output", type=Path, help="default bench-<time>.json")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        with kubeconfig.open("w") as file:
            subprocess.run(
                [COMMAND, "lab", "kubeconfig", "--name", args.lab], stdout=file, check=True
            )
        bench = Bench(kubeconfig)
        figures = bench.figures
        try:
            for _ in range(20):
                bench.help("help")
                bench.tab()
            for words, _ in all_commands():
                bench.help("help_each", *words)
            for count in range(args.creates):
                made = bench.create(
                    "Ephemeral", figures["ephemeral_ready"], figures["ephemeral_usable"]
                )
                if count == 0:
                    bench.idle(*made)
                bench.delete(made[0], figures["delete"])
            for _ in range(args.volumes):
                tenant, _ = bench.create(
                    "Persistent", figures["volume_ready"], figures["volume_usable"]
                )
                bench.delete(tenant, figures["delete"])
            lab = Lab(args.lab, dict(os.environ))
            for times, measure in (
                (args.workers, bench.worker),
                (args.pods, bench.pod_nodes),
                (args.trees, bench.nested),
                (args.forests, bench.forest),
                (args.owned, partial(bench.owned, lab)),
                (args.networks, partial(bench.network, lab)),
            ):
                for _ in range(times):
                    measure()
        finally:
            print(table(figures.values()))
            now = datetime.now(UTC)
            path = args.output or Path(f"bench-{now:%Y%m%d-%H%M%S}.json")
            save(path, figures.values(), version=kubeception.__version__, time=now.isoformat())
            print(f"\nwritten to {path}")


if __name__ == "__main__":
    main()
