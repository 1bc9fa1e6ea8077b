import pytest

from kubeception.kube.kinds import KINDS, kind


@pytest.mark.parametrize(
    ("name", "namespace", "obj", "sub", "path"),
    [
        ("Secret", "n", "s", "", "/api/v1/namespaces/n/secrets/s"),
        ("Secret", "", "", "", "/api/v1/secrets"),
        ("Node", "ignored", "a", "status", "/api/v1/nodes/a/status"),
        ("Deployment", "n", "", "", "/apis/apps/v1/namespaces/n/deployments"),
        ("VirtualMachine", "n", "vm", "", "/apis/kubevirt.io/v1/namespaces/n/virtualmachines/vm"),
    ],
)
def test_paths(name: str, namespace: str, obj: str, sub: str, path: str) -> None:
    assert kind(name).path(namespace, obj, sub) == path


def test_every_kind_is_complete() -> None:
    for name, found in KINDS.items():
        assert found.name == name
        assert found.plural == found.plural.lower()
        assert found.version
