"""The endpoints for alerts, one for each kind of sender. A 202 means durable."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from anyio import CapacityLimiter, to_thread
from fastapi import Request, Response
from fastapi.responses import JSONResponse

from paramedic.alerts.alert import Status
from paramedic.alerts.reading import BadPayload, Reading
from paramedic.alerts.severity_words import SeverityTable
from paramedic.gateway import metrics, not_now
from paramedic.gateway.body import Bodies, BodyRefused, NoRoom
from paramedic.gateway.group_commit import GroupCommit, QueueFull
from paramedic.gateway.raw_bodies import RawBodies
from paramedic.gateway.readiness import Readiness
from paramedic.gateway.refusal import refused
from paramedic.gateway.senders import KNOWN, Senders
from paramedic.gateway.signing import SigningLane
from paramedic.gateway.tiers import ServiceTiers
from paramedic.intake.intake import Wake
from paramedic.kinds.faces import Authentic, Source
from paramedic.machine.kill_points import kill_point
from paramedic.settings import Settings
from paramedic.store import OUR_MISTAKE, Store, StoreUnavailable, StoreUnknown, inbox
from paramedic.store.inbox import Delivery
from paramedic.store.quarantine import Beside, Unreadable
from paramedic.store.raw_bodies import NOT_KEPT

log = logging.getLogger(__name__)


#: A body of at most this many bytes is parsed at once. A larger one is parsed in a thread, one at a time, and delays no other.
_QUICK = 128 * 1024


class AlertIntake:
    """The shared part of all alert endpoints: bounds on bodies, and the group commit."""

    def __init__(  # noqa: PLR0917 - what alerts are taken with
        self,
        settings: Settings,
        store: Store,
        senders: Senders,
        wake: Wake,
        body_timeout: timedelta,
        readiness: Readiness,
        tiers: ServiceTiers,
    ) -> None:
        self.settings = settings
        self.readiness = readiness
        self.tiers = tiers
        self.senders = senders
        self.wake = wake
        self.severities = SeverityTable(settings.severities)
        self.bodies = Bodies(settings.body_limit, body_timeout)
        self.commits = GroupCommit(store, _committed)
        self.reading = CapacityLimiter(1)
        self.raw = RawBodies()
        self._body_timeout = body_timeout

    async def commit(self, delivery: Delivery) -> Response | None:
        """Return when it is durable; the answer to its sender where that cannot be done now, and nothing of it was kept.

        Raises one of OUR_MISTAKE where the database refuses what is in it.
        """
        try:
            await self.commits.commit(delivery)
        except QueueFull:
            return not_now.to_sender("busy", what="too much waits for its commit", allowed="send them again")
        except (StoreUnavailable, StoreUnknown) as error:
            log.warning("a delivery was not accepted: %s", error)
            self.readiness.refused()
            return not_now.to_sender("store", what="the alerts could not be written", allowed="send them again")
        return None

    @staticmethod
    def no_room() -> Response:
        """The answer to a large body for which there is no memory now."""
        return not_now.to_sender("busy", what="too many large bodies are under way", allowed="send it again")

    def signing_lane(self, source: Source, authentic: Authentic) -> SigningLane:
        """A lane for one source whose senders are known by signatures."""
        credentials = self.senders.credentials(source)
        return SigningLane(
            authentic, self.senders, credentials, limit=self.settings.body_limit, timeout=self._body_timeout
        )


class AlertEndpoint:
    """Receives the alerts of one kind of sender."""

    def __init__(self, name: str, source: Source, intake: AlertIntake) -> None:
        """`source`: see `paramedic.kinds.faces.Source`."""
        self._name, self._source, self._intake = name, source, intake
        authentic: Authentic | None = getattr(source, "authentic", None)
        self._signing = None if authentic is None else intake.signing_lane(source, authentic)
        self._confirm: Callable[[bytes, Mapping[str, str]], str | None] | None = getattr(source, "confirm", None)
        self._quarantined = metrics.QUARANTINED.labels(name)
        self._truncated = metrics.TRUNCATED.labels(name)
        self._taken = {status: metrics.ALERTS.labels(name, status.value) for status in Status}

    async def receive(self, request: Request) -> Response:
        """Answer a POST. The sender is authenticated before the body is read, unless its vendor signs the body."""
        who = self._intake.senders.known(request, quiet=self._signing is not None, in_address=True)
        if who is None:
            return _unknown_sender() if self._signing is None else await self._receive_signed(request, self._signing)
        try:
            async with self._intake.bodies.receive(request, who) as body:
                return await self._store(request, body, who)
        except NoRoom:
            return self._intake.no_room()
        except BodyRefused as error:
            return await self._refuse(error, who)

    async def _receive_signed(self, request: Request, signing: SigningLane) -> Response:
        try:
            async with signing.bodies.receive(request, self._name) as body:
                who = await signing.signer(request, body)
                return _unknown_sender() if who is None else await self._store(request, body, who)
        except NoRoom:
            return self._intake.no_room()
        except BodyRefused as error:
            self._intake.senders.unsigned(request, str(error))
            return _unknown_sender()

    async def _refuse(self, error: BodyRefused, who: str) -> Response:
        """Quarantine what a known sender could not deliver, cut short, and have a person paged.

        Where it cannot be kept either the answer is 503: its sender repeats that, and no other refusal.
        """
        log.warning("a delivery from %s was not accepted: %s", who, error)
        later = await self._quarantine(Unreadable(error.beginning, str(error)), who)
        return later or refused(error.status, error.reason, field="body", what=error.what, allowed=error.allowed)

    async def _quarantine(self, bad: Unreadable, who: str) -> Response | None:
        """Commit it; the answer where that cannot be done now."""
        keep = self._intake.settings.quarantine_limit
        later = await self._intake.commit(inbox.prepare((), source=self._name, sender=who, bad=[bad], keep=keep))
        if later is None:
            self._quarantined.inc()
        return later

    async def _store(self, request: Request, body: bytes, who: str) -> Response:
        began = time.perf_counter()
        if len(body) <= _QUICK:
            received = self._read(request.headers, body, who)
        else:
            received = await to_thread.run_sync(self._read, request.headers, body, who, limiter=self._intake.reading)
        try:
            later = await self._intake.commit(received.delivery)
        except OUR_MISTAKE as error:
            return await self._refused_by_store(body, who, error)
        if later is not None:
            return later
        self._intake.readiness.taken()
        metrics.TOOK.observe(time.perf_counter() - began)
        self._quarantined.inc(received.quarantined)
        self._truncated.inc(received.delivery.truncated)
        for status, count in received.statuses.items():
            self._taken[status].inc(count)
        self._intake.wake.set(critical=received.delivery.is_critical)
        if self._confirm is not None and received.delivery.asides:
            confirmed = await to_thread.run_sync(self._confirm, body, self._intake.senders.credentials(self._source))
            if confirmed is not None:
                log.warning("%s: %s", self._name, confirmed)
        problem = received.problem
        if problem is not None:
            status_code = 422 if problem.readable else 400
            return refused(status_code, "unreadable", field=problem.field, what=problem.what, allowed=problem.allowed)
        answer = {"receipts": received.delivery.receipts, "quarantined": received.quarantined}
        return JSONResponse(answer, status_code=202)

    async def _refused_by_store(self, body: bytes, who: str, error: Exception) -> Response:
        """Quarantine what the database does not take as an alert: repeated, it would be refused again."""
        log.error("the store refused an alert of %s (%s): %s", who, self._name, type(error).__name__)
        what = f"the database refused it: {type(error).__name__}"
        text = body.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
        later = await self._quarantine(Unreadable(text, f"body: {what}"), who)
        return later or refused(422, "unreadable", field="body", what=what, allowed="what can be stored as an alert")

    def _read(self, headers: Mapping[str, str], body: bytes, who: str) -> "_ReadRequest":
        """All work before the transaction."""
        problem: BadPayload | None = None
        truncated = 0
        asides: list[Beside] = []
        try:
            reading = self._reading(headers, body)
            truncated = reading.truncated
            alerts = tuple(map(self._intake.severities.judged, reading.alerts))
            bad = [Unreadable(part.body, part.error) for part in reading.bad]
            asides = [Beside(aside.body, aside.what, aside.tell) for aside in reading.asides]
            quarantined = sum(part.count for part in reading.bad)
            if not (alerts or bad or asides):
                asides = [Beside(body.decode("utf-8", "backslashreplace"), "names no alert, and nothing else")]
        except BadPayload as error:
            problem, alerts, quarantined = error, (), 1
            bad = [Unreadable(body.decode("utf-8", "backslashreplace"), str(error))]
        delivery = inbox.prepare(
            alerts,
            source=self._name,
            sender=who,
            bad=bad,
            keep=self._intake.settings.quarantine_limit,
            truncated=truncated,
            asides=asides,
            tier_of=self._intake.tiers.of,
            raw=(self._intake.raw.keep(headers, body) or NOT_KEPT) if alerts else None,
        )
        return _ReadRequest(delivery, problem, quarantined, Counter(alert.status for alert in alerts))

    def _reading(self, headers: Mapping[str, str], body: bytes) -> Reading:
        try:
            return self._source.read(headers, body)
        except BadPayload:
            raise
        except Exception as error:  # the edge of one kind of sender: a fault in its reader loses no body
            log.exception("the reader of %s failed", self._name)
            what = f"the reader of {self._name} failed: {type(error).__name__}"
            raise BadPayload("body", what, "its fault is in the gateway's log", readable=True) from error


@dataclass(frozen=True, slots=True)
class _ReadRequest:
    """One parsed request."""

    delivery: Delivery
    problem: BadPayload | None
    quarantined: int
    statuses: Mapping[Status, int]


def _unknown_sender() -> Response:
    return refused(401, "unknown sender", field="Authorization", what="unknown sender", allowed=KNOWN)


def _committed(delivery: Delivery) -> None:
    if delivery.first is not None:
        kill_point("alert_committed", delivery.first)
