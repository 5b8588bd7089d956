"""Who is speaking? Nobody without a token or a password: the default refuses everybody."""

import base64
import binascii
import hmac
from collections.abc import Mapping

from pydantic import SecretStr


def sender(header: str | None, tokens: Mapping[str, SecretStr], users: Mapping[str, SecretStr]) -> str | None:
    """The sender's name, or None. Every known secret is compared, in a time that does not tell which came near."""
    scheme, _, said = (header or "").partition(" ")
    if scheme.lower() == "bearer":
        return _match(said.strip(), tokens)
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(said.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return _match(password, {name: secret for name, secret in users.items() if name == user})
    return None


def _match(said: str, known: Mapping[str, SecretStr]) -> str | None:
    found = None
    for name, secret in known.items():
        if secret.get_secret_value() and hmac.compare_digest(said.encode(), secret.get_secret_value().encode()):
            found = name
    return found
