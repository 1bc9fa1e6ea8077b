"""What all kinds of machines have in common."""

from typing import Any

import pytest

from kubeception.errors import SpecError
from kubeception.plan.bootstrap import Bootstrap
from kubeception.providers.kubevirt import KubeVirt
from kubeception.providers.pod import PodProvider
from tests.plans import plan, pool

BOOT = Bootstrap("demo-1", (), ())
MODES = [
    ({}, "Default", []),
    ({"hostDNS": True}, "ClusterFirst", []),
    ({"nameservers": ["192.0.2.53", "2001:db8::53"]}, "None", ["192.0.2.53", "2001:db8::53"]),
]


@pytest.mark.parametrize(("networking", "policy", "servers"), MODES)
def test_names_come_from_the_host_cluster_only_where_that_is_asked_for(
    networking: dict[str, Any], policy: str, servers: list[str]
) -> None:
    ctx = plan({"networking": networking})
    vm = KubeVirt().render(ctx, pool(1), "demo-1", BOOT)[1]["spec"]["template"]["spec"]
    pod = PodProvider().render(ctx, pool(1, provider="pod"), "demo-1", BOOT)[1]["spec"]
    for spec in (vm, pod):
        assert spec["dnsPolicy"] == policy
        assert spec.get("dnsConfig", {}).get("nameservers", []) == servers


@pytest.mark.parametrize("server", ["127.0.0.53", "::1", "0.0.0.0", "224.0.0.251", "dns", "1.2.3"])
def test_a_name_server_is_an_address_of_somebody_else(server: str) -> None:
    with pytest.raises(SpecError, match=r"networking.nameservers\[1\]"):
        plan({"networking": {"nameservers": ["192.0.2.1", server]}})


def test_names_come_from_one_place() -> None:
    with pytest.raises(SpecError, match="with hostDNS they are the host's"):
        plan({"networking": {"nameservers": ["192.0.2.1"], "hostDNS": True}})
