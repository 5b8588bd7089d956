"""The gateway's proof of identity, before it is sent a token: another process on its port learns nothing.

The caller sends a nonce and the address that it calls; a gateway of the same data folder answers with their HMAC under the
link key. Asked about another address it refuses, so that nobody can relay a proof.
"""

import hashlib
import hmac
import re
import secrets

import httpx

from paramedic.errors import TemporaryError
from paramedic.transports import http_deadline

#: Where the gateway is asked for it.
PATH = "/identity"

#: What a nonce is.
NONCE = re.compile(r"[0-9a-f]{64}")

_SECONDS = 5.0


class NotOurs(TemporaryError):
    """The server at the address has not proven that it is our gateway, or does not answer; nothing was sent to it."""


def proof(key: bytes, nonce: str, address: str) -> str:
    """The proof of the gateway at `address` for this nonce."""
    message = b"\0".join([b"paramedic gateway identity", nonce.encode(), address.encode()])
    return hmac.digest(key, message, hashlib.sha256).hex()


def demand(address: str, key: bytes, *, seconds: float = _SECONDS) -> None:
    """Require the gateway at `address` to prove itself within `seconds`. Raises NotOurs."""
    nonce = secrets.token_hex(32)
    try:
        with http_deadline.client(seconds=seconds) as client:
            answer = client.get(f"{address}{PATH}", params={"nonce": nonce, "address": address})
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotOurs(f"the gateway at {address} does not answer: {error}") from error
    if not hmac.compare_digest(answer.text.strip().encode(), proof(key, nonce, address).encode()):
        raise NotOurs(
            f"who answers at {address} is not this data folder's gateway, and was sent nothing. Is `paramedic up` running, "
            "with this --data? A gateway on another machine needs https:// (PARAMEDIC_PUBLIC_URL)"
        )
