"""The pager: sends what is due by the store, and alerts about Paramedic itself without the store."""

import logging
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.message import Message
from paramedic.machine.clock import boottime, utc_now
from paramedic.messages import compose, digest
from paramedic.oncall.contact import ContactMethod
from paramedic.oncall.rotation import Person
from paramedic.paging.batches import SAME_WORD_SECONDS, Memory
from paramedic.paging.delivery import Delivery, store_mark
from paramedic.paging.outcome import Outcomes
from paramedic.paging.recipients import OnCallBook, Recipients
from paramedic.paging.sending import Round, send
from paramedic.settings import Settings
from paramedic.store import Store, Tx, incidents, lifecycle, trail

log = logging.getLogger(__name__)

#: By then a direct page has left or failed, whatever the channels do.
_DIRECT_SECONDS = 35.0

#: What waits for the next direct page.
_DIRECT_WAITING = 100


class Pager:
    """Delivers queued messages, and pages whoever is on call directly when the store is away.

    Each message tries every contact method of its person; internal alerts, questions and resolutions also the next person. A
    temporary failure delays no other message. Nobody gets more than five messages a minute: the rest is one digest.
    """

    def __init__(
        self, store: Store, settings: Settings, book: OnCallBook, *, steady: Callable[[], float] = boottime
    ) -> None:
        """`steady` is a clock in seconds that never jumps."""
        self._store = store
        self._settings = settings
        self._steady = steady
        self._paged_at: dict[str, float] = {}
        self._memory = Memory(steady)
        self._recipients = Recipients(book, settings.data)
        self._direct: dict[str, str] = {}  # what could not be said yet, by its subject

    @property
    def repeat(self) -> timedelta:
        """How long until a lasting condition is reported again: the default policy's `repeat`."""
        self._recipients.read_again()
        return self._recipients.oncall.policy("default").repeat

    def deliver_due(self, incident: int | None = None) -> int:
        """Send what is due, the worst first: of all incidents, or to the people of one; returns how many were sent.

        Returns within 40 seconds, whatever the channels do. Raises StoreUnavailable if nothing can be read.

        Sending comes before recording and does not wait for the trail: a store that is read-only stops no
        message. What could not be recorded is not repeated within five minutes by this process, and recorded once
        that works again. A process that dies in between repeats the message, which is better than losing it.
        """
        self._memory.forget_old()
        self._recipients.read_again()
        return Delivery(self._store, self._settings, self._recipients, self._memory, incident).run()

    def end_acknowledgements(self) -> int:
        """Resume the escalation where an acknowledgement has lasted its policy's `acknowledged_for`; returns how many.

        Raises StoreUnavailable.
        """
        self._recipients.read_again()
        with self._store.read() as tx:
            acknowledged, now = incidents.acknowledged(tx), tx.now
        ended = 0
        for incident in acknowledged:
            lasts = self._recipients.oncall.policy(incident.policy, incident.severity).acknowledged_for
            if incident.acknowledged_at is not None and now - incident.acknowledged_at >= lasts:
                with self._store.record() as tx:
                    ended += lifecycle.end_acknowledgement(tx, incident.number, after=lasts)
        return ended

    def test(self, person: Person, by: str) -> Iterator[tuple[ContactMethod, str | None]]:
        """Send the person a test page by every contact method; yields each with its error, None if it was sent."""
        left = []
        for method in person.contact_methods:
            try:
                written = compose.test(person, by=by, now=utc_now())
                self._send(Round(_DIRECT_SECONDS), method, person, written, what="test")
            except (TemporaryError, PermanentError) as error:
                yield method, str(error)
            else:
                left.append(method.spoken)
                yield method, None
        reason = f"{by} had a test sent to {person.id}; it left by {', '.join(left) or 'no way'}"

        def write(tx: Tx) -> None:
            trail.append(tx, actor="pager", phase="outcome", what="person.tested", reason=reason)

        Outcomes(self._store, self._recipients).write(write)

    def page_directly(self, subject: str, text: str) -> bool:
        """Page somebody about Paramedic itself, without the store: whoever is on call first. The same subject once in 5 minutes.

        True if it was sent, now or within those 5 minutes. A person who cannot be reached by any method is skipped for the next
        person at once. It returns within 40 seconds. A message to a person whose limit for this minute is reached
        waits for the next call.
        """
        paged_at = self._paged_at.get(subject)
        if paged_at is not None and self._steady() - paged_at < SAME_WORD_SECONDS:
            return True
        if subject in self._direct or len(self._direct) < _DIRECT_WAITING:
            self._direct[subject] = text
        self._recipients.read_again()
        now, within = utc_now(), Round(_DIRECT_SECONDS)
        for person in self._recipients.anybody(now):
            had = self._memory.sent_lately(person.id)
            if had >= self._settings.messages_a_minute:
                return False  # who got so many knows that something is wrong
            words = {subject: text} if had < self._settings.messages_a_minute - 1 else dict(self._direct)
            if self._reach_directly(within, person, words):
                self._memory.count_sent(person.id)
                for left in list(words):
                    self._paged_at[left] = self._steady()
                    self._direct.pop(left, None)
                return subject in self._paged_at
        return False

    def _reach_directly(self, within: Round, person: Person, words: dict[str, str]) -> bool:
        now = utc_now()
        if len(words) == 1:
            [(subject, text)] = words.items()
            written = compose.internal_alert(subject, text, now=now)
        else:
            written = digest.digest(
                [digest.internal_alert(about, body) for about, body in words.items()], person=person, now=now
            )
        for method in person.contact_methods:
            try:
                self._send(within, method, person, written, what="direct")
            except (TemporaryError, PermanentError) as error:
                log.error("%s cannot be paged about %r by %s: %s", person.id, list(words), method.spoken, error)  # noqa: TRY400 - its words say it
            else:
                return True
        return False

    def _send(self, within: Round, method: ContactMethod, person: Person, written: Message, *, what: str) -> None:
        message = replace(written.addressed(person.id, what, str(uuid.uuid4())), store=store_mark(self._store))
        send(self._settings, within, method, message)
