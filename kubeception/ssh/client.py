"""A connection to one machine: who it is, and what a script says there. The only importer of paramiko."""

import base64
import hashlib
import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import paramiko

from kubeception.errors import SshError

CONNECT_SECONDS: Final = 5.0
RUN_SECONDS: Final = 20.0
"""How long a script may be silent."""
OUTPUT_LIMIT: Final = 64 * 1024
"""Octets of output that are kept; a machine isn't ours, and may say anything at any length."""
SIGNATURES: Final = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
"""Algorithms by which a host proves it has a key of this type, where they have other names (RFC 8332)."""


@dataclass(frozen=True)
class Target:
    """A machine, and how to get in."""

    address: str
    port: int
    user: str
    private_key: str = field(repr=False)
    """In any form OpenSSH writes, without a passphrase."""
    host_key: str = ""
    """`type base64`, as in known_hosts: no other is talked to. Empty: the one that is found, for the first time."""

    @property
    def title(self) -> str:
        """As errors name it."""
        return f"{self.user}@{self.address}:{self.port}"


@dataclass(frozen=True)
class Result:
    """What became of a script."""

    code: int
    output: str
    """Standard output and standard error, the last OUTPUT_LIMIT octets of them."""


class Session:
    """An authenticated connection."""

    def __init__(self, target: Target, transport: paramiko.Transport) -> None:
        self._target, self._transport = target, transport
        self.host_key = _said(transport.get_remote_server_key())
        """`type base64` of the machine."""

    def run(self, command: str, stdin: str = "") -> Result:
        """Run a command as root, by sudo unless the user is root, with this on its standard input.

        `command` is a constant of this program: whatever a person has chosen belongs into `stdin`.
        Raises SshError when the connection breaks.
        """
        argv = command if self._target.user == "root" else f"sudo -n {command}"
        try:
            with self._transport.open_session(timeout=CONNECT_SECONDS) as channel:
                channel.settimeout(RUN_SECONDS)
                channel.set_combine_stderr(combine=True)
                channel.exec_command(argv)
                channel.sendall(stdin.encode())
                channel.shutdown_write()
                output = b""
                while chunk := channel.recv(OUTPUT_LIMIT):
                    output = (output + chunk)[-OUTPUT_LIMIT:]
                return Result(channel.recv_exit_status(), output.decode(errors="replace"))
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise SshError(f"{self._target.title}: the connection broke: {_why(error)}") from error


@contextmanager
def connect(target: Target) -> Iterator[Session]:
    """A session, closed in the end.

    Raises SshError where nobody answers, the host key is another one, or the user isn't let in.
    """
    transport = _open(target)
    try:
        yield Session(target, transport)
    finally:
        transport.close()


def _open(target: Target) -> paramiko.Transport:
    """An authenticated transport to the machine that is meant."""
    key = private_key(target)
    transport: paramiko.Transport | None = None
    try:
        sock = socket.create_connection((target.address, target.port), CONNECT_SECONDS)
        transport = paramiko.Transport(sock)
        transport.banner_timeout = transport.auth_timeout = CONNECT_SECONDS
        _expect(transport, target.host_key)
        transport.start_client(timeout=CONNECT_SECONDS)
        _check(target, transport.get_remote_server_key())
        transport.auth_publickey(target.user, key)
    except (paramiko.SSHException, OSError, EOFError, SshError) as error:
        if transport is not None:
            transport.close()
        raise _told(target, key, error) from error
    return transport


def _told(target: Target, key: paramiko.PKey, error: Exception) -> SshError:
    """What kept a connection from being made, as a person is told of it."""
    if isinstance(error, SshError):
        return error
    slow = "timeout" in str(error)  # of the same class as a refusal
    if isinstance(error, paramiko.AuthenticationException) and not slow:
        return SshError(
            f"{target.title}: the user is not let in with the key {fingerprint(_said(key))}",
            hint="Add its public half to the user's ~/.ssh/authorized_keys there.",
        )
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer) and target.host_key:
        kind = target.host_key.partition(" ")[0]
        return SshError(
            f"{target.title}: it has no {kind} host key, which is the kind that is known"
        )
    return SshError(f"{target.title}: can't be reached by SSH: {_why(error)}")


def private_key(target: Target) -> paramiko.PKey:
    """The user's key. Raises SshError for a text that is none."""
    kinds: tuple[type[paramiko.PKey], ...]
    kinds = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
    for kind in kinds:
        try:
            return kind.from_private_key(io.StringIO(target.private_key))
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    raise SshError(
        f"{target.title}: its Secret holds no private key without a passphrase",
        hint="Make one with `ssh-keygen -t ed25519 -N ''`, and a Secret of type kubernetes.io/ssh-auth of it.",
    )


def fingerprint(host_key: str) -> str:
    """As `ssh-keygen -l` says it, of `type base64`."""
    kind, _, encoded = host_key.partition(" ")
    digest = hashlib.sha256(base64.b64decode(encoded)).digest()
    return f"{kind} SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _expect(transport: paramiko.Transport, host_key: str) -> None:
    """Ask for the known key only: a machine has several, and would show another."""
    if kind := host_key.partition(" ")[0]:
        transport.get_security_options().key_types = SIGNATURES.get(kind, (kind,))


def _check(target: Target, found: paramiko.PKey) -> None:
    if target.host_key and _said(found) != target.host_key:
        raise SshError(
            f"{target.title}: its host key is {fingerprint(_said(found))}, "
            f"and {fingerprint(target.host_key)} is known: it is another machine, or somebody is in between",
            hint="If it was installed anew, take it out of the pool's machines, wait until it is gone, put it back.",
        )


def _said(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()}"


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
