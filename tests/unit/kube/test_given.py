import base64
import copy
import socket
from typing import Any

import pytest
import yaml
from hypothesis import given, strategies as st

from kubeception.errors import SpecError
from kubeception.kube.given import at_address, reduced

CA = base64.b64encode(b"a CA").decode()
KEY = base64.b64encode(b"a key").decode()
CLUSTER = {"server": "https://infra.example.org:6443", "certificate-authority-data": CA}
WHOLE: dict[str, Any] = {
    "current-context": "b",
    "clusters": [{"name": "x", "cluster": CLUSTER}],
    "users": [{"name": "y", "user": {"token": "secret-token"}}],
    "contexts": [
        {"name": "a", "context": {"cluster": "gone"}},
        {"name": "b", "context": {"cluster": "x", "user": "y", "namespace": "n"}},
    ],
}


def whole(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> str:
    document = copy.deepcopy(WHOLE)
    document["clusters"][0]["cluster"].update(cluster or {})
    if user is not None:
        document["users"][0]["user"] = user
    return yaml.safe_dump(document)


def problems(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        reduced(text, "the Secret")
    return "\n".join(caught.value.problems)


def test_of_a_kubeconfig_the_current_context_is_left() -> None:
    found = reduced(whole({"extensions": [], "disable-compression": True}), "it")
    assert [c["cluster"] for c in found["clusters"]] == [CLUSTER]
    assert [u["user"] for u in found["users"]] == [{"token": "secret-token"}]
    assert len(found["contexts"]) == 1


def test_a_client_certificate_serves_as_well() -> None:
    pair = {"client-certificate-data": CA, "client-key-data": KEY}
    assert reduced(whole(user=pair), "it")["users"][0]["user"] == pair


@pytest.mark.attack("A10")
@pytest.mark.parametrize(
    ("cluster", "user", "said"),
    [
        ({}, {"token": "t", "exec": {"command": "sh"}}, "exec: is not followed here"),
        ({}, {"token": "t", "auth-provider": {"name": "x"}}, "auth-provider: is not"),
        ({}, {"tokenFile": "/etc/shadow"}, "tokenFile: is not followed here"),
        ({}, {"client-key": "/etc/shadow"}, "client-key: is not followed here"),
        ({}, {"token": "t", "as": "somebody"}, "as: is not followed here"),
        ({}, {"username": "u", "password": "p"}, "password: is not followed here"),
        ({"proxy-url": "http://10.0.0.1"}, None, "proxy-url: is not followed here"),
        ({"insecure-skip-tls-verify": True}, None, "insecure-skip-tls-verify: is not"),
        ({"certificate-authority": "/etc/shadow"}, None, "certificate-authority: is not"),
        ({"certificate-authority-data": "%"}, None, "certificate-authority-data: is missing"),
        ({"server": "http://infra.example.org"}, None, "is not a plain https URL"),
        ({"server": "https://u:p@infra.example.org"}, None, "is not a plain https URL"),
        ({"server": "https://infra.example.org/?x=y"}, None, "is not a plain https URL"),
        ({"server": "https://infra.example.org:99999"}, None, "is not a URL"),
        ({"server": "https://infra.example.org/\r\nX: y"}, None, "no URL of an API server has"),
        ({"server": 7}, None, "is not a plain https URL"),
        ({"tls-server-name": "a b"}, None, "tls-server-name: is not a DNS name"),
        ({}, {}, "are missing, or not base64"),
        ({}, {"token": ["x"]}, "token: is not one"),
        (
            {},
            {
                "client-certificate-data": CA,
                "client-key-data": base64.b64encode(b"-----BEGIN ENCRYPTED PRIVATE KEY").decode(),
            },
            "is encrypted",
        ),
    ],
)
def test_what_is_not_followed_is_said(
    cluster: dict[str, Any], user: dict[str, Any] | None, said: str
) -> None:
    assert said in problems(whole(cluster, user))


def test_a_token_that_is_none_is_not_repeated() -> None:
    assert problems(whole(user={"token": "geheim\nX-Header: y"})) == "token: is not one"


@pytest.mark.parametrize(
    "text", ["", "geheim: [", "- geheim", "!!python/object:os.system {}", "a" * 9]
)
def test_what_is_no_kubeconfig_is_not_repeated(text: str) -> None:
    assert problems(text) == "is not a kubeconfig"


@pytest.mark.attack("A10")
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*WHOLE, "name", "cluster", "user", "context"]), inner
            )
        ),
    )
)
def test_anything_else_is_refused_and_breaks_nothing(document: Any) -> None:
    with pytest.raises(SpecError):
        reduced(yaml.safe_dump(document), "it")


def addresses(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    """What the name servers say."""
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 6443)) for address in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: entries)


def test_a_name_is_resolved_once_and_its_certificate_still_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addresses(monkeypatch, "198.51.100.7")
    found = at_address(reduced(whole(), "it"), lambda _: True, "it")["clusters"][0]["cluster"]
    assert found["server"] == "https://198.51.100.7:6443"
    assert found["tls-server-name"] == "infra.example.org"


@pytest.mark.attack("A10")
def test_one_forbidden_address_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses(monkeypatch, "198.51.100.7", "10.96.0.1")
    with pytest.raises(SpecError, match=r"10\.96\.0\.1 is one of the host cluster's own"):
        at_address(reduced(whole(), "it"), lambda address: address != "10.96.0.1", "it")


def test_a_path_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses(monkeypatch, "198.51.100.7")
    document = reduced(whole({"server": "https://infra.example.org/k8s/c-1/"}), "it")
    found = at_address(document, lambda _: True, "it")["clusters"][0]["cluster"]
    assert found["server"] == "https://198.51.100.7:443/k8s/c-1"
