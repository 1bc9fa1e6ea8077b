"""Where nodes come from: each provider turns a machine's name and its bootstrap into something that boots."""

from kubeception.errors import UsageError
from kubeception.providers.base import NodeProvider
from kubeception.providers.kubevirt import KubeVirt

PROVIDERS: dict[str, NodeProvider] = {"kubevirt": KubeVirt()}


def provider(name: str) -> NodeProvider:
    """The provider of this name.

    Raises UsageError for a name nobody provides.
    """
    if name not in PROVIDERS:
        raise UsageError(f"no node provider {name!r}", hint=f"There are: {', '.join(PROVIDERS)}.")
    return PROVIDERS[name]
