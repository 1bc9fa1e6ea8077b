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
        (template, '"mtu": 1400,\n'),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    argv = ["sh", str(guest.FILES / "usr/local/sbin/network-facts"), str(tmp_path)]
    with subprocess.Popen(argv) as script:
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                script.wait(0.3)
            facts.write_text("OPER_STATE=routable\nDNS=192.0.2.1 2001:db8::1\n")
            assert script.wait(10) == 0
        finally:
            script.kill()
    servers = (tmp_path / "etc/resolv.conf").read_text()
    assert servers == "nameserver 192.0.2.1\nnameserver 2001:db8::1\n"
    assert template.read_text() == '"mtu": 1400,\n'
