"""Whether a host can run machines: KubeVirt's own object on a real API server, nobody behind it."""

from collections.abc import Iterator

import pytest

from kubeception import names
from kubeception.errors import KubeceptionError
from kubeception.kube.client import Cluster
from kubeception.providers import provider
from tests.integration.conftest import serve

NAMESPACE = "default"


@pytest.fixture
def kubevirt(virtual_host: Cluster) -> Iterator[Cluster]:
    """A host with a KubeVirt that doesn't say yet how it is."""
    serve(virtual_host, "kubevirts", "KubeVirt")
    meta = {"name": "kubevirt", "namespace": NAMESPACE}
    virtual_host.apply({"apiVersion": "kubevirt.io/v1", "kind": "KubeVirt", "metadata": meta})
    yield virtual_host
    virtual_host.delete("KubeVirt", "kubevirt", NAMESPACE)


def is_deployed(host: Cluster, version: str) -> None:
    status = {"phase": "Deployed", "observedKubeVirtVersion": version}
    host.patch("KubeVirt", "kubevirt", {"status": status}, NAMESPACE, subresource="status")


def accept(host: Cluster, version: str | None) -> None:
    change = {"metadata": {"annotations": {names.ACCEPTED_ANNOTATION: version}}}
    host.patch("KubeVirt", "kubevirt", change, NAMESPACE)


def refusal(host: Cluster) -> KubeceptionError:
    with pytest.raises(KubeceptionError) as refused:
        provider("kubevirt").preflight(host)
    return refused.value


def test_a_kubevirt_that_is_not_deployed_is_refused(kubevirt: Cluster) -> None:
    assert "not deployed yet" in refusal(kubevirt).message


@pytest.mark.parametrize("version", ["v1.8.3", "v1.8.10", "v2.0.0-rc.1", "devel"])
def test_versions_without_known_holes_are_taken(kubevirt: Cluster, version: str) -> None:
    is_deployed(kubevirt, version)
    provider("kubevirt").preflight(kubevirt)


@pytest.mark.attack("A14", control="within")
@pytest.mark.parametrize("version", ["v1.8.2", "v1.7.0", "0.59.0"])
def test_versions_with_known_holes_must_be_accepted_one_by_one(
    kubevirt: Cluster, version: str
) -> None:
    is_deployed(kubevirt, version)
    refused = refusal(kubevirt)
    assert f"KubeVirt {version} has published holes" in refused.message
    assert f"{names.ACCEPTED_ANNOTATION}={version}" in refused.hint
    accept(kubevirt, "v1.6.0")
    refusal(kubevirt)
    accept(kubevirt, version)
    provider("kubevirt").preflight(kubevirt)
