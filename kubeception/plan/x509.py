"""Certificates on P-256: made, and judged."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeception.plan.keys import KeySource

CA_LIFE: Final = timedelta(days=3650)
LEAF_LIFE: Final = timedelta(days=365)
BACKDATE: Final = timedelta(minutes=5)
"""How far behind ours a reader's clock may be when a certificate is new."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, PEM."""

    cert: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class Profile:
    """What a leaf certificate says."""

    common_name: str
    organizations: tuple[str, ...] = ()
    server: bool = False
    client: bool = False
    sans: tuple[str, ...] = ()


def self_signed(common_name: str, keys: KeySource, purpose: str, now: datetime) -> Pair:
    """A new CA."""
    key = keys.private_key(purpose)
    name = _name(common_name)
    builder = (
        _builder(name, name, key.public_key(), keys.serial_number(purpose), (now, now + CA_LIFE))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
    )
    return _signed(builder, key, key)


def issue(
    profile: Profile,
    ca: Pair,
    keys: KeySource,
    purpose: str,
    now: datetime,
    *,
    life: timedelta = LEAF_LIFE,
) -> Pair:
    """A new leaf certificate, signed by `ca`, which doesn't outlive it."""
    authority = x509.load_pem_x509_certificate(ca.cert)
    ca_key = _load_key(ca.key)
    if ca_key is None:
        raise ValueError("the CA's key can't be read")
    key = keys.private_key(purpose)
    uses = [ExtendedKeyUsageOID.SERVER_AUTH] * profile.server
    uses += [ExtendedKeyUsageOID.CLIENT_AUTH] * profile.client
    builder = (
        _builder(
            _name(profile.common_name, profile.organizations),
            authority.subject,
            key.public_key(),
            keys.serial_number(purpose),
            (now, min(now + life, authority.not_valid_after_utc)),
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
    )
    if profile.sans:
        names = x509.SubjectAlternativeName([_general(san) for san in profile.sans])
        builder = builder.add_extension(names, critical=False)
    return _signed(builder, key, ca_key)


def ca_problem(pair: Pair, now: datetime) -> str:
    """What keeps a pair from being used as a CA; empty when nothing does."""
    cert, key = _load_cert(pair.cert), _load_key(pair.key)
    if cert is None or key is None:
        return f"tls.{'crt is no certificate' if cert is None else 'key is no private key'}"
    if cert.public_key() != key.public_key():
        return "tls.key does not belong to tls.crt"
    if not cert.not_valid_before_utc <= now < cert.not_valid_after_utc:
        return f"tls.crt is valid from {cert.not_valid_before_utc} to {cert.not_valid_after_utc}, now is {now}"
    return ""


def still_good(pair: Pair, profile: Profile, ca: Pair, now: datetime) -> bool:
    """Whether a leaf says what it shall, was signed by `ca` and has lived less than two thirds of its life."""
    cert, key, authority = _load_cert(pair.cert), _load_key(pair.key), _load_cert(ca.cert)
    if cert is None or key is None or authority is None or cert.public_key() != key.public_key():
        return False
    try:
        cert.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    life = cert.not_valid_after_utc - cert.not_valid_before_utc
    if not cert.not_valid_before_utc <= now < cert.not_valid_before_utc + life * 2 / 3:
        return False
    if cert.subject != _name(profile.common_name, profile.organizations):
        return False
    return set(profile.sans) <= set(_sans(cert))


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PKCS #8, PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_key(private: bytes) -> bytes | None:
    """The public half of a private key, both PEM; None when that is no private key on P-256."""
    key = _load_key(private)
    if key is None:
        return None
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    serial: int,
    validity: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(validity[0] - BACKDATE)
        .not_valid_after(validity[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _signed(
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
) -> Pair:
    cert = builder.sign(signer, hashes.SHA256(), ecdsa_deterministic=True)
    return Pair(cert.public_bytes(serialization.Encoding.PEM), private_key_pem(key))


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str, organizations: Sequence[str] = ()) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general(san: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(san))
    except ValueError:
        return x509.DNSName(san)


def _sans(cert: x509.Certificate) -> list[str]:
    try:
        found = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return found.get_values_for_type(x509.DNSName) + addresses


def _load_cert(pem: bytes) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey | None:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None
