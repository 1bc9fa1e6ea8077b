"""What somebody runs on a machine that nobody here can reach, to make it a node."""

import base64
import gzip
from dataclasses import dataclass
from functools import partial

from kubeception import names
from kubeception.api.v1alpha1 import NodePool
from kubeception.engine.follow import once
from kubeception.engine.machines import new_token
from kubeception.engine.parallel import together
from kubeception.engine.reconcile import REACH_SECONDS, Engine
from kubeception.engine.tokens import LIFE
from kubeception.errors import NotFoundError, UsageError, WaitTimeoutError
from kubeception.kube.client import Cluster
from kubeception.plan.bootstrap import TOKEN_NAMESPACE, node_bootstrap, token_secret
from kubeception.plan.context import PlanContext
from kubeception.plan.script import script
from kubeception.plan.way import forward
from kubeception.providers.base import Machine, Phase


@dataclass(frozen=True)
class JoinCommand:
    """One line for root's shell, and where it belongs."""

    machine: str
    address: str
    line: str
    """Holds the CA and a bootstrap token: good for a quarter of an hour, in the place of the machine's earlier one."""


def join_command(engine: Engine, pool_name: str, address: str = "") -> JoinCommand:
    """The line for a machine of the pool that is no node yet: the one at `address`, if that is said.

    Raises NotFoundError where no machine waits, UsageError for a pool whose machines need none, and
    WaitTimeoutError where the tenant's API server doesn't answer.
    """
    ctx = engine.context()
    pool = next((pool for pool in ctx.pools if pool.name == pool_name), None)
    if pool is None:
        known = ", ".join(pool.name for pool in ctx.pools) or "none"
        raise NotFoundError(f"{engine.name} has no NodePool {pool_name}", hint=f"It has: {known}.")
    if pool.spec.ssh is None or pool.spec.ssh.key_secret_ref is not None:
        raise UsageError(
            f"NodePool {pool.name}: its machines join by themselves",
            hint="This is for pools with provider ssh and no spec.ssh.keySecretRef.",
        )
    once(engine)  # which counts the machines that the pool has by now
    machine = _waiting(engine, pool, address)
    tenant = engine.link.wait(ctx, REACH_SECONDS)
    if tenant is None or ctx.endpoint is None:
        raise WaitTimeoutError(
            f"the API server of {engine.name} does not answer",
            hint=f"kubeception doctor {engine.name}",
        )
    boot = node_bootstrap(ctx, pool, machine.name, _token(ctx, tenant, machine.name))
    packed = gzip.compress(
        script(boot, forward(ctx.endpoint, ctx.network.api_ip)).encode(), mtime=0
    )
    line = f"echo {base64.b64encode(packed).decode()} | base64 -d | gunzip | sh"
    return JoinCommand(machine.name, machine.address, line)


def _waiting(engine: Engine, pool: NodePool, address: str) -> Machine:
    """The first machine of a pool, by its name, that is no node yet."""
    found = [state.machine for state in engine.machines() if state.machine.pool == pool.name]
    found = [m for m in found if m.phase is Phase.RUNNING and not m.joined_instance]
    found = [m for m in found if address in ("", m.address)]
    if not found:
        where = f" at {address}" if address else ""
        raise NotFoundError(
            f"NodePool {pool.name}: no machine{where} waits to join",
            hint=f"`kubeception nodes {engine.name}` shows those there are.",
        )
    return min(found, key=lambda machine: machine.name)


def _token(ctx: PlanContext, tenant: Cluster, machine: str) -> str:
    """A new bootstrap token for the machine; it has no other any more."""
    token = new_token(ctx)
    labels = {names.MACHINE_LABEL: machine, names.BY_HAND_LABEL: "true"}
    old = tenant.list("Secret", TOKEN_NAMESPACE, labels=f"{names.MACHINE_LABEL}={machine}")
    together(
        partial(tenant.delete, "Secret", secret["metadata"]["name"], TOKEN_NAMESPACE)
        for secret in old
    )
    expires = (ctx.facts.now + LIFE).strftime("%Y-%m-%dT%H:%M:%SZ")
    tenant.create(token_secret(token, machine, expires, labels))
    return token
