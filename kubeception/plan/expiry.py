"""When a tenant's certificates end: read from the Secrets that hold them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from kubeception.plan.facts import Object
from kubeception.plan.pki import CAS, LEAVES
from kubeception.plan.secret import data_of


@dataclass(frozen=True)
class Expiry:
    """A certificate and its end; None for one that can't be read."""

    name: str
    """`ca-serving`, or `kube-apiserver/serving`: the Secret, and the certificate in it."""
    ends: datetime | None
    is_ca: bool


def expiries(secrets: Iterable[Object]) -> Iterator[Expiry]:
    """Of all certificates that are in these Secrets of a control plane's namespace."""
    held = {secret["metadata"]["name"]: data_of(secret) for secret in secrets}
    for ca in CAS:
        if (data := held.get(f"ca-{ca}")) is not None:
            yield Expiry(f"ca-{ca}", _end(data.get("tls.crt", b"")), is_ca=True)
    for leaf in LEAVES:
        if (data := held.get(leaf.secret)) is not None:
            name = f"{leaf.secret}/{leaf.name}"
            yield Expiry(name, _end(data.get(f"{leaf.name}.crt", b"")), is_ca=False)


def _end(pem: bytes) -> datetime | None:
    try:
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc
    except ValueError:
        return None
