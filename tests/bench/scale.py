"""`python -m tests.bench.scale`: an operator with many tenants, on a real etcd and kube-apiserver.

Control planes are faked where the host tells of them: somebody patches the status of their workloads.
Nobody is behind their addresses; the operator and its engine are as they are shipped.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import kubeception
from kubeception import names
from kubeception.components.install import Options
from kubeception.engine.install import install, install_operator
from kubeception.kube.client import Cluster, Object
from tests.bench.figures import Figure, save, table
from tests.integration.operators import Operator, until
from tests.integration.servers import ApiServer, api_server, binary, free_port, process
from tests.integration.standins import BALANCED, report_ready

NAMESPACE = "default"
SERVICES = "127.96.0.0/14"
"""Of this machine, as loopback; nobody listens there."""
FLAGS = ("--goaway-chance=0", f"--service-cluster-ip-range={SERVICES}")
READS = frozenset({"get", "list", "watch"})
MIB = 1 << 20


def figures(tenants: int) -> dict[str, Figure]:
    """All that is measured, in the order of the table."""
    return {
        "converged": Figure(f"{tenants} tenants created, to all host objects written", "s"),
        "start": Figure(f"start with {tenants} tenants, to all had a pass", "s", 30),
        "start_cpu": Figure("start, CPU time", "s"),
        "cpu": Figure("steady, share of a core", "%", 5),
        "rss": Figure("steady, resident memory", "MiB", 350),
        "writes": Figure("steady, writes but the leader's Lease", "", 0),
        "requests": Figure("steady, requests a second", "/s"),
        "change": Figure("a change of a spec, to the first write", "s", 1),
        "repair": Figure("a deleted Service, to its return", "s", 5),
        "server": Figure("steady, the API server's own share of a core", "%"),
    }


class Scale:
    """One host with many tenants."""

    def __init__(self, host: Cluster, server: ApiServer, folder: Path, tenants: int) -> None:
        self.host, self.server, self.folder, self.tenants = host, server, folder, tenants
        self.figures = figures(tenants)
        self._read = 0
        self.uids: dict[str, str] = {}

    def operator(self) -> Operator:
        return Operator(self.folder, self.server, "--log-level=INFO")

    def create(self) -> None:
        """All TenantClusters and a NodePool each."""
        with ThreadPoolExecutor(8) as pool:
            for uid, name in pool.map(self._create, range(self.tenants)):
                self.uids[name] = uid

    def converge(self, operator: Operator) -> None:
        """Wait until each has its workloads, and nothing is written any more."""
        end = time.monotonic() + 60 + 3 * self.tenants
        while (there := self._fake()) < 2 * self.tenants:
            assert operator.alive()
            assert time.monotonic() < end, f"{there} of {2 * self.tenants} workloads are there"
            time.sleep(0.5)

    def settle(self) -> None:
        """Wait until nothing is written any more."""
        until(lambda: self._fake() and not self._written(5), seconds=600, pause=0.1)

    def start(self) -> Operator:
        """A new process, from nothing to each tenant's first pass."""
        began = time.monotonic()
        operator = self.operator()
        while (seen := operator.metric("kubeception_tenants_seen")) < self.tenants:
            assert time.monotonic() - began < 600
            time.sleep(2 if seen < 0.8 * self.tenants else 0.2)  # to be asked costs it time too
        self.figures["start"].take(time.monotonic() - began)
        self.figures["start_cpu"].take(_cpu(operator.process.pid))
        return operator

    def steady(self, operator: Operator, seconds: float) -> None:
        """What it takes when nothing happens."""
        pid, server = operator.process.pid, self.server.pid
        self._written(0)
        cpu, theirs = _cpu(pid), _cpu(server)
        requests = _requests(operator)
        began, rss = time.monotonic(), 0.0
        while time.monotonic() - began < seconds:
            time.sleep(5)
            rss = max(rss, _rss(pid))
        passed = time.monotonic() - began
        self.figures["cpu"].take((_cpu(pid) - cpu) / passed * 100)
        self.figures["server"].take((_cpu(server) - theirs) / passed * 100)
        self.figures["rss"].take(rss)
        self.figures["requests"].take((_requests(operator) - requests) / passed)
        written = self._written(0)
        print(*written[:20], sep="\n", file=sys.stderr)
        self.figures["writes"].take(len(written))

    def change(self, number: int) -> None:
        """One tenant among all gets another spec."""
        name = f"t-{number}"
        namespace = names.control_plane_namespace(self.uids[name], name)
        self._written(0)
        began = datetime.now(UTC)
        spec = {"exposure": {"extraSANs": [f"x{number}.example"]}}
        self.host.patch("TenantCluster", name, {"spec": spec}, NAMESPACE)

        def acted() -> float:
            times = [at for place, at in self._events() if f" {namespace}/" in place]
            return min(times).timestamp() if times else 0.0

        self.figures["change"].take(until(acted, pause=0.02) - began.timestamp())

    def repair(self, number: int) -> None:
        """One tenant among all loses a Service."""
        name = f"t-{number}"
        namespace = names.control_plane_namespace(self.uids[name], name)
        began = time.monotonic()
        self.host.delete("Service", "etcd", namespace)
        until(lambda: self.host.get("Service", "etcd", namespace), pause=0.02)
        self.figures["repair"].take(time.monotonic() - began)

    def _create(self, number: int) -> tuple[str, str]:
        name = f"t-{number}"
        made = self.host.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": "TenantCluster",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {
                    "datastore": {"storage": "Ephemeral"},
                    "exposure": {"type": "LoadBalancer"},
                },
            }
        )
        self.host.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": "NodePool",
                "metadata": {"name": f"{name}-workers", "namespace": NAMESPACE},
                "spec": {"clusterRef": {"name": name}, "replicas": 0},
            }
        )
        return made["metadata"]["uid"], name

    def _fake(self) -> int:
        """Say of all workloads that they are ready, and of Services that they have an address; how many workloads."""
        label = names.CLUSTER_LABEL
        late = [
            service
            for service in self.host.list("Service", labels=label)
            if service["spec"]["type"] == "LoadBalancer" and not service["status"]["loadBalancer"]
        ]
        found = [o for k in ("StatefulSet", "Deployment") for o in self.host.list(k, labels=label)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self._balance, late))
            list(pool.map(partial(report_ready, self.host), found))
        return len(found)

    def _balance(self, service: Object) -> None:
        meta = service["metadata"]
        body = {"status": BALANCED}
        self.host.patch("Service", meta["name"], body, meta["namespace"], subresource="status")

    def _written(self, wait: float) -> list[str]:
        """What the operator wrote since the last question, after waiting for more."""
        time.sleep(wait)
        return [place for place, _ in self._events()]

    def _events(self) -> Iterator[tuple[str, datetime]]:
        """The operator's writes in the audit log from where it was read last; not those of its own Lease."""
        with self.server.audit.open("rb") as file:
            file.seek(self._read)
            lines = file.read().split(b"\n")
            self._read = file.tell() - len(lines[-1])
        for line in lines[:-1]:
            event = json.loads(line)
            place = event.get("objectRef", {})
            if (
                event["userAgent"].startswith("kubeception")
                and event["user"]["username"] == names.OPERATOR_USER
                and event["verb"] not in READS
                and (place.get("resource"), place.get("name")) != ("leases", names.OPERATOR)
            ):
                what = (
                    f"{event['verb']} {place.get('resource')} "
                    f"{place.get('namespace', '')}/{place.get('name', '')}"
                )
                yield what, datetime.fromisoformat(event["requestReceivedTimestamp"])


