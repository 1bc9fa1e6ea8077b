"""A tenant cluster and all that are in it, as commands take them with --cascade."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from kubeception.cli.host import Host
    from kubeception.kube.client import Object

LOOK_SECONDS: Final = 3.0
"""How long the API server of one of them may take to say which tenants it has."""


@dataclass(frozen=True)
class Member:
    """One of them, and where it is."""

    host: "Host"
    cluster: "Object"

    @property
    def title(self) -> str:
        """Its path."""
        return self.host.path_of(self.cluster["metadata"]["name"])

    @property
    def uid(self) -> str:
        return str(self.cluster["metadata"]["uid"])


def subtree(host: "Host", namespace: str, name: str, fate: str) -> list[Member]:
    """All of them, the innermost first, the cluster of that name last.

    What is in one that can't be reached is not among them; `fate` is what is said to become of it.
    """
    from kubeception.cli.host import enter
    from kubeception.cli.tenant import find
    from kubeception.cli.tree import in_machines
    from kubeception.errors import KubeceptionError

    known = find(host.cluster, namespace, name)
    this = Member(host, known)
    if not ((known.get("status") or {}).get("nodes") or in_machines(known)):
        return [this]
    try:
        there = enter(host, namespace, name, LOOK_SECONDS)
        found = there.cluster.list("TenantCluster")
    except KubeceptionError:
        click.echo(f"{this.title}: its API server does not answer: {fate}.", err=True)
        return [this]
    inner = [subtree(there, o["metadata"]["namespace"], o["metadata"]["name"], fate) for o in found]
    return [*(each for branch in inner for each in branch), this]
