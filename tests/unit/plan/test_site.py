from typing import Any

import pytest

from kubeception import names
from kubeception.api.v1alpha1 import NodePool
from kubeception.errors import SpecError
from kubeception.plan.site import Site, left_behind, problems, record, recorded, site_of
from tests.plans import plan, pool, tenant

ELSEWHERE = {"infraKubeconfigSecretRef": {"name": "infra"}, "infraNamespace": "workers"}


def remote(**options: Any) -> NodePool:
    return pool(1, kubevirt={**ELSEWHERE, **options})


def test_a_pool_is_in_the_host_unless_it_says_otherwise() -> None:
    assert site_of(pool(1)) is None
    assert site_of(pool(1, kubevirt={"cpus": 2})) is None
    assert site_of(remote()) == Site("demo", "infra", "workers")


@pytest.mark.parametrize("missing", ELSEWHERE)
def test_secret_and_namespace_go_together(missing: str) -> None:
    said = {key: value for key, value in ELSEWHERE.items() if key != missing}
    with pytest.raises(SpecError, match="the one needs the other"):
        pool(1, kubevirt=said)


def test_a_record_says_what_it_is_of() -> None:
    site = Site("demo", "infra", "workers")
    written = record(plan(), site, "https://infra.example.org")
    assert recorded(written) == site
    assert written["metadata"]["finalizers"] == [names.FINALIZER]
    said = left_behind(written)
    assert "namespace workers of https://infra.example.org" in said
    assert f"{names.SITE_LABEL}={site.name}" in said
    assert recorded({**written, "kind": "Secret"}) is None


def test_other_places_have_other_records() -> None:
    sites = [Site("a", "b", "c"), Site("a", "b", "d"), Site("a", "e", "c"), Site("f", "b", "c")]
    assert len({site.name for site in sites}) == len(sites)


@pytest.mark.parametrize(
    ("exposure", "said"),
    [
        ({"type": "ClusterIP"}, "inside the host only"),
        ({"type": "LoadBalancer", "host": "api.example.org"}, "is not an IPv4 address"),
        ({"type": "LoadBalancer"}, ""),
        ({"type": "NodePort", "host": "198.51.100.1"}, ""),
    ],
)
def test_an_api_server_that_machines_elsewhere_do_not_reach(
    exposure: dict[str, str], said: str
) -> None:
    found = list(problems(tenant({"exposure": exposure}).spec, [pool(1), remote()]))
    assert bool(found) is bool(said)
    assert all(said in line for line in found)


def test_an_api_server_in_a_machine_has_no_tunnel_to_machines_elsewhere() -> None:
    spec = tenant({"controlPlane": {"provider": "kubevirt"}}).spec
    (found,) = problems(spec, [pool(1), remote()])
    assert "infraKubeconfigSecretRef: machines there can't be reached by the API server" in found


def test_the_pool_of_a_machine_is_in_its_name() -> None:
    assert names.pool_of(names.machine("my-pool-1", b"\x01\x02\x03\x04")) == "my-pool-1"
