"""Where secret material comes from: the one source of randomness of the plan."""

import secrets
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec


class KeySource(Protocol):
    """Makes what nobody may guess. `purpose` names what it is for, such as `ca-client`."""

    def private_key(self, purpose: str) -> ec.EllipticCurvePrivateKey:
        """A new key on P-256."""
        ...

    def serial_number(self, purpose: str) -> int:
        """A certificate's serial number."""
        ...

    def random_bytes(self, purpose: str, size: int) -> bytes:
        """`size` octets for a symmetric key or a token."""
        ...


class RandomKeys:
    """The operating system's randomness."""

    def private_key(self, purpose: str) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    def serial_number(self, purpose: str) -> int:
        return x509.random_serial_number()

    def random_bytes(self, purpose: str, size: int) -> bytes:
        return secrets.token_bytes(size)
