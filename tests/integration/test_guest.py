"""Scripts of a node's disk, run over a folder in place of a machine's root."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeception.components.machines import machine_bootstrap
from kubeception.lab import guest
from kubeception.plan.bootstrap import Bootstrap, File, node_bootstrap
from kubeception.plan.control_plane import members, pool_of
from tests.plans import case, plan, pool


def test_a_machine_asks_for_name_servers_until_it_has_one(tmp_path: Path) -> None:
    facts = tmp_path / "run/systemd/netif/state"
    template = tmp_path / "etc/containerd/cni.conf.template"
    for path, text in (
        (facts, "OPER_STATE=routable\nDNS=\n"),
        (tmp_path / "sys/class/net/eth0/mtu", "1450\n"),
        (template, '"mtu": 1234,\n'),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    argv = ["sh", str(guest.FILES / "usr/local/sbin/network-facts"), str(tmp_path)]
    with subprocess.Popen(argv) as script:
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                script.wait(0.3)
            assert template.read_text() == '"mtu": 1400,\n'
            assert (tmp_path / "etc/resolv.conf").read_text() == ""
            facts.write_text("OPER_STATE=routable\nDNS=192.0.2.1 2001:db8::1\n")
            assert script.wait(10) == 0
        finally:
            script.kill()
    servers = (tmp_path / "etc/resolv.conf").read_text()
    assert servers == "nameserver 192.0.2.1\nnameserver 2001:db8::1\n"
    assert template.read_text() == '"mtu": 1400,\n'


def test_what_can_wait_waits_for_idle_processors(tmp_path: Path) -> None:
    load = tmp_path / "loadavg"
    argv = ["sh", str(guest.FILES / "usr/local/sbin/wait-for-leisure"), str(load)]
    load.write_text("0.99 9999.00 9999.00 1/1 1\n")
    subprocess.run(argv, check=True, timeout=5)
    load.write_text("9999.00 0.00 0.00 1/1 1\n")
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(argv, check=True, timeout=1)


@dataclass(frozen=True)
class Machine:
    """A root folder, and a seed as KubeVirt gives it."""

    root: Path
    seed: Path

    def boots(self, user_data: str, instance: str = "one", *, network: str = "") -> bool:
        """Whether cloud-init has nothing to do when it boots with this."""
        (self.root / "run/seeded").unlink(missing_ok=True)
        (self.seed / "user-data").write_text(user_data)
        (self.seed / "meta-data").write_text(json.dumps({"instance-id": instance}))
        if network:
            (self.seed / "network-config").write_text(network)
        argv = [
            sys.executable,
            str(guest.FILES / "usr/local/sbin/seed"),
            str(self.root),
            str(self.seed),
        ]
        subprocess.run(argv, check=True, timeout=30)
        return (self.root / "run/seeded").exists()

    def says(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path / "root", tmp_path / "seed")
    for folder in ("proc/sys/kernel", "run"):
        (made.root / folder).mkdir(parents=True)
    (made.root / "proc/cmdline").write_text("console=ttyS0 network-config=disabled\n")
    made.seed.mkdir()
    return made


def wanted(*commands: tuple[str, ...], hostname: str = "n1", **more: Any) -> str:
    files = (
        File("/etc/token", "käse: 1\n", "0600"),
        File("/usr/local/sbin/x", "#!/bin/sh", "0755"),
    )
    said = Bootstrap(hostname, files, commands).cloud_config()
    return said + yaml.safe_dump(more) if more else said


ADDED = {
    "packages": ["jq"],
    "commands": [["true"]],
    "sshAuthorizedKeys": [
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me"
    ],
}


def worker(**spec: Any) -> Bootstrap:
    return node_bootstrap(plan(), pool(1, **spec), "n1", "abcdef.0123456789abcdef")


def control_plane() -> Bootstrap:
    ctx = case("machines")
    own = pool_of(ctx)
    assert own
    return replace(machine_bootstrap(ctx, own, members(ctx)[0]), hostname="n1")


@pytest.mark.parametrize(
    ("bootstrap", "way"),
    [(worker(), ""), (worker(userData=ADDED), "table ip x {}"), (control_plane(), "")],
    ids=["worker", "with additions", "control plane"],
)
def test_what_a_machine_begins_with_is_done_without_cloud_init(
    machine: Machine, bootstrap: Bootstrap, way: str
) -> None:
    whole = replace(bootstrap.on_systemd(way), commands=(("true",),))
    assert machine.boots(whole.cloud_config())
    assert machine.says("/etc/hostname") == "n1\n"
    assert machine.says("/proc/sys/kernel/hostname") == "n1"
    for file in whole.files:
        assert machine.says(file.path) == file.content
        assert (machine.root / file.path[1:]).stat().st_mode & 0o777 == int(file.mode, 8)


def test_files_are_written_once_for_an_instance_and_commands_run_at_each_boot(
    machine: Machine, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    say = ("sh", "-c", f"echo boot >>{ran}")
    assert machine.boots(wanted(("false",), ("no-such-program",), say))
    (machine.root / "etc/token").unlink()  # as a node does with what it joined by
    assert machine.boots(wanted(say))
    assert not (machine.root / "etc/token").exists()
    assert machine.boots(wanted(say), "two")
    assert machine.says("/etc/token") == "käse: 1\n"
    assert ran.read_text() == "boot\n" * 3


@pytest.mark.parametrize(
    "more",
    [
        {"runcmd": [["true"]]},
        {"users": ["default"]},
        {"ssh_authorized_keys": ["ssh-ed25519 AAAA me"]},
        {"manage_etc_hosts": True},
        {"cloud_init_modules": ["set_hostname", "write_files", "bootcmd", "growpart"]},
        {
            "write_files": [
                {"path": "/a", "content": "Yg==", "permissions": "0644", "encoding": "b64"}
            ]
        },
        {"bootcmd": ["a line for a shell"]},
    ],
    ids=lambda more: str(next(iter(more))),
)
def test_what_is_not_known_is_left_to_cloud_init_with_all_the_rest(
    machine: Machine, more: dict[str, Any]
) -> None:
    assert not machine.boots(wanted(("true",), **more))
    assert not (machine.root / "etc").exists()


def test_so_is_a_script_and_a_network(machine: Machine) -> None:
    assert not machine.boots("#!/bin/sh\ntrue\n")
    assert machine.boots(wanted(("true",)), network="version: 2\n")
    (machine.root / "proc/cmdline").write_text("console=ttyS0\n")
    assert not machine.boots(wanted(("true",)), network="version: 2\n")
