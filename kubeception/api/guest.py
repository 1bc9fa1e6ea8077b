"""Texts that others than we read on a machine: who may log in, and what its network is like."""

import base64
from typing import Annotated, Final

from pydantic import AfterValidator, Field

SSH_KEY: Final = (
    r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r" [A-Za-z0-9+/]+={0,2}( [A-Za-z0-9@._:+ -]{1,100})?$"
)


def _ssh_key(text: str) -> str:
    """`text` if its second word is a public key of the type that its first word says (RFC 4253, 6.6)."""
    kind, blob = text.split(" ")[:2]
    try:
        data = base64.b64decode(blob, validate=True)
    except ValueError:
        raise ValueError("is no public key: its second word is not base64") from None
    fields = []
    while data:
        length = int.from_bytes(data[:4])
        fields.append(data[4 : 4 + length])
        if len(data) < 4 + length:
            raise ValueError("is no public key: something of it is missing")
        data = data[4 + length :]
    if fields[0] != kind.encode() or len(fields) < 2:
        raise ValueError(f"is no public key of type {kind}")
    return text


def _mapping(text: str) -> str:
    """`text` if it is YAML that says a mapping."""
    import yaml  # for this alone

    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise ValueError(f"is not YAML{line}") from None
    if isinstance(found, dict):
        return text
    raise ValueError("must say a mapping, such as {version: 2, ethernets: …}")


SshKey = Annotated[str, Field(pattern=SSH_KEY, max_length=1500), AfterValidator(_ssh_key)]
"""A line of authorized_keys without options: type, base64 and perhaps a comment."""

NetworkData = Annotated[str, Field(max_length=8192), AfterValidator(_mapping)]
"""Network configuration as cloud-init reads it."""
