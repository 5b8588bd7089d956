"""Who is speaking? Nobody without a token or a password: the default refuses everybody."""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping

from pydantic import SecretStr


def sender(header: str | None, tokens: Mapping[str, SecretStr], users: Mapping[str, SecretStr]) -> str | None:
    """The sender's name, or None. Every known secret is compared, in a time that does not tell which came near."""
    scheme, _, rest = (header or "").partition(" ")
    said = rest.strip().encode("latin-1")  # the bytes that were sent: ASGI's headers are latin-1
    if scheme.lower() == "bearer":
        return _match(said, ((name, secret.get_secret_value()) for name, secret in tokens.items()))
    if scheme.lower() == "basic":
        try:
            login = base64.b64decode(said, validate=True)
        except binascii.Error:
            return None
        return _match(login, ((name, f"{name}:{secret.get_secret_value()}") for name, secret in users.items()))
    return None


def _match(said: bytes, known: Iterable[tuple[str, str]]) -> str | None:
    found = None
    for name, secret in known:
        if hmac.compare_digest(said, secret.encode()):
            found = name
    return found
