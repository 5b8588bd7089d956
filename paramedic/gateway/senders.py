"""Senders: authenticates requests, and logs refusals."""

import logging

from fastapi import Request

from paramedic.gateway.refusal import RefusalLog
from paramedic.kinds.faces import Authentic
from paramedic.serving.auth import sender
from paramedic.serving.connections import prove
from paramedic.settings import Settings

log = logging.getLogger(__name__)


#: What a sender shows.
KNOWN = "a bearer token (gateway_tokens, or the file gateway-token), or basic auth (gateway_users)"


class Senders:
    """Authenticates senders, and logs refused clients."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log = RefusalLog()

    def known(self, request: Request, *, quiet: bool = False) -> str | None:
        """The sender's name, or None; marks the connection of a known one as proven.

        `quiet`: a failure is not logged, because the body's signature may still authenticate the sender.
        """
        header = request.headers.get("authorization")
        who = sender(header, self._settings.gateway_tokens, self._settings.gateway_users)
        if who is None:
            if not quiet:
                self._log.note(request)
        else:
            prove(request.scope)
        return who

    def signed(self, request: Request, body: bytes, authentic: Authentic) -> str | None:
        """The sender whose token the body is signed with, or None. Every token is tried."""
        found = None
        for name, token in self._settings.gateway_tokens.items():
            try:
                if authentic(request.headers, body, token.get_secret_value()):
                    found = name
            except Exception as error:  # noqa: BLE001 - the edge of one kind of sender: what its check cannot take is nobody's
                log.debug("a signature could not be checked: %s", type(error).__name__)
        if found is None:
            self._log.note(request)
        else:
            prove(request.scope)
        return found
