"""The next tenant of a name: nothing that the one before had, or left, is its own, and the other way round."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509

from kubeception import names
from kubeception.kube.client import Cluster, Object
from kubeception.plan.pki import CAS
from tests.integration.test_status import Tenant

ROOTS = {*(f"ca-{name}" for name in CAS), "service-account", "encryption-key"}
"""The Secrets of what is never made anew."""
KEPT: dict[str, Any] = {"datastore": {"storage": "Auto"}, "deletionPolicy": "Retain"}


class Heir(Tenant):
    """A TenantCluster of a name that another had."""

    def __init__(self, before: Tenant, **spec: Any) -> None:
        self.host, self.name, self.later = before.host, before.name, before.later
        self.apply(**spec)
        self.uid = self.read()["metadata"]["uid"]
        self.namespace = names.control_plane_namespace(self.uid, self.name)


def spaces(tenant: Tenant) -> set[str]:
    return {tenant.namespace, names.nodes_namespace(tenant.uid, tenant.name)}


def keys(host: Cluster, namespace: str) -> dict[tuple[str, str], bytes]:
    """Everything that is secret in a namespace, but what is no secret: certificates and public keys."""
    return {
        (secret["metadata"]["name"], key): base64.b64decode(value)
        for secret in host.list("Secret", namespace)
        for key, value in secret["data"].items()
        if not key.endswith((".crt", ".pub"))
    }


def authority(host: Cluster, tenant: Tenant) -> x509.Certificate:
    """The CA of who may call themselves administrator of the tenant."""
    found = host.get("Secret", "ca-client", tenant.namespace)
    assert found
    return x509.load_pem_x509_certificate(base64.b64decode(found["data"]["tls.crt"]))


def leaf(host: Cluster, tenant: Tenant) -> x509.Certificate:
    """Somebody's certificate of that CA."""
    found = host.get("Secret", "kube-controller-manager", tenant.namespace)
    assert found
    return x509.load_pem_x509_certificate(base64.b64decode(found["data"]["client.crt"]))


def is_signed_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except Exception:  # noqa: BLE001 - of another name, or of another key
        return False
    return True


def claim(tenant: Tenant) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": "data-etcd-0", "namespace": tenant.namespace}
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    return tenant.host.apply({**kind, "metadata": meta, "spec": spec})


def ended(tenant: Tenant) -> None:
    tenant.host.delete("TenantCluster", tenant.name, "default")
    tenant.end()


@pytest.fixture
def retained(host: Cluster) -> Iterator[Tenant]:
    """A tenant that is gone, and left its volume and its keys."""
    before = Tenant(host, **KEPT)
    before.step()
    claim(before)
    ended(before)
    yield before
    host.delete("Namespace", before.namespace)


@pytest.mark.attack("A24")
def test_the_next_of_a_name_has_nothing_of_the_one_before(host: Cluster) -> None:
    before = Tenant(host)
    before.step()
    old_keys, old_ca, old_leaf = (
        keys(host, before.namespace),
        authority(host, before),
        leaf(host, before),
    )
    assert is_signed_by(old_leaf, old_ca)
    ended(before)
    heir = Heir(before)
    heir.step()
    assert not spaces(before) & spaces(heir)
    new_keys = keys(host, heir.namespace)
    assert new_keys.keys() == old_keys.keys()
    assert not {*new_keys.values()} & {*old_keys.values()}
    assert not is_signed_by(old_leaf, authority(host, heir)), "the last administrator is nobody"
    ended(heir)


@pytest.mark.attack("A24")
def test_what_was_retained_is_not_the_next_ones(host: Cluster, retained: Tenant) -> None:
    left = {
        (kind, obj["metadata"]["name"]): obj["metadata"]["resourceVersion"]
        for kind in ("Secret", "PersistentVolumeClaim")
        for obj in host.list(kind, retained.namespace)
    }
    old_keys = keys(host, retained.namespace)
    assert ("PersistentVolumeClaim", "data-etcd-0") in left
    assert ("encryption", "encryption.yaml") in old_keys
    heir = Heir(retained, datastore=KEPT["datastore"])
    heir.step()
    assert heir.namespace != retained.namespace
    assert not {*keys(host, heir.namespace).values()} & {*old_keys.values()}
    assert host.list("PersistentVolumeClaim", heir.namespace) == []
    ended(heir)
    for (kind, name), version in left.items():
        found = host.get(kind, name, retained.namespace)
        assert found
        assert found["metadata"]["resourceVersion"] == version, "nor does its end take it along"


@pytest.mark.attack("A24", control=True)
def test_with_names_that_know_no_uid_it_would_be(
    host: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control run: names as they would be of the name alone."""
    for function in ("cluster_id", "control_plane_namespace", "nodes_namespace"):
        real = getattr(names, function)
        monkeypatch.setattr(names, function, lambda _, name, real=real: real("", name))
    before = Tenant(host, **KEPT)
    before.step()
    claim(before)
    old_keys, old_leaf = keys(host, before.namespace), leaf(host, before)
    ended(before)
    heir = Heir(before, **KEPT)
    heir.step()
    roots = {key: found for key, found in old_keys.items() if key[0] in ROOTS}
    assert len(roots) == len(ROOTS)
    assert keys(host, heir.namespace).items() >= roots.items()
    assert is_signed_by(old_leaf, authority(host, heir)), "the last administrator is the next one"
    assert host.get("PersistentVolumeClaim", "data-etcd-0", heir.namespace)
    ended(heir)
    host.delete("Namespace", heir.namespace)
