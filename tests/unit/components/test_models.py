"""Every object of a kind Kubernetes has says only what its API knows, in the right types."""

import functools
from typing import Any

import pytest
from kubernetes import client

from kubeception.components import COMPONENTS
from kubeception.components.install import host_prerequisites
from kubeception.plan.facts import Object, key_of
from tests.plans import CASES, applied, case, everything

EMBEDDED = {
    "AuthenticationConfiguration",
    "ClusterConfiguration",
    "Config",
    "EgressSelectorConfiguration",
    "EncryptionConfiguration",
    "KubeProxyConfiguration",
    "KubeletConfiguration",
    "Policy",
}
"""Configuration files, which no API serves."""


@functools.cache
def model(kind: str) -> Any:
    return getattr(client, f"V1{kind}")


@pytest.mark.parametrize("name", CASES)
def test_objects(name: str) -> None:
    objects = everything(case(name))
    assert objects
    for obj in objects:
        assert obj["kind"] not in EMBEDDED
        model(obj["kind"]).model_validate(obj)


def test_prerequisites() -> None:
    for obj in host_prerequisites():
        model(obj["kind"]).model_validate(obj)


def test_a_mistake_is_found() -> None:
    broken: Object = next(o for o in everything(case("minimal")) if o["kind"] == "Deployment")
    broken["spec"]["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"
    with pytest.raises(ValueError, match="imagePullPolice"):
        model("Deployment").model_validate(broken)


@pytest.mark.parametrize("name", CASES)
def test_no_object_is_said_twice(name: str) -> None:
    keys = [
        (component.side, key_of(obj))
        for component, objects in applied(case(name))
        for obj in objects
    ]
    assert len(keys) == len(set(keys))


def test_components_have_names_of_their_own_and_need_earlier_ones() -> None:
    known: list[str] = []
    for component in COMPONENTS:
        assert component.name not in known
        assert set(component.needs) <= set(known)
        known.append(component.name)
