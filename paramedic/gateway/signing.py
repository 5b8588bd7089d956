"""Authentication by a body's signature: an unknown sender's body must be read before it can be refused."""

from collections.abc import Mapping
from datetime import timedelta

from anyio import CapacityLimiter, to_thread
from fastapi import Request

from paramedic.gateway.body import Bodies
from paramedic.gateway.senders import Senders
from paramedic.kinds.faces import Authentic

#: A body of at most this many bytes needs no share of its lane's memory.
_SMALL = 32_768


class SigningLane:
    """Memory and a thread of one source, in which bodies of unknown senders are received and checked.

    Nothing else uses them: whatever unknown senders send, a sender with a token, or of another source, does not wait for
    them.
    """

    def __init__(
        self,
        authentic: Authentic,
        senders: Senders,
        credentials: Mapping[str, str],
        *,
        limit: int,
        timeout: timedelta,
    ) -> None:
        """`limit` and `timeout` as in `Bodies`: one body of the largest size at once, or several smaller ones."""
        self._authentic, self._senders, self._credentials = authentic, senders, credentials
        self.bodies = Bodies(limit, timeout, small=_SMALL, room=2 * limit)
        self._checking = CapacityLimiter(1)

    async def signer(self, request: Request, body: bytes) -> str | None:
        """The sender whose credential signed the body, or None. That costs one digest for each: one body at a time."""
        known = (request, body, self._authentic, self._credentials)
        return await to_thread.run_sync(self._senders.signed, *known, limiter=self._checking)
