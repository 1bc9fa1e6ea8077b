"""The clusters that a host is in, as far as whoever makes clusters in it must know: which addresses they use.

Written into each tenant for its own tenants, outermost cluster first. What a tenant's administrator makes of it
changes nothing but where that tenant's own tenants look for free ranges.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any, Final

from kubeception.plan.facts import HostFacts, Level, Object

NAME: Final = "kubeception-lineage"
NAMESPACE: Final = "kube-system"
KEY: Final = "levels.json"
DEEPEST: Final = 32
"""Levels that are read."""
RANGES: Final = 256
"""Ranges of one level that are read: nodes may lie anywhere."""
NODE_PREFIX, NODE_PREFIX6 = 24, 64
"""Nodes are told by the networks they are in, so that one more or less is no news."""


def levels(host: HostFacts) -> tuple[Level, ...]:
    """What is above a tenant of this host: what is above the host, and the host."""
    return (*host.above, Level(host.pod_cidrs, host.service_cidrs, _nodes(host.node_addresses)))


def document(host: HostFacts) -> str:
    """The same as it is written into a tenant."""
    return json.dumps([asdict(level) for level in levels(host)], indent=1)


def parse(config_map: Object | None) -> tuple[Level, ...]:
    """What is above a host, by what was written into it; nothing above one that is nobody's tenant.

    What can't be read counts as nothing said: it is the host's administrators' own.
    """
    try:
        found = json.loads((config_map or {}).get("data", {}).get(KEY) or "[]")
        return tuple(_level(each) for each in found[:DEEPEST])
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return ()


def _level(found: dict[str, Any]) -> Level:
    return Level(*(_ranges(found.get(key) or ()) for key in ("pods", "services", "nodes")))


def _ranges(texts: Iterable[str]) -> tuple[str, ...]:
    """Those that are ranges; raises ValueError for what is none."""
    return tuple(str(ip_network(text)) for text in list(texts)[:RANGES])


def _nodes(addresses: Iterable[str]) -> tuple[str, ...]:
    """The networks these addresses are in; host names are in none."""
    four: set[IPv4Network] = set()
    six: set[IPv6Network] = set()
    for text in addresses:
        try:
            address = ip_network(text)
        except ValueError:
            continue
        if isinstance(address, IPv4Network):
            four.add(address.supernet(new_prefix=NODE_PREFIX))
        else:
            six.add(address.supernet(new_prefix=NODE_PREFIX6))
    return (*map(str, collapse_addresses(four)), *map(str, collapse_addresses(six)))
