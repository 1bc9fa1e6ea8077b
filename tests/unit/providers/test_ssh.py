from dataclasses import replace
from typing import Any

import pytest

from kubeception import names
from kubeception.api.v1alpha1 import NodePool
from kubeception.errors import SpecError
from kubeception.plan.bootstrap import Bootstrap
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object
from kubeception.providers.base import Phase
from kubeception.providers.ssh import Ssh
from tests.plans import plan, pool

BOOT = Bootstrap("demo-1", (), ())
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDvl"


def machines(*addresses: str, replicas: int = 1, **options: Any) -> NodePool:
    block = {
        "keySecretRef": {"name": "key"},
        "machines": [{"address": address} for address in addresses],
        **options,
    }
    return pool(replicas, provider="ssh", ssh=block)


def made(found: list[Object], ctx: PlanContext) -> PlanContext:
    """The context after the host has stored these."""
    return replace(ctx, facts=ctx.facts.with_objects(found))


def record(data: dict[str, str], **meta: Any) -> Object:
    labels = {
        names.MACHINE_LABEL: "demo-1",
        names.POOL_LABEL: "demo",
        names.PROVIDER_LABEL: "ssh",
    }
    named = {"name": "demo-1", "uid": "u", "creationTimestamp": "2026-01-02T03:04:05Z"}
    return {
        "kind": "ConfigMap",
        "metadata": {**named, "labels": labels, **meta},
        "data": {"address": "198.51.100.7", "port": "22", **data},
    }


def test_a_machine_is_a_record_and_a_script_that_stays_out_of_it() -> None:
    ctx = plan()
    given = machines(replicas=1, machines=[{"address": "198.51.100.7", "hostKey": KEY}])
    seed, found = Ssh().render(ctx, given, "demo-1", BOOT)
    assert found["data"] == {
        "address": "198.51.100.7",
        "port": "22",
        "user": "root",
        "keySecret": "default/key",
        "hostKey": KEY,
    }
    assert names.FINALIZER in found["metadata"]["finalizers"]
    assert "begin demo-1" in seed["stringData"]["script"]
    assert {obj["metadata"]["namespace"] for obj in (seed, found)} == {ctx.nodes_namespace}


def test_without_a_key_nobody_is_dialled() -> None:
    ctx = plan()
    given = pool(1, provider="ssh", ssh={"machines": [{"address": "198.51.100.7"}]})
    (found,) = Ssh().render(ctx, given, "demo-1", BOOT)
    assert "finalizers" not in found["metadata"]
    there = record(found["data"])
    assert Ssh().tend(None, made([there], replace(ctx, pools=(given,)))) == []  # type: ignore[arg-type]
    (machine,) = Ssh().machines([there])
    assert (machine.phase, machine.message) == (
        Phase.RUNNING,
        "waits for `kubeception join-command demo`",
    )


def test_each_machine_of_the_inventory_is_one_node() -> None:
    ctx, given = plan(), machines("198.51.100.7", "198.51.100.8", replicas=2)
    addresses = []
    for name in ("demo-1", "demo-2"):
        found = Ssh().render(ctx, given, name, BOOT)
        addresses.append(found[1]["data"]["address"])
        ctx = made(found, ctx)
    assert addresses == ["198.51.100.7", "198.51.100.8"]
    assert Ssh().render(ctx, given, "demo-3", BOOT) == []


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"replicas": 2, "addresses": ("198.51.100.7",)}, "replicas: 2 asked for"),
        ({"addresses": ("127.0.0.1",)}, "127.0.0.1 is no address of a machine elsewhere"),
        ({"addresses": ("169.254.169.254",)}, "is no address of a machine elsewhere"),
        ({"addresses": ("0.0.0.0",)}, "is no address of a machine elsewhere"),
        ({"addresses": ("224.0.0.1",)}, "is no address of a machine elsewhere"),
        ({"addresses": ("evil.example",)}, "is not an IPv4 address"),
        ({"addresses": ("198.51.100.7",) * 2}, "198.51.100.7:22: more than once"),
        ({"addresses": ("198.51.100.7",), "user": "a;b"}, "spec.ssh.user"),
    ],
)
def test_what_an_inventory_may_not_say(given: dict[str, Any], problem: str) -> None:
    addresses = given.pop("addresses")
    with pytest.raises(SpecError) as caught:
        machines(*addresses, **given)
    assert problem in "\n".join(caught.value.problems)


def test_a_pool_of_machines_without_machines() -> None:
    with pytest.raises(SpecError, match="ssh: is missing"):
        pool(1, provider="ssh")


def test_addresses_of_the_host_itself_are_not_dialled() -> None:
    ctx = plan()
    for address in ("10.244.1.2", "10.96.0.1", *ctx.facts.host.node_addresses):
        with pytest.raises(SpecError, match="is one of the host cluster's own"):
            Ssh().check(ctx, machines(address))
    Ssh().check(ctx, machines("198.51.100.7"))


def test_nothing_is_dialled_where_no_administrator_allowed_it() -> None:
    ctx = plan()
    home = {"kind": "Namespace", "metadata": {"name": "default", "labels": {}}}
    refused = made([home], ctx)
    with pytest.raises(SpecError, match="not allowed in default") as caught:
        Ssh().check(refused, machines("198.51.100.7"))
    assert f"{names.ALLOW_SSH_NODES}=true" in caught.value.hint
    fresh = record({"keySecret": "default/key"})
    assert Ssh().tend(None, made([fresh], replace(ctx, pools=(machines("198.51.100.7"),))))  # type: ignore[arg-type]
    pools = replace(refused, pools=(machines("198.51.100.7"),))
    assert Ssh().tend(None, made([fresh], pools)) == []  # type: ignore[arg-type]


def test_a_machine_that_joined_is_left_alone() -> None:
    ctx = plan(pools=(machines("198.51.100.7"),))
    joined = record({"keySecret": "default/key"}, annotations={names.INSTANCE_ANNOTATION: "u"})
    assert Ssh().tend(None, made([joined], ctx)) == []  # type: ignore[arg-type]
    going = record({}, deletionTimestamp="2026-01-02T03:04:05Z")
    assert len(Ssh().tend(None, made([going], ctx))) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "meta", "phase"),
    [
        ({"keySecret": "default/key"}, {}, Phase.PENDING),
        ({"keySecret": "default/key", "state": "started"}, {}, Phase.RUNNING),
        ({"state": "started"}, {"deletionTimestamp": "2026-01-02T03:04:05Z"}, Phase.REMOVING),
    ],
)
def test_phases(data: dict[str, str], meta: dict[str, Any], phase: Phase) -> None:
    (machine,) = Ssh().machines([record(data, **meta)])
    assert (machine.phase, machine.address, machine.provider) == (phase, "198.51.100.7", "ssh")
