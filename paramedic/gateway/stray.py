"""Deliveries of known senders to an address that is none: a typing error in a sender's settings loses no alert in silence."""

import difflib
import logging

from fastapi import Request, Response

from paramedic.gateway.alerts import AlertIntake
from paramedic.gateway.body import BodyRefused, NoRoom
from paramedic.store import inbox
from paramedic.store.quarantine import Unreadable
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line

log = logging.getLogger(__name__)

#: What the quarantine names as their source.
SOURCE = "no-source"

#: These ask; nothing is delivered by them.
_ASKS = ("GET", "HEAD", "OPTIONS")


class StrayDeliveries:
    """Keeps what a known sender delivers beside every address of alerts, and has a person paged."""

    def __init__(self, intake: AlertIntake, prefix: str, names: list[str]) -> None:
        """`names`: the kinds of senders, each at `prefix` and its name."""
        self._intake, self._prefix, self._names = intake, prefix, names

    async def keep(self, request: Request) -> Response | None:
        """Keep it where a known sender meant an alert; the answer where that cannot be done now, and it is to be repeated."""
        if request.method in _ASKS or not request.url.path.startswith(self._prefix):
            return None
        who = self._intake.senders.known(request, in_address=True)
        if who is None:
            return None
        try:
            async with self._intake.bodies.receive(request, who) as body:
                text = body.decode("utf-8", "backslashreplace")
        except NoRoom:
            return self._intake.no_room()
        except BodyRefused as error:
            text = error.beginning
        why = self._why(request)
        log.warning("a delivery of %s went to no address: %s", who, why)
        bad = [Unreadable(f"{request.method} {one_line(request.url.path)[:1000]}\n\n{text}", why)]
        keep = self._intake.settings.quarantine_limit
        return await self._intake.commit(inbox.prepare((), source=SOURCE, sender=who, bad=bad, keep=keep))

    def _why(self, request: Request) -> str:
        path = redact(one_line(request.url.path)[:200])
        name = request.url.path.removeprefix(self._prefix).strip("/").lower().replace("-", "_")
        near = difflib.get_close_matches(name[:64], self._names, n=1)
        allowed = f"POST {self._prefix}{near[0]}" if near else f"POST {self._prefix}NAME (`paramedic source list`)"
        return f"path: {request.method:.20} {path} is no address of this gateway; allowed: {allowed}"
