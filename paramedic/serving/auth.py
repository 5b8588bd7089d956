"""Authentication of senders by token or password; without either everybody is refused."""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping

from pydantic import SecretStr


def sender(header: str | None, tokens: Mapping[str, SecretStr], users: Mapping[str, SecretStr]) -> str | None:
    """The sender's name, or None. Every known secret is compared, in constant time."""
    scheme, _, rest = (header or "").partition(" ")
    credential = rest.strip().encode("latin-1")  # the bytes that were sent: ASGI's headers are latin-1
    if scheme.lower() == "bearer":
        return _match(credential, ((name, secret.get_secret_value()) for name, secret in tokens.items()))
    if scheme.lower() == "basic":
        try:
            login = base64.b64decode(credential, validate=True)
        except binascii.Error:
            return None
        return _match(login, ((name, f"{name}:{secret.get_secret_value()}") for name, secret in users.items()))
    return None


def _match(credential: bytes, known: Iterable[tuple[str, str]]) -> str | None:
    found = None
    for name, secret in known:
        if hmac.compare_digest(credential, secret.encode()):
            found = name
    return found
