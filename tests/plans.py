"""Tenants for tests: the cases of `tests/cases`, planned with fixed keys at a fixed time."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from kubeception.api.v1alpha1 import NodePool, TenantCluster, parse_cluster, parse_pool
from kubeception.components.base import Component
from kubeception.components.paper import on_paper
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Facts, Object
from kubeception.plan.keys import KeySource
from kubeception.plan.offline import offline_facts

NOW: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CASES: Final = {
    path.stem: path for path in sorted(Path(__file__).with_name("cases").glob("*.yaml"))
}


class FixedKeys:
    """The same keys every time; good for nothing but tests."""

    def _octets(self, purpose: str, size: int) -> bytes:
        return hashlib.shake_256(f"for tests: {purpose}".encode()).digest(size)

    def private_key(self, purpose: str) -> ec.EllipticCurvePrivateKey:
        # 31 octets are less than the order of P-256.
        number = int.from_bytes(self._octets(purpose, 31))
        return ec.derive_private_key(number, ec.SECP256R1())

    def serial_number(self, purpose: str) -> int:
        return int.from_bytes(self._octets(f"serial {purpose}", 8))

    def random_bytes(self, purpose: str, size: int) -> bytes:
        return self._octets(purpose, size)


def tenant(spec: dict[str, Any] | None = None, name: str = "demo") -> TenantCluster:
    """A TenantCluster of this spec."""
    return parse_cluster({"metadata": {"name": name, "uid": f"uid-of-{name}"}, "spec": spec or {}})


def pool(replicas: int, **spec: Any) -> NodePool:
    """A NodePool of `tenant()`."""
    return parse_pool(
        {
            "metadata": {"name": "demo"},
            "spec": {"clusterRef": {"name": "demo"}, "replicas": replicas, **spec},
        }
    )


def plan(
    spec: dict[str, Any] | None = None,
    *,
    pools: tuple[NodePool, ...] = (),
    facts: Facts | None = None,
    keys: KeySource | None = None,
) -> PlanContext:
    """A context of `tenant(spec)`, on the host that exists only on paper unless other facts are given."""
    cluster = tenant(spec)
    return PlanContext(cluster, pools, facts or offline_facts(cluster, NOW), keys or FixedKeys())


def case(name: str) -> PlanContext:
    """A case of `tests/cases`, where nothing stands yet."""
    cluster, *pools = yaml.safe_load_all(CASES[name].read_text())
    parsed = parse_cluster(cluster)
    facts = offline_facts(parsed, NOW)
    return PlanContext(parsed, tuple(map(parse_pool, pools)), facts, FixedKeys())


def in_pods() -> list[str]:
    """The names of the cases whose control plane is pods of the host."""
    return [name for name in CASES if not case(name).spec.control_plane.in_machines]


def applied(ctx: PlanContext) -> list[tuple[Component, list[Object]]]:
    """What each component wants, each planned after the host has stored what came before."""
    return on_paper(ctx)[0]


def everything(ctx: PlanContext) -> list[Object]:
    """All objects of all components."""
    return [obj for _, objects in applied(ctx) for obj in objects]


def find(objects: list[Object], kind: str, name: str) -> Object:
    """The one object of this kind and name."""
    (found,) = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found
