"""Bodies by whose signature alone their sender is known: a stranger's must be read before it can be refused."""

from datetime import timedelta

from anyio import CapacityLimiter, to_thread
from fastapi import Request

from paramedic.gateway.body import Bodies
from paramedic.gateway.senders import Senders
from paramedic.kinds.faces import Authentic

#: So much of a stranger's body needs no share of the room of its lane.
_SMALL = 32_768


class SigningLane:
    """The room and the thread in which one source's unknown senders are received and checked.

    They are nobody else's: however much strangers send, who is known by a token and who sends to another source does not
    wait for them.
    """

    def __init__(self, authentic: Authentic, senders: Senders, *, limit: int, timeout: timedelta) -> None:
        """`limit` and `timeout` as in `Bodies`: one body of the largest size at once, or several smaller ones."""
        self._authentic, self._senders = authentic, senders
        self.bodies = Bodies(limit, timeout, small=_SMALL, room=2 * limit)
        self._checking = CapacityLimiter(1)

    async def signer(self, request: Request, body: bytes) -> str | None:
        """The sender whose token signed the body, or None. To find out costs a digest for each: one body at a time."""
        return await to_thread.run_sync(self._senders.signed, request, body, self._authentic, limiter=self._checking)
