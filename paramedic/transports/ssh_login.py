"""Keys that log in at an SSH server: of a file, with its certificate, or of the SSH agent."""

import base64
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    load_ssh_public_identity,
)
from paramiko.agent import AgentSSH

from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import iso, utc_now
from paramedic.remediation.host import SshAccess
from paramedic.transports.ssh_known_hosts import fingerprint

#: So long the SSH agent has for an answer. Seconds.
_AGENT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Login:
    """A key, and which it is, in words."""

    key: paramiko.PKey
    words: str


def logins(access: SshAccess) -> list[Login]:
    """The keys to log in with, in this order.

    Raises PermanentError where the key, its certificate or the agent cannot be used, TemporaryError where the agent
    does not answer.
    """
    found = [_of_file(access)] if access.key is not None else list(_of_agent(access.agent or ""))
    if not found:
        which = f"the key {access.agent}" if access.agent else "any key"
        raise PermanentError(f"the SSH agent has not {which}: `ssh-add -l` lists what it has")
    return found


def _of_file(access: SshAccess) -> Login:
    file = Path(access.key or "")
    try:
        others = stat.S_IMODE(file.stat().st_mode) & 0o077
        key = paramiko.PKey.from_path(file)
    except OSError as error:
        raise PermanentError(f"the key {file} cannot be read: {error.strerror}") from error
    except (paramiko.PasswordRequiredException, TypeError) as error:
        raise PermanentError(
            f"the key {file} has a passphrase: add it to an SSH agent and write `agent: true`"
        ) from error
    except (paramiko.SSHException, paramiko.pkey.UnknownKeyType, ValueError) as error:
        raise PermanentError(f"{file} is no private key that can be used: {error}") from error
    if others:
        raise PermanentError(f"other users can read the key {file}: `chmod 600 {file}`")
    words = f"the key {fingerprint(key.asbytes())} ({file})"
    if access.certificate is None:
        key.public_blob = None  # a certificate that paramiko found beside the key, and nobody wrote down
        return Login(key, words)
    until = _valid_until(Path(access.certificate))
    key.load_certificate(access.certificate)
    return Login(key, f"{words} with its certificate, {until}")


def _valid_until(file: Path) -> str:
    """Until when the certificate is valid, in words. Raises PermanentError where it is none, or not valid now."""
    try:
        found = load_ssh_public_identity(file.read_bytes())
    except OSError as error:
        raise PermanentError(f"the certificate {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise PermanentError(f"{file} is no OpenSSH certificate: {error}") from error
    if not isinstance(found, SSHCertificate):
        raise PermanentError(f"{file} is a public key, and no OpenSSH certificate")
    now = utc_now().timestamp()
    if found.valid_before <= now:
        raise PermanentError(
            f"the certificate {file} was valid until {_moment(found.valid_before)}: have a new one signed"
        )
    if found.valid_after > now:
        raise PermanentError(f"the certificate {file} is valid from {_moment(found.valid_after)} on")
    return _ends(found)


def _ends(certificate: SSHCertificate) -> str:
    for_ever = certificate.valid_before == 2**64 - 1
    return "valid for ever" if for_ever else f"valid until {_moment(certificate.valid_before)}"


def _moment(seconds: int) -> str:
    return iso(datetime.fromtimestamp(seconds, UTC))


class _Agent(AgentSSH):
    """The SSH agent, which has a limited time for each answer."""

    def __init__(self) -> None:
        super().__init__()
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.settimeout(_AGENT_SECONDS)
        try:
            line.connect(os.environ["SSH_AUTH_SOCK"])
            self._connect(line)  # type: ignore[attr-defined]
        except BaseException:
            line.close()
            raise

    def get_keys(self) -> tuple[paramiko.AgentKey, ...]:
        """Its keys, and certificates of keys. A certificate is shown and signed for as it is, not as its key alone."""
        keys: tuple[paramiko.AgentKey, ...] = super().get_keys()
        for key in keys:
            key.inner_key = None  # type: ignore[attr-defined]
        return keys


def _of_agent(only: str) -> Iterator[Login]:
    try:
        keys = _Agent().get_keys()
    except KeyError as error:
        raise PermanentError("there is no SSH agent: SSH_AUTH_SOCK is not set where Paramedic runs") from error
    except TimeoutError as error:
        raise TemporaryError(f"the SSH agent did not answer in {_AGENT_SECONDS:.0f} s") from error
    except (OSError, paramiko.SSHException) as error:
        raise PermanentError(f"the SSH agent at {os.environ['SSH_AUTH_SOCK']} cannot be asked: {error}") from error
    for key in keys:
        which, with_what = _as_listed(key.asbytes())
        if only in ("", which):
            yield Login(key, f"the agent's key {which}{with_what}")


def _as_listed(blob: bytes) -> tuple[str, str]:
    """The fingerprint that `ssh-add -l` shows, of a certificate that of its key; and until when that one is valid, in words."""
    kind = blob[4 : 4 + int.from_bytes(blob[:4])]
    try:
        found = load_ssh_public_identity(kind + b" " + base64.b64encode(blob))
    except (ValueError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, SSHCertificate):
        return fingerprint(blob), ""
    plain = base64.b64decode(found.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])
    return fingerprint(plain), f" with its certificate, {_ends(found)}"
