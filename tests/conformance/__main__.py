"""`make conformance`: the specs of Kubernetes' conformance suite that need no node, in a tenant at a depth.

Prints how many ran and which failed; ends with 1 if any did.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import kubeception
from kubeception.cli.report import TerminalReport
from kubeception.lab import parts, state
from tests.bench.figures import machine
from tests.conformance.specs import LABEL, LIST, Outcome, around, focus, names, outcomes
from tests.e2e.conftest import PARTS, Lab, programs

TENANT = ("--workers=0", "--set=addons.metricsServer=false")
"""Without a node nothing answers for an API of metrics, and a namespace can't end while an API is silent."""
NODELESS = ("--provider=skeleton", "--num-nodes=0", "--allowed-not-ready-nodes=-1")
"""Nobody waits for nodes, or for what would run on them."""


@dataclass(frozen=True)
class Deep:
    """A tenant at some depth of a lab, by the commands a person has."""

    path: str
    environment: dict[str, str]

    @classmethod
    def of(cls, depth: int, kubeconfig: Path) -> "Deep":
        """One that is in so many clusters."""
        path = "/".join((f"conformance-{os.getpid()}", *("inner",) * (depth - 1)))
        return cls(path, {**os.environ, "KUBECONFIG": str(kubeconfig)})

    def create(self) -> None:
        """The clusters on the way have a node each, which is a pod; this one has none."""
        options = ("--parents", "--provider=pod", "--no-merge", "--wait=15m")
        self.run("create", self.path, *options, *TENANT)

    def delete(self) -> None:
        """The outermost, and all that is in it."""
        self.run("delete", self.path.partition("/")[0], "--cascade", check=False)

    def test(self, wanted: Sequence[str], folder: Path, processes: int) -> Path:
        """Ginkgo's report of these specs, in an order that is always the same."""
        report = folder / "report.json"
        argv = [str(programs() / "ginkgo"), f"--procs={processes}", "--seed=1", "--timeout=2h"]
        argv += ["--no-color", "--silence-skips", f"--output-dir={folder}"]
        argv += [f"--label-filter={LABEL}"]
        argv += [f"--json-report={report.name}", *(f"--focus={focus(name)}" for name in wanted)]
        argv += [str(programs() / "e2e.test"), "--", *NODELESS]
        argv += [f"--kubectl-path={programs() / 'kubectl'}"]
        self.run("connect", self.path, "--", *argv, check=False)
        assert report.exists(), "ginkgo wrote no report: what it said last is above"
        return report

    def run(self, *words: str, check: bool = True) -> None:
        """`kubeception WORDS`; what it prints is not for who reads the table."""
        argv = [sys.executable, "-m", "kubeception", *words]
        with subprocess.Popen(
            argv, env=self.environment, stdout=sys.stderr.fileno(), process_group=0
        ) as process:
            try:
                process.wait()
            finally:
                if process.poll() is None:  # interrupted: so is all that it started
                    os.killpg(process.pid, signal.SIGINT)
                    process.wait()
        if check and process.returncode:
            raise subprocess.CalledProcessError(process.returncode, argv)


@contextmanager
def in_lab(name: str) -> Iterator[Lab]:
    """The lab of this name, or one that is made and ended after."""
    if name:
        yield Lab(name, dict(os.environ))
        return
    made = Lab("conformance", dict(os.environ))
    up = made.argv("up", "--no-merge", "--no-kubevirt", "--parts", PARTS)
    try:
        subprocess.run(up, check=True)
        yield made
    finally:
        subprocess.run(made.argv("down"), check=True)


def obtain(lab: str) -> None:
    """Have the suite in the cache."""
    cache = state.cache_folder()
    with TerminalReport(state.log_file(lab)) as report, state.locked(cache, wait=True):
        parts.obtain(parts.Source.parse(PARTS), cache, report, [parts.CONFORMANCE])


def table(depth: int, found: Sequence[Outcome], seconds: float) -> str:
    """The run in one line, with a head."""
    passed = sum(outcome.passed for outcome in found)
    load = " ".join(f"{load:.1f}" for load in os.getloadavg())
    head = ("depth", "specs", "passed", "failed", "seconds", "load average, 1 5 15 min")
    row = (depth, len(found), passed, len(found) - passed, f"{seconds:.0f}", load)
    widths = [max(len(title), len(str(cell))) for title, cell in zip(head, row, strict=True)]
    return "\n".join(
        "  ".join(str(cell).rjust(width) for cell, width in zip(cells, widths, strict=True))
        for cells in (head, row)
    )


def main() -> int:
    """Make a tenant, run the specs in it, print, write."""
    parser = argparse.ArgumentParser(prog="make conformance", description=__doc__)
    parser.add_argument("--depth", type=int, default=1, help="clusters it is in; default 1")
    parser.add_argument("--lab", default="", help="one that runs; default: one of its own")
    parser.add_argument("--specs", type=Path, default=LIST, help="names of others, one a line")
    parser.add_argument("--processes", type=int, default=8, help="specs at once; default 8")
    parser.add_argument("--output", type=Path, help="default conformance-<depth>-<time>.json")
    args = parser.parse_args()
    wanted = names(args.specs)

    with in_lab(args.lab) as lab, tempfile.TemporaryDirectory() as folder:
        obtain(lab.name)
        kubeconfig = Path(folder) / "kubeconfig"
        kubeconfig.write_text(lab.kubeconfig.read_text())
        tenant = Deep.of(args.depth, kubeconfig)
        try:
            tenant.create()
            began = time.monotonic()
            report = tenant.test(wanted, Path(folder), args.processes)
            seconds = time.monotonic() - began
        finally:
            tenant.delete()
        found = outcomes(report, wanted)
        wrong = [outcome for outcome in (*around(report), *found) if not outcome.passed]

    for outcome in wrong:
        print(f"{outcome.state}: {outcome.name}", *outcome.message.splitlines()[:1], sep="\n    ")
    print(table(args.depth, found, seconds))
    now = datetime.now(UTC)
    path = args.output or Path(f"conformance-{args.depth}-{now:%Y%m%d-%H%M%S}.json")
    document = {
        "machine": machine(),
        "version": kubeception.__version__,
        "kubernetes": parts.KUBERNETES,
        "time": now.isoformat(),
        "depth": args.depth,
        "processes": args.processes,
        "seconds": round(seconds, 1),
        "loads": [round(load, 2) for load in os.getloadavg()],
        "specs": [outcome.document() for outcome in found],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(f"\nwritten to {path}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
