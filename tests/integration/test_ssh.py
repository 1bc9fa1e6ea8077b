"""Machines that somebody owns: a real sshd in its own network, and the record of the machine on a real API server.

Of a node's programs there are only stand-ins, so that what reaches the machine is seen; the e2e tier joins one.
"""

import base64
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import yaml

from kubeception import names
from kubeception.engine.join import join_command
from kubeception.engine.reconcile import Engine
from kubeception.errors import NotFoundError
from kubeception.kube.client import Cluster, Object
from kubeception.plan.endpoint import Endpoint
from kubeception.plan.way import forward
from kubeception.providers.ssh import log_of
from kubeception.ssh.client import Target, connect
from tests.integration.sshd import Box, box as made_box, run
from tests.integration.standins import Straight
from tests.integration.test_machines import World

SOON = 20.0


class Owner(World):
    """Somebody with a machine and a pool for it."""

    box: Box

    def ask(self, replicas: int = 1, **options: Any) -> None:
        machine = {"address": self.box.address, **options.pop("machine", {})}
        block = {"keySecretRef": {"name": self.name}, "machines": [machine], **options}
        block = {key: value for key, value in block.items() if value is not None}
        spec = {"clusterRef": {"name": self.name}, "replicas": replicas, "provider": "ssh"}
        body = {"apiVersion": names.API_VERSION, "kind": "NodePool", "spec": {**spec, "ssh": block}}
        self.host.apply({**body, "metadata": {"name": self.pool, "namespace": "default"}})

    def give(self, key: str) -> None:
        data = {"ssh-privatekey": base64.b64encode(key.encode()).decode()}
        meta = {"name": self.name, "namespace": "default"}
        body = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/ssh-auth"}
        self.host.apply({**body, "metadata": meta, "data": data})

    def records(self) -> list[Object]:
        return self.host.list("ConfigMap", self.namespace, labels=f"{names.PROVIDER_LABEL}=ssh")

    def data(self) -> dict[str, str]:
        """What is known of the one machine."""
        records = self.records()
        return dict(records[0]["data"]) if records else {}

    def until(self, what: str, found: Callable[[], Any]) -> Any:
        """Pass after pass, until this is true."""
        deadline = time.monotonic() + SOON
        while not (answer := found()):
            if time.monotonic() > deadline:
                pytest.fail(f"{what}: not within {SOON:.0f} s; {self.data()}")
            self.step()
            time.sleep(0.2)
        return answer

    def said(self, words: str) -> str:
        """The message of the machine that has these words."""

        def found() -> str:
            message = self.data().get("message", "")
            return message if words in message else ""

        return str(self.until(words, found))

    def log(self) -> str:
        records = self.records()
        return (log_of(self.host, records[0]["metadata"]["name"]) or "") if records else ""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with made_box(tmp_path_factory.mktemp("machine")) as found:
        yield found


@pytest.fixture
def owner(host: Cluster, tenant: Cluster, box: Box) -> Iterator[Owner]:
    allowed = {"metadata": {"labels": {names.ALLOW_SSH_NODES: "true"}}}
    host.patch("Namespace", "default", allowed)
    for left in ("/var/lib/kubeception", "/etc/joined", "/etc/resets", "/etc/kubernetes"):
        run("rm", "-rf", str(box.file(left)))
    found = Owner(host, tenant)
    found.box = box
    found.give(box.key)
    yield found
    host.patch("Namespace", "default", {"metadata": {"labels": {names.ALLOW_SSH_NODES: None}}})
    for node in tenant.list("Node"):
        tenant.delete("Node", node["metadata"]["name"])


@pytest.mark.parametrize("user", ["root", "ann"])
def test_a_machine_joins_and_is_given_back(owner: Owner, box: Box, user: str) -> None:
    owner.ask(user=user)
    with box.serving():
        owner.until("set up", lambda: box.file("/etc/joined").exists())
        (record,) = owner.records()
        name = record["metadata"]["name"]
        joined = yaml.safe_load(box.file("/etc/joined").read_text())
        assert joined["nodeRegistration"]["name"] == name
        assert box.file("/var/lib/kubeception/bootstrap.sh").stat().st_mode & 0o77 == 0
        owner.until("its log", lambda: "kubeadm join" in owner.log())
        assert owner.data()["hostKey"] == box.host_key("one")
        owner.until("a kubelet", lambda: box.file("/var/log/kubelet").exists())

        owner.join(name)
        owner.step(2)
        node = owner.node(name)
        assert node["spec"]["providerID"] == f"ssh://{owner.namespace}/{name}"
        assert {"type": "InternalIP", "address": box.address} in node["status"]["addresses"]
        assert owner.step().writes == 0

        owner.ask(replicas=0, user=user)
        owner.until("its end", lambda: not owner.records())
        assert box.file("/etc/resets").read_text() == "reset\n"
        assert not box.file("/var/lib/kubeception").exists()
        assert not box.file("/etc/kubernetes/join.yaml").exists()


