"""Tells people: the one rung, the one piece of news, the one word of trouble, to the one person it is meant for."""

import logging
import uuid
from datetime import timedelta

from paramedic import letter, runbook, settings
from paramedic.clock import boottime, utc_now
from paramedic.document import BadDocument
from paramedic.doors.telling import teller
from paramedic.error import TryAgain, Useless
from paramedic.incident import Incident, State
from paramedic.letter import Letter
from paramedic.library import Library
from paramedic.link import Acknowledgement, sign
from paramedic.rotation import Person
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, Tx, acts, incidents, messages, trail
from paramedic.store.messages import Message

log = logging.getLogger(__name__)

#: How long a message waits after its first, second, … failed try.
_BACKOFF = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 60, 120, 300))

#: After so many failed tries the next rung is told as well.
_TRIES_BEFORE_NEXT_RUNG = 3

#: The same word straight to a person is said once in this many seconds by one process.
_SAME_WORD_SECONDS = 300.0


class Pager:
    """Delivers what is due, by the store; and straight to whoever is on call, without it."""

    def __init__(self, store: Store, chosen: Settings, shelf: Library) -> None:
        self._store = store
        self._settings = chosen
        self._oncall = shelf.oncall
        self._said: dict[str, float] = {}
        self._unrecorded: dict[int, tuple[float, str]] = {}

    def deliver_due(self, incident: int | None = None) -> int:
        """Send what is due, of one incident or of all; how many left. Raises StoreUnavailable if nothing can be read.

        Sending comes before recording, and never waits for the trail: a store that cannot be written stops no message.
        """
        with self._store.read() as tx:
            due = messages.due(tx, incident=incident)
        return sum(self._deliver(message) for message in due)

    def page_directly(self, subject: str, body: str) -> bool:
        """Tell whoever is on call about Paramedic itself, without the store. The same subject once in five minutes."""
        if boottime() - self._said.get(subject, -_SAME_WORD_SECONDS) < _SAME_WORD_SECONDS:
            return False
        person = self._oncall.person("oncall", utc_now())
        if person is None or person.email is None:
            log.error("nobody on call can be told: %s", subject)
            return False
        try:
            self._send(
                person,
                letter.trouble(subject, body, now=utc_now()),
                message_id=f"<paramedic.{uuid.uuid4()}@paramedic.invalid>",
            )
        except (TryAgain, Useless) as error:
            log.error("%s could not be told: %s: %s", person.id, subject, error)  # noqa: TRY400 - the reason is enough
            return False
        self._said[subject] = boottime()
        return True

    def _deliver(self, message: Message) -> bool:
        if not self._take(message):
            return False
        person = self._person(message)
        if person is None or person.email is None:
            self._cannot_reach(message, f"{self._tell(message)} is nobody who can be told now")
            return False
        try:
            with self._store.read() as tx:
                written = self._compose(tx, message, person)
            if written is None:
                return False
            self._send(person, written, message_id=f"<paramedic.{self._store.uuid}.{message.id}@paramedic.invalid>")
        except TryAgain as error:
            self._put_off(message, str(error))
            return False
        except Useless as error:
            self._cannot_reach(message, str(error))
            return False
        self._record(message, person.id)
        return True

    def _take(self, message: Message) -> bool:
        if message.id in self._unrecorded:
            self._record(message, self._unrecorded[message.id][1])
            return False
        try:
            with self._store.write() as tx:
                return messages.take(tx, message.id)
        except StoreUnavailable as error:
            log.warning("message %s is sent without being taken: %s", message.id, error)
            return True

    def _record(self, message: Message, person: str) -> None:
        try:
            with self._store.record() as tx:
                if messages.sent(tx, message.id, person=person):
                    trail.append(
                        tx,
                        actor="pager",
                        phase="outcome",
                        what=f"{message.kind}.told",
                        incident=message.incident,
                        reason=f"{person} was told",
                        data={"message": message.id, "rung": message.rung, "person": person},
                    )
                    if message.tries < _TRIES_BEFORE_NEXT_RUNG:
                        self._next_rung(tx, message)
        except StoreUnavailable as error:
            log.warning("message %s was sent, which could not be written: %s", message.id, error)
            self._unrecorded[message.id] = (boottime(), person)
        else:
            self._unrecorded.pop(message.id, None)

    def _put_off(self, message: Message, error: str) -> None:
        log.warning("message %s did not leave: %s", message.id, error)
        try:
            with self._store.record() as tx:
                pause = _BACKOFF[min(message.tries, len(_BACKOFF) - 1)]
                messages.put_off(tx, message.id, error=error, until=tx.now + pause)
                if message.tries + 1 == _TRIES_BEFORE_NEXT_RUNG:
                    self._next_rung(tx, message, at_once=True)
        except StoreUnavailable as unavailable:
            log.warning("message %s is tried again when its hold ends: %s", message.id, unavailable)

    def _cannot_reach(self, message: Message, error: str) -> None:
        log.error("message %s can never leave: %s", message.id, error)
        with self._store.record() as tx:
            messages.unreachable(tx, message.id, error=error)
            trail.append(
                tx,
                actor="pager",
                phase="outcome",
                what=f"{message.kind}.unreachable",
                incident=message.incident,
                reason=error,
                data={"message": message.id, "rung": message.rung},
            )
            self._next_rung(tx, message, at_once=True)

    def _next_rung(self, tx: Tx, message: Message, *, at_once: bool = False) -> None:
        if message.kind != "rung" or message.incident is None:
            return
        if incidents.get(tx, message.incident).state is not State.HANDED_OVER:
            return
        policy = self._oncall.policy(message.policy)
        last = message.rung + 1 >= len(policy.rungs)
        wait = timedelta(0) if at_once and not last else policy.wait_after(message.rung)
        messages.queue_rung(
            tx, incident=message.incident, policy=message.policy, rung=message.rung + 1, due_at=tx.now + wait
        )

    def _tell(self, message: Message) -> str:
        return self._oncall.policy(message.policy).rung(message.rung).tell if message.kind == "rung" else "oncall"

    def _person(self, message: Message) -> Person | None:
        return self._oncall.person(self._tell(message), utc_now())

    def _compose(self, tx: Tx, message: Message, person: Person) -> Letter | None:
        if message.incident is None:
            return letter.trouble(message.subject, message.body, now=tx.now)
        incident = incidents.get(tx, message.incident)
        timeline = list(trail.entries(tx, incident=message.incident))
        if message.kind == "news":
            return letter.news(incident, timeline=timeline, now=tx.now)
        if incident.state is not State.HANDED_OVER:
            return None
        token = sign(settings.link_key(self._settings), Acknowledgement(incident.store, incident.number, person.id))
        return letter.page(
            incident,
            timeline=timeline,
            evidence=incidents.evidence_of(tx, incident.number),
            open_acts=[act.words for act in acts.of(tx, incident.number) if act.result is None],
            mitigation=_mitigation(tx, incident),
            link=f"{self._settings.links_at()}/ack/{token}",
            now=tx.now,
        )

    def _send(self, person: Person, written: Letter, *, message_id: str) -> None:
        if self._settings.smtp_url is None:
            raise Useless("no smtp_url is set: no mail can leave")
        mail = teller("email", {"url": self._settings.smtp_url.get_secret_value(), "sender": self._settings.mail_from})
        mail.send(person.email or "", written.subject, written.text, None, {"X-Paramedic": "1"}, message_id)


def _mitigation(tx: Tx, incident: Incident) -> str:
    if incident.runbook_version is None:
        return ""
    try:
        pinned = runbook.parse(incidents.runbook_text(tx, incident.runbook_version), f"{incident.runbook}.md")
    except BadDocument:
        return ""
    return letter.mitigation_of(pinned.prose)
