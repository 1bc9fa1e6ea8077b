from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest
from cryptography import x509 as c
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from kubeception.plan import x509
from kubeception.plan.keys import RandomKeys
from kubeception.plan.x509 import Pair, Profile
from tests.plans import NOW, FixedKeys

KEYS = FixedKeys()
CA = x509.self_signed("test-ca", KEYS, "ca", NOW)
OTHER_CA = x509.self_signed("test-ca", KEYS, "another", NOW)
SERVER = Profile("server", server=True, sans=("localhost", "192.0.2.1"))
LEAF = x509.issue(SERVER, CA, KEYS, "leaf", NOW)


def loaded(pair: Pair) -> c.Certificate:
    return c.load_pem_x509_certificate(pair.cert)


def test_a_ca_may_sign_leaves_and_nothing_else() -> None:
    constraints = loaded(CA).extensions.get_extension_for_class(c.BasicConstraints)
    assert constraints.critical
    assert constraints.value == c.BasicConstraints(ca=True, path_length=0)
    usage = loaded(CA).extensions.get_extension_for_class(c.KeyUsage).value
    assert usage.key_cert_sign


def test_keys_are_on_p256() -> None:
    for pair in (CA, LEAF):
        key = loaded(pair).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)


def test_a_server_certificate_says_where_it_serves() -> None:
    cert = loaded(LEAF)
    sans = cert.extensions.get_extension_for_class(c.SubjectAlternativeName).value
    assert sans.get_values_for_type(c.DNSName) == ["localhost"]
    assert sans.get_values_for_type(c.IPAddress) == [IPv4Address("192.0.2.1")]
    usages = cert.extensions.get_extension_for_class(c.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH]
    cert.verify_directly_issued_by(loaded(CA))


def test_a_client_certificate_carries_user_and_groups() -> None:
    profile = Profile("jane", ("admins", "devs"), client=True)
    cert = loaded(x509.issue(profile, CA, KEYS, "jane", NOW))
    assert cert.subject.rfc4514_string() == "CN=jane,O=devs,O=admins"
    with pytest.raises(c.ExtensionNotFound):
        cert.extensions.get_extension_for_class(c.SubjectAlternativeName)


def test_lives_are_ten_years_and_one() -> None:
    assert loaded(CA).not_valid_after_utc == NOW + timedelta(days=3650)
    assert loaded(LEAF).not_valid_after_utc == NOW + timedelta(days=365)
    assert loaded(LEAF).not_valid_before_utc == NOW - timedelta(minutes=5)


def test_a_leaf_does_not_outlive_its_ca() -> None:
    late = NOW + timedelta(days=3600)
    leaf = x509.issue(SERVER, CA, KEYS, "late", late)
    assert loaded(leaf).not_valid_after_utc == loaded(CA).not_valid_after_utc


def test_fixed_keys_give_the_same_certificate_and_random_ones_another() -> None:
    assert x509.issue(SERVER, CA, KEYS, "leaf", NOW) == LEAF
    assert x509.issue(SERVER, CA, RandomKeys(), "leaf", NOW).cert != LEAF.cert


def test_a_good_leaf_stays_for_two_thirds_of_its_life() -> None:
    assert x509.still_good(LEAF, SERVER, CA, NOW + timedelta(days=243))
    assert not x509.still_good(LEAF, SERVER, CA, NOW + timedelta(days=244))


@pytest.mark.parametrize(
    ("pair", "profile", "ca"),
    [
        (Pair(b"", b""), SERVER, CA),
        (Pair(LEAF.cert, b"no key"), SERVER, CA),
        (Pair(LEAF.cert, CA.key), SERVER, CA),
        (LEAF, replace(SERVER, common_name="other"), CA),
        (LEAF, replace(SERVER, organizations=("more",)), CA),
        (LEAF, replace(SERVER, sans=("localhost", "192.0.2.2")), CA),
        (LEAF, SERVER, OTHER_CA),
        (LEAF, SERVER, Pair(b"", b"")),
    ],
    ids=["none", "key", "foreign-key", "name", "group", "san", "ca", "no-ca"],
)
def test_a_leaf_that_does_not_serve_is_not_kept(pair: Pair, profile: Profile, ca: Pair) -> None:
    assert x509.still_good(LEAF, SERVER, CA, NOW)  # else nothing here would show anything
    assert not x509.still_good(pair, profile, ca, NOW)


def test_a_leaf_from_the_future_is_not_kept() -> None:
    assert not x509.still_good(LEAF, SERVER, CA, NOW - timedelta(minutes=6))


def test_a_leaf_that_covers_more_than_needed_is_kept() -> None:
    assert x509.still_good(LEAF, replace(SERVER, sans=("localhost",)), CA, NOW)


@pytest.mark.parametrize(
    ("pair", "problem"),
    [
        (Pair(b"x", CA.key), "tls.crt is no certificate"),
        (Pair(CA.cert, b"x"), "tls.key is no private key"),
        (Pair(CA.cert, OTHER_CA.key), "tls.key does not belong to tls.crt"),
    ],
)
def test_what_is_wrong_with_a_ca_is_said(pair: Pair, problem: str) -> None:
    assert x509.ca_problem(CA, NOW) == ""
    assert x509.ca_problem(pair, NOW) == problem


def test_an_expired_ca_is_a_problem() -> None:
    assert "valid from" in x509.ca_problem(CA, NOW + timedelta(days=3651))


def test_only_a_private_key_on_a_curve_has_a_public_half() -> None:
    public = x509.public_key(CA.key)
    assert public is not None
    assert public.startswith(b"-----BEGIN PUBLIC KEY-----")
    assert x509.public_key(b"") is None
