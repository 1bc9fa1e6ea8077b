from pathlib import Path

import pytest

from kubeception.lab import network
from kubeception.lab.network import masquerade, with_prefix
from kubeception.lab.state import Lab

LAB = Lab("lab", 1, Path("/state/lab"))


def test_only_what_leaves_the_lab_is_masqueraded() -> None:
    rule = masquerade(LAB).splitlines()[5].strip()
    assert rule == (
        "ip saddr 10.200.1.0/24 ip daddr != { 10.200.1.0/24, 10.209.0.0/16, 10.201.16.0/20 } masquerade"
    )


def test_the_table_is_replaced_in_one_transaction() -> None:
    lines = masquerade(LAB).splitlines()
    assert lines[:2] == ["table ip kubeception-lab", "delete table ip kubeception-lab"]


def test_addresses_carry_the_prefix_of_the_nodes_range() -> None:
    assert with_prefix(LAB, LAB.machine) == "10.200.1.1/24"


@pytest.fixture
def forwarding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    setting = tmp_path / "ip_forward"
    monkeypatch.setattr(network, "FORWARDING", setting)
    return setting


def test_forwarding_is_put_back_as_it_was(forwarding: Path, tmp_path: Path) -> None:
    forwarding.write_text("0\n")
    network.open_forwarding(tmp_path / "note")
    network.open_forwarding(tmp_path / "note")
    assert forwarding.read_text() == "1"
    network.close_forwarding(tmp_path / "note")
    assert forwarding.read_text() == "0"
    assert not (tmp_path / "note").exists()


def test_forwarding_that_was_on_stays_on(forwarding: Path, tmp_path: Path) -> None:
    forwarding.write_text("1\n")
    network.open_forwarding(tmp_path / "note")
    network.close_forwarding(tmp_path / "note")
    assert forwarding.read_text() == "1\n"
