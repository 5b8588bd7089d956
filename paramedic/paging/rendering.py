"""Renders queued messages at the moment of sending: one message, or a digest of many."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from paramedic import keys
from paramedic.incidents.incident import Incident, State, name
from paramedic.kinds.message import Message
from paramedic.machine.clock import utc_now
from paramedic.messages import compose, digest, page
from paramedic.messages.signed_link import Acknowledgement, Approving, sign, sign_approval
from paramedic.messages.summary import Summary
from paramedic.oncall.rotation import Person
from paramedic.paging.recipients import Recipients
from paramedic.remediation.approval import code
from paramedic.settings import Settings
from paramedic.store import Store, Tx, approvals, incident_alerts, incident_summary, incidents
from paramedic.store.messages import AGAIN, ENDED, QueuedMessage
from paramedic.text.local_time import LocalTime

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered message, and the queued messages left out of it because nobody needs them any more."""

    message: Message | None
    needless: tuple[QueuedMessage, ...] = ()


class Rendering:
    """Composes messages from the store's current state. If composing fails, a minimal message is sent (P5)."""

    def __init__(self, store: Store, settings: Settings, recipients: Recipients) -> None:
        self._store = store
        self._settings = settings
        self._recipients = recipients

    def render(self, messages: Sequence[QueuedMessage], person: Person) -> Rendered:
        """One message with all these queued messages for this person. Raises StoreUnavailable."""
        if all(message.incident is None for message in messages) and len(messages) == 1:
            internal = messages[0]
            return Rendered(compose.internal_alert(internal.subject, internal.body, now=utc_now(), person=person))
        with self._store.read() as tx:
            needed = [message for message in messages if self._is_needed(tx, message)]
            needless = tuple(message for message in messages if message not in needed)
            if not needed:
                return Rendered(None, needless)
            if len(needed) == 1:
                return Rendered(self._whole(tx, needed[0], person), needless)
            items = [self._item(tx, message, person) for message in needed]
            return Rendered(digest.digest(items, person=person, now=tx.now), needless)

    def _is_needed(self, tx: Tx, message: QueuedMessage) -> bool:
        if message.incident is None:
            return True
        if message.kind == "rung":
            return incidents.get(tx, message.incident).state is State.HANDED_OVER
        if message.kind == "approval":
            asked = approvals.asked(tx, message.incident)
            return asked is not None and asked.expires_at > tx.now
        if message.subject in (ENDED, AGAIN):  # it may have turned once more since then
            fires = incident_alerts.firing(tx, incidents.get(tx, message.incident), at_most=1) > 0
            return fires is (message.subject == AGAIN)
        return True

    def _whole(self, tx: Tx, message: QueuedMessage, person: Person) -> Message:
        """The whole message; where composing it fails, a bare one that has the link (P5)."""
        if message.incident is None:
            return compose.internal_alert(message.subject, message.body, now=tx.now, person=person)
        incident = incidents.get(tx, message.incident)
        link = self._link(incident, person) if message.kind == "rung" else ""
        lasts = self._recipients.policy(message).acknowledged_for
        try:
            return self._message(tx, message, incident, person, link=link, lasts=lasts)
        except Exception as error:  # a page that is bare beats one that is not sent (P5)
            log.exception("the message about %s could not be composed", incident.id)
            because = f"{type(error).__name__}: {error}"
            return page.bare(message.incident, person=person, link=link, lasts=lasts, because=because, now=tx.now)

    def _message(
        self, tx: Tx, message: QueuedMessage, incident: Incident, person: Person, *, link: str, lasts: timedelta
    ) -> Message:
        sending = message if message.kind == "rung" else None
        known = incident_summary.summary(
            tx, incident, oncall=self._recipients.oncall, sending=sending, ui_url=self._settings.prefect_ui_at()
        )
        match message.kind:
            case "approval":
                return self._approval(tx, known, person)
            case "notice":
                return compose.channel_update(known, happened=message.subject, person=person)
            case "update":
                return compose.update(known, subject=message.subject, body=message.body, person=person)
            case "news":
                return compose.resolution(known, person=person)
        return page.page(known, person=person, link=link, lasts=lasts)

    def _item(self, tx: Tx, message: QueuedMessage, person: Person) -> digest.Item:
        """The message's item in a digest."""
        if message.incident is None:
            return digest.internal_alert(message.subject, message.body)
        try:
            incident = incidents.get(tx, message.incident)
            ways, subject = {"link": "", "code": ""}, message.subject
            if message.kind == "rung":
                ways["link"] = self._link(incident, person)
            elif message.kind == "approval":
                ways, asked = self._answers(tx, incident, person), approvals.asked(tx, incident.number)
                subject = "" if asked is None else asked.with_touches
            now = incident_summary.condition(tx, incident).words(LocalTime(person.zone), tx.now)
            return digest.item(incident, kind=message.kind, subject=subject, now=now, **ways)
        except Exception as error:  # a line that is bare beats one that is not sent (P5)
            log.exception("the line about %s could not be composed", name(message.incident))
            return digest.bare(message.incident, because=f"{type(error).__name__}: {error}")

    def _link(self, incident: Incident, person: Person) -> str:
        try:
            key = keys.link_key(self._settings)
        except OSError as error:
            log.warning("the page to %s has no acknowledgement link: %s", person.id, error)
            return ""
        token = sign(key, Acknowledgement(incident.store, incident.number, person.id))
        return f"{self._settings.links_at()}/ack/{token}"

    def _answers(self, tx: Tx, incident: Incident, person: Person) -> dict[str, str]:
        """The link and the code that answer the open question; both empty where there is none, or no key."""
        asked = approvals.asked(tx, incident.number)
        if asked is None:
            return {"link": "", "code": ""}
        try:
            key = keys.link_key(self._settings)
        except OSError as error:
            log.warning("the question to %s has no link, and can be answered on the command line: %s", person.id, error)
            return {"link": "", "code": ""}
        token = sign_approval(key, Approving(incident.store, asked.id, person.id))
        return {
            "link": f"{self._settings.links_at()}/approve/{token}",
            "code": code(key, incident.store, asked.id, person.id),
        }

    def _approval(self, tx: Tx, known: Summary, person: Person) -> Message:
        asked = approvals.asked(tx, known.incident.number)
        if asked is None:
            raise LookupError("the question is answered")
        return compose.approval(known, asked, person=person, **self._answers(tx, known.incident, person))
