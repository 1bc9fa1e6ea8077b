"""Versions, quantities, Secrets, edits: small things of one rule each."""

import pytest

from kubeception.api.v1alpha1 import DEFAULT_VERSION
from kubeception.errors import SpecError
from kubeception.plan.edit import container, restart_on_change, set_args
from kubeception.plan.facts import Object
from kubeception.plan.keys import RandomKeys
from kubeception.plan.quantity import octets
from kubeception.plan.secret import data_of, opaque
from kubeception.plan.versions import IMAGES, check_version, image


@pytest.mark.parametrize(
    ("quantity", "size"),
    [("7", 7), ("1k", 1000), ("2M", 2_000_000), ("1536Mi", 1536 << 20), ("3Gi", 3 << 30)],
)
def test_octets(quantity: str, size: int) -> None:
    assert octets(quantity) == size


@pytest.mark.parametrize("text", ["", "1.5Gi", "-1", "1 Gi", "Gi", "1gi", "1e3"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        octets(text)


def test_the_default_version_is_supported() -> None:
    assert check_version(DEFAULT_VERSION) == DEFAULT_VERSION


@pytest.mark.parametrize("version", ["v1.33.9", "v1.37.0", "v2.36.0", "1.36.3", "v1.36", "latest"])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(SpecError, match="not supported"):
        check_version(version)


def test_images_of_kubernetes_have_its_version_and_all_have_one() -> None:
    assert image("kube-proxy", "v1.35.4") == "registry.k8s.io/kube-proxy:v1.35.4"
    assert all(":" in image(name).rpartition("/")[2] for name in IMAGES)


def test_a_secret_holds_what_was_put_in() -> None:
    data = {"a": b"\0\xff", "b": b""}
    assert data_of(opaque("ns", "name", data)) == data
    assert data_of({}) == data_of({"data": None}) == {}


def test_keys_are_never_the_same() -> None:
    keys = RandomKeys()
    assert keys.private_key("x").private_numbers() != keys.private_key("x").private_numbers()
    assert keys.serial_number("x") != keys.serial_number("x")
    assert keys.random_bytes("x", 32) != keys.random_bytes("x", 32)


@pytest.fixture
def workload() -> Object:
    return {
        "spec": {
            "template": {
                "metadata": {"labels": {}},
                "spec": {
                    "initContainers": [{"name": "first", "args": ["--a=1", "--ab=2"]}],
                    "containers": [{"name": "second", "args": []}],
                },
            }
        }
    }


def test_containers_of_both_kinds_are_found(workload: Object) -> None:
    assert container(workload, "first")["name"] == "first"
    assert container(workload, "second")["name"] == "second"
    with pytest.raises(KeyError):
        container(workload, "third")


def test_a_flag_is_replaced_or_added(workload: Object) -> None:
    set_args(workload, "first", {"a": "9", "c": "3"})
    assert container(workload, "first")["args"] == ["--ab=2", "--a=9", "--c=3"]


def test_pods_are_new_when_a_part_changes(workload: Object) -> None:
    def annotations(*parts: str) -> Object:
        restart_on_change(workload, *parts)
        found: Object = workload["spec"]["template"]["metadata"]["annotations"]
        return dict(found)

    assert annotations("a", "b") == annotations("a", "b") != annotations("ab", "")
