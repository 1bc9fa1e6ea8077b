"""A newcomer types what the pages say: each command ends as it is said to, and what it made is looked at closely.

`make transcript` writes what the tutorial's commands printed to docs/transcript.md.
"""

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from socket import create_server
from typing import Final

import pytest
import yaml

from kubeception import names
from kubeception.lab.cgroup import has_usable_kvm
from tests.blocks import ROOT, blocks_of
from tests.e2e.conftest import ECHO_SERVICE, Lab, programs
from tests.e2e.reader import Reader
from tests.e2e.tenant import (
    ECHO,
    Tenant,
    assert_pods_exchange_64_kib,
    assert_the_service_reaches_all,
    eventually,
    leftovers,
    uid_of,
)

TRANSCRIPT: Final = os.environ.get("KUBECEPTION_TRANSCRIPT")
"""The page that is to be written."""
TUTORIAL: Final = ROOT / "docs" / "tutorial.md"
SECONDS: Final = 1200


@pytest.fixture(scope="module")
def reader(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    made = Reader(lab, tmp_path_factory.mktemp("newcomer"))
    yield made
    made.type("kubeception delete acme")
    made.close()


@pytest.fixture(scope="module")
def acme(reader: Reader) -> Tenant:
    """What the newcomer makes, as tests look at it."""
    return Tenant(reader.lab, "acme", reader.home / ".kube" / "config")


@pytest.fixture(scope="module")
def echo(acme: Tenant) -> None:
    """The Deployment on both of its nodes."""
    acme.kubectl("apply", "-f", "-", stdin=ECHO + ECHO_SERVICE)
    eventually("two pods on two nodes", lambda: len({node for _, node, _ in acme.pods()}) == 2)


def follow(reader: Reader, *headings: str) -> str:
    """Type the commands of these sections of the tutorial; what they printed."""
    before = len(reader.said)
    for block in blocks_of(__file__):
        if block.path == TUTORIAL and block.heading in headings:
            reader.follow(block)
    return "\n".join(reader.said[before:])


@pytest.mark.timeout(SECONDS)
class TestTheFirstHour:
    """In this order: each uses what the one before left."""

    def test_a_host_a_cluster_and_what_runs_in_it(self, reader: Reader) -> None:
        said = follow(reader, "A host", "A cluster", "In it")
        assert 'deployment "hello" successfully rolled out' in said

    def test_both_machines_are_ready_nodes(self, acme: Tenant) -> None:
        nodes = acme.nodes()
        assert len(nodes) == 2
        addresses = acme.kubectl(
            "get",
            "nodes",
            "-o",
            'jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}',
        ).split()
        assert len(set(addresses)) == 2
        assert "10.0.2.2" not in addresses
        shown = acme.run("nodes", acme.name).stdout
        assert all(node in shown for node in nodes)
        secrets = acme.kubectl("get", "secrets", "-n", "kube-system", "-o", "name")
        assert "bootstrap-token" not in secrets

    @pytest.mark.usefixtures("echo")
    def test_pods_of_two_nodes_exchange_64_kib_each_way(self, acme: Tenant) -> None:
        assert_pods_exchange_64_kib(acme)

    def test_a_service_reaches_both_by_its_name(self, acme: Tenant) -> None:
        assert_the_service_reaches_all(acme)

    def test_logs_and_top(self, acme: Tenant) -> None:
        for name, _, _ in acme.pods():
            assert acme.kubectl("logs", name) == "started\n"
        top = eventually("kubectl top nodes", lambda: acme.kubectl("top", "nodes", check=False))
        assert all(node in top for node in acme.nodes())

    def test_port_forward(self, acme: Tenant) -> None:
        name, _, _ = acme.pods()[0]
        with closing(create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        argv = [
            str(programs() / "kubectl"),
            "--context",
            acme.name,
            "port-forward",
            name,
            f"{port}:8080",
        ]
        with subprocess.Popen(argv, env=acme.environment, stdout=subprocess.PIPE) as forward:
            try:
                assert forward.stdout
                forward.stdout.readline()
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
                    assert answer.read().decode().strip() == name
            finally:
                forward.terminate()

    def test_the_console_is_the_machines(self, acme: Tenant) -> None:
        node = acme.nodes()[0]
        assert "This node has joined the cluster" in acme.run("console", node).stdout

    def test_create_again_changes_nothing(self, acme: Tenant) -> None:
        before = acme.kubectl("get", "nodes", "-o", "name")
        generation = acme.lab.kubectl(
            "get", "tc,np", "-o", "jsonpath={.items[*].metadata.generation}"
        )
        acme.run("create", acme.name)
        assert acme.kubectl("get", "nodes", "-o", "name") == before
        after = acme.lab.kubectl("get", "tc,np", "-o", "jsonpath={.items[*].metadata.generation}")
        assert after == generation

    def test_another_number_of_nodes_and_a_file(self, reader: Reader, acme: Tenant) -> None:
        follow(reader, "Changed")
        assert len(acme.nodes()) == 1
        (kept,) = acme.kubectl("get", "nodes", "-o", "name").split()
        assert "1/1" in acme.run("list").stdout
        assert kept.removeprefix("node/") in acme.run("nodes", acme.name).stdout

    @pytest.mark.slow
    def test_a_machine_whose_qemu_is_killed_is_another_node(self, acme: Tenant) -> None:
        (before,) = acme.nodes()
        os.kill(qemu_of(before), signal.SIGKILL)
        phase = ("-o", "jsonpath={.items[0].status.phase}")
        machine = ("vmi", "-A", "-l", f"{names.MACHINE_LABEL}={before}")
        eventually(
            "KubeVirt notices", lambda: "Failed" in acme.lab.kubectl("get", *machine, *phase), 120
        )
        acme.run("create", acme.name)
        (after,) = acme.nodes()
        assert after != before
        assert before not in acme.kubectl("get", "nodes", "-o", "name")
        assert f"machine {before} is beyond use" in acme.run("events", acme.name).stdout

    def test_something_breaks_and_is_mended(self, reader: Reader) -> None:
        said = follow(reader, "Something breaks")
        assert "etcd has no pod" in said
        assert "No problems" in said

    def test_the_end_leaves_nothing(self, reader: Reader, acme: Tenant) -> None:
        uid = uid_of(acme.lab, acme.name)
        follow(reader, "The end")
        assert leftovers(acme.lab, uid, acme.name) == ""
        config = yaml.safe_load(acme.kubeconfig.read_text())
        lab_context = yaml.safe_load(acme.lab.kubeconfig.read_text())["current-context"]
        assert [c["name"] for c in config["contexts"]] == [lab_context]
        assert config["current-context"] == lab_context
        if TRANSCRIPT:
            (ROOT / TRANSCRIPT).write_text(page(reader))


def qemu_of(machine: str) -> int:
    """The process that is a virtual machine."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "qemu-system" in words[0] and any(machine in word for word in words[1:]):
                return int(folder.name)
    pytest.fail(f"no QEMU runs {machine}")


def page(reader: Reader) -> str:
    """The transcript as a page."""
    machines = "runs" if has_usable_kvm() else "emulates"
    minutes = (time.monotonic() - reader.began) / 60
    return (
        "# How the first hour went\n\n"
        "What the commands of [the first hour](tutorial.md) printed when a test typed them, one after the other: "
        f"written by `make transcript`, on a machine with {os.cpu_count()} processors, where KubeVirt {machines} "
        f"machines' processors, with a load average of {reader.load:.1f} at the beginning. The lab was up already. "
        f"It took {minutes:.0f} minutes, in which tests looked at the cluster as well.\n"
        + "\n".join(reader.said)
        + "\n"
    )


@pytest.mark.timeout(SECONDS)
def test_the_other_pages(reader: Reader) -> None:
    """On a cluster without nodes."""
    code, printed = reader.type("kubeception create acme --workers 0")
    assert code == 0, printed
    for block in blocks_of(__file__):
        if block.path != TUTORIAL:
            reader.follow(block)
    code, printed = reader.type("kubeception delete acme")
    assert code == 0, printed
