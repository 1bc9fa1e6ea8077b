"""Names for a shell's completion: asked of the host at once, or not at all."""

from pathlib import Path

from kubeception.kube.kubeconfig import default_paths, load, origin
from kubeception.kube.quick import get_json

SECONDS = 0.25
"""How long a person pressing the Tab key waits for a host."""
PATH = "/apis/kubeception.io/v1alpha1/namespaces/{}/tenantclusters?limit=200"


def tenant_names(kubeconfig: Path | None, context: str | None, namespace: str) -> list[str]:
    """The tenant clusters of a host's namespace."""
    config = load((kubeconfig,) if kubeconfig else default_paths())
    name = context or config.current
    known = None if context else origin(config.context(name))
    if known is not None:
        config = load((Path(known.kubeconfig),) if known.kubeconfig else default_paths())
        name = known.context or config.current
    found = get_json(config.select(name), PATH.format(namespace), SECONDS)
    return [item["metadata"]["name"] for item in found.get("items", ())]
