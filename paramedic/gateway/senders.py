"""Senders: authenticates requests, and logs refusals."""

import logging
from collections.abc import Mapping

from fastapi import Request

from paramedic.gateway.refusal import RefusalLog
from paramedic.kinds.faces import Authentic, Source
from paramedic.serving.auth import sender
from paramedic.serving.connections import prove
from paramedic.settings import Settings

log = logging.getLogger(__name__)


#: What a sender shows.
KNOWN = "a bearer token (gateway_tokens, or the file gateway-token), or basic auth (gateway_users)"

#: The parameter of an address that holds a token.
IN_ADDRESS = "token"


class Senders:
    """Authenticates senders, and logs refused clients."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log = RefusalLog()

    def known(self, request: Request, *, quiet: bool = False, in_address: bool = False) -> str | None:
        """The sender's name, or None; marks the connection of a known one as proven.

        `quiet`: a failure is not logged, because the body's signature may still authenticate the sender. `in_address`: a token
        may be in the address (`?token=…`), for vendors that send no header of one's own; a header counts before it.
        """
        header = request.headers.get("authorization")
        if header is None and in_address and len(given := request.query_params.getlist(IN_ADDRESS)) == 1:
            header = f"Bearer {given[0].encode('utf-8', 'replace').decode('latin-1')}"
        who = sender(header, self._settings.gateway_tokens, self._settings.gateway_users)
        if who is None:
            if not quiet:
                self._log.note(request)
        else:
            prove(request.scope)
        return who

    def unsigned(self, request: Request, why: str) -> None:
        """Log that a body did not come whole, so that nobody knows who signed it."""
        self._log.note(request, f"nobody's signature could be checked, {why},")

    def credentials(self, source: Source) -> Mapping[str, str]:
        """What senders of this source sign with, by their names: its own setting, or the tokens."""
        if (setting := getattr(source, "CREDENTIALS", None)) is not None:
            return {"sns_topics": self._settings.sns_topics}.get(setting, {})
        return {name: token.get_secret_value() for name, token in self._settings.gateway_tokens.items()}

    def signed(self, request: Request, body: bytes, authentic: Authentic, credentials: Mapping[str, str]) -> str | None:
        """The sender whose credential the body is signed with, or None. Every one is tried."""
        found = None
        for name, credential in credentials.items():
            try:
                if authentic(request.headers, body, credential):
                    found = name
            except Exception as error:  # noqa: BLE001 - the edge of one kind of sender: what its check cannot take is nobody's
                log.debug("a signature could not be checked: %s", type(error).__name__)
        if found is None:
            self._log.note(request)
        else:
            prove(request.scope)
        return found