@pytest.mark.attack("A10")
def test_another_host_key_than_the_recorded_one_is_an_error(owner: Owner, box: Box) -> None:
    box.file("/etc/refuse").touch()  # so that it is looked at more than once
    owner.ask()
    with box.serving("one"):
        owner.until("the first look", lambda: owner.data().get("hostKey"))
    with box.serving("two"):
        message = owner.said("another machine, or somebody is in between")
    assert "is known" in message
    assert owner.data()["hostKey"] == box.host_key("one")
    box.file("/etc/refuse").unlink(missing_ok=True)


@pytest.mark.attack("A10")
def test_a_machine_with_another_key_than_the_pinned_one_is_told_nothing(
    owner: Owner, box: Box
) -> None:
    owner.ask(machine={"hostKey": box.host_key("two")})
    with box.serving("one"):
        owner.said("another machine, or somebody is in between")
        assert not box.file("/var/lib/kubeception").exists()


def test_somebody_who_is_not_let_in(owner: Owner, box: Box) -> None:
    other = box.root.with_name("other")
    if not other.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other))
    owner.give(other.read_text())
    owner.ask()
    with box.serving():
        owner.said("is not let in with the key ssh-ed25519 SHA256:")
        owner.give("no key")
        owner.said("holds no private key")


def test_a_machine_that_is_off(owner: Owner) -> None:
    owner.ask()
    owner.said("can't be reached by SSH")


def test_a_command_that_fails_is_repeated(owner: Owner, box: Box) -> None:
    box.file("/etc/refuse").touch()
    owner.ask()
    with box.serving():
        owner.until("set up", lambda: box.file("/etc/joined").exists())
    assert not box.file("/etc/refuse").exists()


def test_a_machine_that_is_another_node_already(owner: Owner, box: Box) -> None:
    folder = box.file("/var/lib/kubeception")
    folder.mkdir()
    (folder / "machine").write_text("others-1\n")
    owner.ask()
    with box.serving():
        owner.said("it is node others-1 already")
        owner.ask(replicas=0)
        owner.until("its end", lambda: not owner.records())
    assert (folder / "machine").read_text() == "others-1\n"
    assert not box.file("/etc/resets").exists()


def test_what_is_missing_on_a_machine_is_said_at_once(owner: Owner, box: Box) -> None:
    programs = [box.file(f"/usr/local/bin/{name}") for name in ("kubeadm", "kubelet")]
    for program in programs:
        program.rename(program.with_suffix(".away"))
    try:
        owner.ask()
        with box.serving():
            owner.said("not installed: kubeadm kubelet")
    finally:
        for program in programs:
            program.with_suffix(".away").rename(program)


def test_a_line_for_a_machine_that_nobody_reaches(
    owner: Owner, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.ask(keySecretRef=None)
    owner.step(2)
    (record,) = owner.records()
    name = record["metadata"]["name"]
    with Engine(owner.host, "default", owner.name) as engine:
        monkeypatch.setattr(engine, "link", Straight(owner.tenant))
        with pytest.raises(NotFoundError, match=r"no machine at .* waits"):
            join_command(engine, owner.pool, "198.51.100.9")
        first = join_command(engine, owner.pool)
        made = join_command(engine, owner.pool)
    assert (made.machine, made.address) == (name, box.address)
    assert first.line != made.line
    (token,) = [token for machine, token in owner.tokens().items() if machine == name]
    expires = base64.b64decode(token["data"]["expiration"]).decode()
    assert timedelta() < datetime.fromisoformat(expires) - owner.clock() <= timedelta(minutes=15)
    with box.serving(), connect(Target(box.address, 22, "root", box.key)) as somebody:
        ran = somebody.run("sh", made.line)
    assert ran.code == 0, ran.output
    joined = yaml.safe_load(box.file("/etc/joined").read_text())
    assert joined["nodeRegistration"]["name"] == name
    owner.join(name)
    owner.step(2)
    assert {"type": "InternalIP", "address": box.address} in owner.node(name)["status"]["addresses"]
    owner.ask(replicas=0, keySecretRef=None)
    owner.until("its end", lambda: not owner.records())


def test_the_kernel_takes_the_rules_of_the_way_outside(box: Box) -> None:
    outside = Endpoint("10.96.0.10", "203.0.113.10", 30443, tunnel_port=30132)
    rules = forward(outside, "10.100.0.1")
    argv = ("ip", "netns", "exec", box.namespace, "nft", "-f", "-")
    for _ in range(2):  # a second time changes nothing
        subprocess.run(argv, input=rules, text=True, check=True)
    listed = run("ip", "netns", "exec", box.namespace, "nft", "list", "table", "ip", "kubeception")
    assert "10.96.0.10 . 8132 : 203.0.113.10 . 30132" in listed
    assert listed.count("dnat ip to") == 2
