"""Scripts of a node's disk, run over a folder in place of a machine's root."""

import subprocess
from pathlib import Path

import pytest

from kubeception.lab import guest


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
