"""How many requests a kube-apiserver works on at once: as many as its memory is for."""

from collections.abc import Mapping
from typing import Any, Final

from kubeception.plan.quantity import octets

OCTETS: Final = 6 << 20
"""Of its memory limit for each request at work: a write of 0.9 MB takes 4.9 MiB, and there is what it has at rest."""
LEAST: Final = 120
"""However little memory: of fewer, no level of priority has enough to be worth the name."""
MUTATING: Final = 3
"""One of so many requests may be one that writes, as in Kubernetes' own 400 and 200."""
GOAWAY: Final = "0.001"
"""The chance that a client is asked to connect anew, and so comes to another replica: where the flag's help starts."""


def limits(container: Mapping[str, Any], replicas: int) -> dict[str, str]:
    """Flags of a kube-apiserver by the memory limit of its container, and how many replicas there are of it.

    Kubernetes' own numbers know nothing of memory. With API Priority and Fairness, which is on in all versions here,
    their sum is what is shared out among the levels of priority, and what finds no room waits before it is refused.
    A processor isn't counted: the container is limited in none, and a request of processors bounds nothing. With one
    replica a client that connects anew comes to the same, so none is asked to.

    Source: https://kubernetes.io/docs/concepts/cluster-administration/flow-control/ and
    https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/
    """
    total = max(LEAST, octets(container["resources"]["limits"]["memory"]) // OCTETS)
    mutating = total // MUTATING
    found = {
        "max-mutating-requests-inflight": str(mutating),
        "max-requests-inflight": str(total - mutating),
    }
    return {**found, "goaway-chance": GOAWAY} if replicas > 1 else found