def _requests(operator: Operator) -> float:
    return sum(
        operator.metric(f'kubeception_api_requests_total{{method="{method}"}}')
        for method in ("GET", "POST", "PATCH", "PUT", "DELETE")
    )


def _cpu(pid: int) -> float:
    """Seconds of a processor a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss(pid: int) -> float:
    """Resident memory of a process, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def main() -> None:
    """Measure, print a table, write a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=500)
    parser.add_argument("--steady", type=float, default=300, help="seconds of doing nothing")
    parser.add_argument("--changes", type=int, default=10)
    parser.add_argument("--output", type=Path, help="default bench-scale-<time>.json")
    args = parser.parse_args()
    print(f"load average before: {os.getloadavg()}", file=sys.stderr)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        stack.enter_context(
            process(
                folder,
                binary("etcd"),
                "--data-dir=data",
                "--unsafe-no-fsync",
                "--quota-backend-bytes=4294967296",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
            )
        )
        server = stack.enter_context(api_server(folder / "api", client, "/host", *FLAGS))
        host = stack.enter_context(server.cluster())
        install(host)
        install_operator(host, Options())
        scale = Scale(host, server, folder, args.tenants)
        first: Operator | None = None
        running: Operator | None = None
        try:
            first = scale.operator().ready()
            began = time.monotonic()
            scale.create()
            scale.converge(first)
            scale.figures["converged"].take(time.monotonic() - began)
            scale.settle()
            first.stop()
            running = scale.start()
            scale.settle()
            scale.steady(running, args.steady)
            for number in range(args.changes):
                scale.change(number * args.tenants // args.changes)
                scale.repair(number * args.tenants // args.changes)
        finally:
            for operator in (first, running):
                if operator is not None and operator.process.poll() is None:
                    operator.kill()
                    bad = [line for line in operator.lines() if line["level"] != "info"]
                    print(*bad[-20:], sep="\n", file=sys.stderr)
            taken = [figure for figure in scale.figures.values() if figure.values]
            print(table(taken))
            moment = datetime.now(UTC)
            path = args.output or Path(f"bench-scale-{moment:%Y%m%d-%H%M%S}.json")
            save(path, taken, version=kubeception.__version__, time=moment.isoformat())
            print(f"\nload average after: {os.getloadavg()}; written to {path}")


if __name__ == "__main__":
    main()
