from typing import Any, Final

import pytest

from kubeception.api.authentication import RESERVED, Issuer
from kubeception.errors import SpecError
from kubeception.plan.x509 import self_signed
from tests.plans import NOW, FixedKeys, tenant

CORP: Final = {"name": "corp", "url": "https://id.example.com", "audiences": ["kubernetes"]}
PAIR: Final = self_signed("id.example.com", FixedKeys(), "issuer", NOW)
CERTIFICATE: Final = PAIR.cert.decode()


def issuers(*found: dict[str, Any]) -> tuple[Issuer, ...]:
    """Issuers, each `CORP` or as it says otherwise."""
    listed = [{**CORP, **each} for each in found]
    spec = {"controlPlane": {"authentication": {"issuers": listed}}}
    return tenant(spec).spec.control_plane.authentication.issuers


def problem(*found: dict[str, Any]) -> str:
    with pytest.raises(SpecError) as caught:
        issuers(*found)
    (said,) = caught.value.problems
    return said.removeprefix("spec.controlPlane.authentication")


def test_nobody_is_trusted_who_is_not_named() -> None:
    assert tenant().spec.control_plane.authentication.issuers == ()


def test_its_name_is_what_its_people_begin_with() -> None:
    (found,) = issuers({})
    assert (found.prefix, found.username_claim, found.groups_claim) == ("corp:", "sub", "groups")


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example.com/",
        "https://id.example.com:8443/realms/people",
        "https://192.0.2.7/a//b",
        "https://login.example.com/00000000-0000-0000-0000-000000000000/v2.0",
        "https://id.example.com/realms/all%20people",
        "https://notkubeception.io",
        "https://kubeception.io.example.com",
    ],
)
def test_urls_are_taken_as_they_are(url: str) -> None:
    assert issuers({"url": url})[0].url == url


@pytest.mark.attack("A21")
@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://id.example.com",
        "HTTPS://id.example.com",
        "https://",
        "https://id.example.com?a=b",
        "https://id.example.com/#a",
        "https://me:secret@id.example.com",
        "https://me@id.example.com/",
        "https://id.example.com:0",
        "https://id.example.com:https",
        "https://id.example.com/%zz",
        "https://id.example.com/a b",
        "https://id.example.com\n",
        "https://id.example.com/{{ x }}",
        "https://[::1]/",
        "https://ID.example.com",
        "https://-",
        "file:///etc/passwd",
        "unix:///run/konnectivity/server.sock",
    ],
)
def test_all_other_urls_are_refused(url: str) -> None:
    assert problem({"url": url}).startswith(".issuers[0].url: must be an https URL without user")


@pytest.mark.attack("A21")
def test_a_url_has_an_end() -> None:
    assert ".url: " in problem({"url": "https://id.example.com/" + "a" * 512})


@pytest.mark.parametrize(
    "url",
    [
        "https://kubeception.io",
        "https://demo-1234.kubeception.io",
        "https://demo-1234.kubeception.io:443",
        "https://demo-1234.kubeception.io/a",
    ],
)
def test_the_issuers_of_service_accounts_are_nobody_elses(url: str) -> None:
    """kube-apiserver does not start with its own among them."""
    assert "the issuers of ServiceAccounts' tokens" in problem({"url": url})


@pytest.mark.attack("A21")
@pytest.mark.parametrize("name", [*RESERVED, "", "a:", "System", "a b", "a.b", "x" * 33, "corp\n"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    assert problem({"name": name}).startswith(".issuers[0].name: ")


@pytest.mark.parametrize(
    ("other", "same"),
    [({"url": "https://other.example.com"}, "name"), ({"name": "other"}, "url")],
)
def test_issuers_are_told_apart(other: dict[str, str], same: str) -> None:
    assert problem({}, other).endswith(f": issuers: two have the same {same}")


@pytest.mark.parametrize(
    "change",
    [
        {"audiences": []},
        {"audiences": ["a", "a"]},
        {"audiences": ["a", "b c"]},
        {"audiences": ["a", ""]},
        {"audiences": [f"a{i}" for i in range(9)]},
        {"usernameClaim": ""},
        {"usernameClaim": "claims.sub + 'x'"},
        {"groupsClaim": "a\nb"},
        {"requiredClaims": {"a b": "c"}},
        {"requiredClaims": {"a": ""}},
        {"requiredClaims": {"a": "b\0"}},
        {"requiredClaims": {"a": True}},
        {"requiredClaims": {f"a{i}": "b" for i in range(9)}},
        {"usernamePrefix": ""},
        {"egressSelectorType": "controlplane"},
        {"discoveryURL": "https://192.0.2.1/"},
    ],
    ids=str,
)
def test_what_means_nothing_or_too_much_is_refused(change: dict[str, Any]) -> None:
    (field,) = change
    assert problem(change).startswith(f".issuers[0].{field}")


def test_no_more_than_four() -> None:
    many = [{"name": f"a{i}", "url": f"https://a{i}.example.com"} for i in range(5)]
    assert len(issuers(*many[:4])) == 4
    assert problem(*many).startswith(".issuers: ")


@pytest.mark.parametrize("text", [CERTIFICATE, CERTIFICATE * 3, CERTIFICATE.rstrip("\n")])
def test_certificates_are_taken_as_they_are(text: str) -> None:
    assert issuers({"certificateAuthority": text})[0].certificate_authority == text


@pytest.mark.attack("A21")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "/etc/passwd",
        PAIR.key.decode(),
        CERTIFICATE + PAIR.key.decode(),
        f"id.example.com\n{CERTIFICATE}",
        CERTIFICATE.replace("CERTIFICATE", "CERTIFICATE REQUEST"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
        CERTIFICATE[:-60],
        CERTIFICATE * 40,
    ],
    ids=range(10),
)
def test_all_else_is_no_authority(text: str) -> None:
    said = problem({"certificateAuthority": text})
    assert said.startswith(".issuers[0].certificateAuthority: ")
    assert PAIR.key.decode().splitlines()[1] not in said
