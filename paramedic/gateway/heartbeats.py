"""The endpoint for heartbeats, by which others report that they are well."""

import logging
import re

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from paramedic.errors import Refused
from paramedic.gateway import not_now
from paramedic.gateway.readiness import Readiness
from paramedic.gateway.refusal import refused
from paramedic.gateway.senders import KNOWN, Senders
from paramedic.store import Store, StoreUnavailable, StoreUnknown, heartbeats, messages
from paramedic.text.redaction import redact

log = logging.getLogger(__name__)


_HEARTBEAT = re.compile(r"[A-Za-z0-9._-]{1,100}")


class HeartbeatEndpoint:
    """Receives heartbeats."""

    def __init__(self, senders: Senders, store: Store, readiness: Readiness) -> None:
        self._senders = senders
        self._readiness = readiness
        self._store = store

    async def receive(self, name: str, request: Request) -> Response:
        """Record one heartbeat of an authenticated sender. Its body is ignored."""
        who = self._senders.known(request)
        if who is None:
            return refused(401, "unknown sender", field="Authorization", what="unknown sender", allowed=KNOWN)
        if not _HEARTBEAT.fullmatch(name):
            await run_in_threadpool(self._report, f"{name!r:.120} is not a name", who)
            return refused(422, "unreadable", field="name", what="no name", allowed="up to 100 letters, digits, . _ -")
        return await run_in_threadpool(self._record, name, who)

    def _record(self, name: str, who: str) -> Response:
        try:
            with self._store.write() as tx:
                heartbeats.beat(tx, name, sender=who)
        except Refused as error:
            self._report(f"{name}: {error.reason}", who)
            return refused(422, "too many", field="name", what=error.reason, allowed="a name that is known already")
        except (StoreUnavailable, StoreUnknown) as error:
            log.warning("a heartbeat was not accepted: %s", error)
            self._readiness.refused()
            return not_now.to_sender("store", what="the heartbeat could not be written", allowed="send it again")
        return JSONResponse({"heard": name}, status_code=202)

    def _report(self, why: str, who: str) -> None:
        """Page a person: the job believes that it is watched, and is not."""
        try:
            with self._store.write() as tx:
                messages.queue_internal_alert(
                    tx,
                    subject="A heartbeat was refused",
                    body=f"{redact(why)}\n\nIt was sent by {who}. Nobody will miss it when it stays away.",
                    same_within_minutes=60,
                )
        except (StoreUnavailable, StoreUnknown) as error:
            log.warning("a refused heartbeat could not be reported: %s", error)
