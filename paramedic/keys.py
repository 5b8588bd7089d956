"""The keys and tokens in the data folder: made at first use, each in a private file."""

import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from paramedic.machine import data_folder, file_ownership
from paramedic.settings import BadSettings, Settings
from paramedic.text.redaction import remember


class BadKey(BadSettings, OSError):
    """The file does not hold a complete key. An OSError, as if the file could not be read."""


#: A key file shorter than this is what a full disk left of one.
_SHORTEST_KEY = 32


def signing_witness(settings: Settings) -> Path:
    """The path beside the signing key of a second copy of the newest checkpoint, in case the others are removed."""
    return signing_key_file(settings).with_suffix(".witness")


def signing_key(settings: Settings) -> Ed25519PrivateKey:
    """The key that signs checkpoints, made at first use (0600), its public half beside it.

    Raises OSError, or BadSettings where the file holds no such key.
    """
    path = signing_key_file(settings)

    def make() -> bytes:
        return Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    try:
        key = serialization.load_pem_private_key(read_or_create(path, make), password=None)
    except (ValueError, TypeError) as error:
        raise BadSettings(f"{path}: no key that can be read: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadSettings(f"{path}: not an Ed25519 key")
    public = key.public_key()
    read_or_create(path.with_suffix(".pub"), lambda: pem(public), mode=0o644)
    if public_key(settings).public_bytes_raw() != public.public_bytes_raw():
        raise BadSettings(f"{path.with_suffix('.pub')} is not the public half of {path}")
    return key


def public_key(settings: Settings) -> Ed25519PublicKey:
    """The key that verifies checkpoints, without the private key. Raises BadSettings."""
    path = public_key_file(settings)
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        made = "; `paramedic up` makes it" if isinstance(error, FileNotFoundError) else ""
        raise BadSettings(f"{path}: the public key cannot be read: {error.strerror or error}{made}") from error
    except ValueError as error:
        raise BadSettings(f"{path}: the public key cannot be read: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadSettings(f"{path}: not an Ed25519 key")
    return key


def link_key(settings: Settings) -> bytes:
    """The key that signs acknowledgement links, made at first use (0600).

    Raises OSError, of which BadKey is one: a page is then sent without its link.
    """
    key = read_or_create(link_key_file(settings), lambda: secrets.token_hex(32).encode())
    remember(key.decode(errors="replace").strip())
    return key


def link_key_file(settings: Settings) -> Path:
    """Where `link_key` is kept."""
    return settings.link_key_file or settings.data / "link.key"


def gateway_token(settings: Settings) -> str:
    """The token of the sender `local`, made at first use (0600), for those who have set none.

    Raises OSError, or BadSettings.
    """
    token = (
        read_or_create(gateway_token_file(settings), lambda: secrets.token_urlsafe(32).encode())
        .decode(errors="replace")
        .strip()
    )
    remember(token)
    return token


def gateway_token_file(settings: Settings) -> Path:
    """Where `gateway_token` is kept."""
    return settings.data / "gateway-token"


def read_or_create(path: Path, make: Callable[[], bytes], *, mode: int = 0o600) -> bytes:
    """The file's content, created if missing: atomically, and the same for concurrent callers.

    Raises OSError where the file or its folder cannot be read or written, BadKey where the file holds no whole key.
    """
    data_folder.make(path.parent)
    if not path.exists():
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as fresh:
            fresh.write(make())
            fresh.flush()
            os.fsync(fresh.fileno())
            os.fchmod(fresh.fileno(), mode)
            with contextlib.suppress(FileExistsError):
                os.link(fresh.name, path)
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) or file_ownership.foreign(found) or file_ownership.writable_by_others(found):
        owner, bits = file_ownership.user(found.st_uid), file_ownership.mode(found)
        raise BadKey(
            f"{path}: other users could have written it (owner {owner}, mode {bits}): a key is a file of ours alone"
        )
    content = path.read_bytes()
    if len(content) < _SHORTEST_KEY:
        raise BadKey(f"{path}: is not a key: it has {len(content)} bytes; remove it, and a new one is made")
    return content


def pem(key: Ed25519PublicKey) -> bytes:
    """The public key in PEM."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_key_file(settings: Settings) -> Path:
    """Where `public_key` is kept."""
    return signing_key_file(settings).with_suffix(".pub")


def signing_key_file(settings: Settings) -> Path:
    """Where `signing_key` is kept."""
    return settings.signing_key_file or settings.data / "signing.key"
