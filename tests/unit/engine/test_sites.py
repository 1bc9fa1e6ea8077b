from types import SimpleNamespace
from typing import Any

import pytest

from kubeception.engine.sites import may_dial
from kubeception.plan.facts import HostFacts

FACTS = HostFacts(
    pod_cidrs=("10.244.0.0/16",), service_cidrs=("10.96.0.0/12",), node_addresses=("192.0.2.5",)
)


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("10.244.3.4", False),
        ("10.96.0.1", False),
        ("192.0.2.5", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("192.0.2.9", False),
        ("198.51.100.7", True),
    ],
)
def test_what_is_the_hosts_is_not_dialled(address: str, may: bool) -> None:
    host: Any = SimpleNamespace(server="https://192.0.2.9:6443")
    assert may_dial(host, FACTS, address) is may
