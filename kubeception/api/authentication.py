"""Who is somebody at a tenant's API server by a token of somebody else's: people, by OpenID Connect."""

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from kubeception import names
from kubeception.api.model import Model

ISSUER_NAME: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
AUDIENCE: Final = r"^[!-~]+$"
CLAIM: Final = r"^[A-Za-z_][A-Za-z0-9_.:/-]*$"
CLAIM_LENGTH: Final = 128
CLAIM_VALUE: Final = r"^[^\x00-\x1f\x7f]+$"

RESERVED: Final = ("kubeadm", "system")
"""What names of Kubernetes' own users and groups begin with, before a colon."""
RESERVED_SAID: Final = "with it, people would have names of Kubernetes' own users and groups"

HOST: Final = "[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
ISSUER_URL: Final = (
    f"https://{HOST}(:[1-9][0-9]{{0,4}})?(/([A-Za-z0-9._~:@+=-]|%[0-9A-Fa-f]{{2}})*)*"
)
"""The whole of it; as kube-apiserver wants it, which doesn't start where it reads another."""
ISSUER_URL_SAID: Final = "must be an https URL without user, query and fragment, such as https://id.example.com/realms/people"
OWN_URL: Final = f"https://([a-z0-9.-]+[.])?{names.GROUP.replace('.', '[.]')}([:/].*)?"
OWN_URL_SAID: Final = f"below {names.GROUP} are the issuers of ServiceAccounts' tokens"

CERTIFICATES: Final = (
    r"(-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]+\n)+-----END CERTIFICATE-----\n*)+"
)
"""The whole of it."""
CERTIFICATES_SAID: Final = "must be certificates in PEM, and nothing else"


def _issuer_name(text: str) -> str:
    if text in RESERVED:
        raise ValueError(f"{text}: {RESERVED_SAID}")
    return text


def _issuer_url(text: str) -> str:
    if not re.fullmatch(ISSUER_URL, text):
        raise ValueError(ISSUER_URL_SAID)
    if re.fullmatch(OWN_URL, text):
        raise ValueError(OWN_URL_SAID)
    return text


def _certificates(text: str) -> str:
    """`text` if it is certificates and no more: no key that would lie in a ConfigMap then."""
    from cryptography import x509  # for this alone

    if not re.fullmatch(CERTIFICATES, text):
        raise ValueError(CERTIFICATES_SAID)
    try:
        x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise ValueError(f"{CERTIFICATES_SAID}: {error}") from None
    return text


Claim = Annotated[str, Field(pattern=CLAIM, max_length=CLAIM_LENGTH)]


class Issuer(Model):
    """An OpenID Connect issuer. It is dialled by a node of the tenant, and never from the host."""

    name: Annotated[
        str, Field(pattern=ISSUER_NAME, max_length=32), AfterValidator(_issuer_name)
    ] = Field(
        description="What the names of its users and groups begin with, before a colon: with corp, alice is "
        f"corp:alice. Not {' or '.join(RESERVED)}."
    )
    url: Annotated[str, Field(max_length=512), AfterValidator(_issuer_url)] = Field(
        description="Its URL, exactly as its tokens say it (`iss`): https, without user, query and fragment."
    )
    audiences: tuple[Annotated[str, Field(pattern=AUDIENCE, max_length=256)], ...] = Field(
        min_length=1,
        max_length=8,
        description="For whom its tokens are (`aud`), mostly the ID of a client: one of these.",
    )
    certificate_authority: (
        Annotated[str, Field(max_length=16384), AfterValidator(_certificates)] | None
    ) = Field(
        default=None,
        description="Certificates that its server's is checked by, in PEM, and nothing else; default: those that "
        "kube-apiserver's image has.",
    )
    username_claim: Claim = Field(
        default="sub",
        description="The claim with the user's name. Of email, kube-apiserver wants it verified where the token "
        "says whether it is.",
    )
    groups_claim: Claim = Field(
        default="groups",
        description="The claim with the names of the user's groups, if it is there.",
    )
    required_claims: dict[Claim, Annotated[str, Field(pattern=CLAIM_VALUE, max_length=256)]] = (
        Field(
            default_factory=dict,
            max_length=8,
            description="Claims that a token must have, each with this text.",
        )
    )

    @property
    def prefix(self) -> str:
        """What the names of its users and groups begin with."""
        return f"{self.name}:"

    @field_validator("audiences")
    @classmethod
    def _once_each(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("one is there twice")
        return value


class Authentication(Model):
    """Who is somebody at the API server, besides its certificates and ServiceAccounts."""

    issuers: tuple[Issuer, ...] = Field(
        default=(),
        max_length=4,
        description="OpenID Connect issuers whose tokens people have. A change restarts the API server.",
    )

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        for what in ("name", "url"):
            if len({getattr(issuer, what) for issuer in self.issuers}) < len(self.issuers):
                raise ValueError(f"issuers: two have the same {what}")
        return self
