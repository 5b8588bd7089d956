"""Tells people: the one rung, the one piece of news, the one word of trouble, to the one person it is meant for."""

import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from paramedic import letter, overrides, settings
from paramedic.approval import code
from paramedic.boundary import reached
from paramedic.clock import boottime, utc_now
from paramedic.doors.telling import teller
from paramedic.error import TryAgain, Useless
from paramedic.escalation import ONCALL, Oncall, Policy
from paramedic.incident import Incident, State, name
from paramedic.letter import Letter
from paramedic.link import Acknowledgement, Approving, sign, sign_approval
from paramedic.rotation import Override, Person
from paramedic.settings import Settings
from paramedic.store import (
    Store,
    StoreUnavailable,
    StoreUnknown,
    Tx,
    acts,
    alerts,
    approvals,
    incidents,
    messages,
    trail,
)
from paramedic.store import overrides as kept_overrides
from paramedic.store.messages import Message
from paramedic.way import Way, parse_way

log = logging.getLogger(__name__)

#: How long a message waits after its first, second, … failed try.
_BACKOFF = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 60, 120, 300))

#: After so many failed tries the next rung is told as well.
_TRIES_BEFORE_NEXT_RUNG = 3

#: What one process could not write down, and what it says without the store, it says once in this many seconds.
_SAME_WORD_SECONDS = 300.0

#: A mail server that lets everybody wait must not keep the caller from its work: the rest waits for the next call.
_ROUND_SECONDS = 30.0

#: What the trail calls a message of each kind.
_CALLED = {
    "rung": "person",
    "news": "news",
    "trouble": "trouble",
    "approval": "approver",
    "notice": "notice",
    "update": "update",
}

#: A channel that takes no notice is asked for some eight hours; then the notice is old.
_TRIES_OF_A_NOTICE = 100

#: Notices wait for the next round where this one has taken so long: they keep no page waiting.
_NOTICES_SECONDS = 10.0


class Shelf(Protocol):
    """Where oncall.yaml is read: a Library, or something that needs less."""

    @property
    def oncall(self) -> Oncall:
        """Who is on call, by the file as it was last read."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A message that left, and could not be written down as sent."""

    at: float
    person: str
    how: str


class Pager:
    """Delivers what is due, by the store; and straight to whoever is on call, without it."""

    def __init__(self, store: Store, chosen: Settings, shelf: Shelf, *, steady: Callable[[], float] = boottime) -> None:
        """`steady` is a clock in seconds that never jumps."""
        self._store = store
        self._settings = chosen
        self._shelf = shelf
        self._steady = steady
        self._said: dict[str, float] = {}
        self._unrecorded: dict[int, _Sent] = {}
        self._writable = True
        self._overrides = overrides.kept(chosen.data)
        self._tired: set[str | None] = set()  # channels that said "later" in this round

    @property
    def repeat(self) -> timedelta:
        """After how long something that lasts is said again: the default policy's `repeat`."""
        return self._oncall.policy("default").repeat

    def deliver_due(self, incident: int | None = None) -> int:
        """Send what is due, of all incidents, or to the people of one; how many left.

        Raises StoreUnavailable if nothing can be read.

        Sending comes before recording and waits for no trail: a store that can be read and not written stops no
        message. What could not be recorded is not repeated within five minutes by this process, and recorded once
        that works again. Who dies in between repeats the message: better than to lose it.
        """
        began = self._steady()
        self._unrecorded = {
            number: sent for number, sent in self._unrecorded.items() if began - sent.at < 2 * _SAME_WORD_SECONDS
        }
        with self._store.read() as tx:
            due, now = messages.due(tx, incident=incident, limit=50 + len(self._unrecorded)), tx.now
            self._stand_in(kept_overrides.current(tx))
        self._writable = True
        self._tired.clear()
        left = 0
        for message in due:
            notice = message.kind == "notice"
            if self._steady() - began > (_NOTICES_SECONDS if notice else _ROUND_SECONDS):
                break
            if notice and message.recipient in self._tired:
                continue
            try:
                left += self._deliver(message, now)
            except Exception:  # a fault in one message keeps no other from its person (P5)
                log.exception("message %s did not leave", message.id)
        return left

    def end_acknowledgements(self) -> int:
        """Have it climb on where an acknowledgement has lasted its policy's `acknowledged_for`; how many did.

        Raises StoreUnavailable.
        """
        with self._store.read() as tx:
            kept, now = incidents.acknowledged(tx), tx.now
        ended = 0
        for incident in kept:
            lasts = self._oncall.policy(incident.policy, incident.severity).acknowledged_for
            if incident.acknowledged_at is not None and now - incident.acknowledged_at >= lasts:
                with self._store.record() as tx:
                    ended += incidents.end_acknowledgement(tx, incident.number, after=lasts)
        return ended

    def test(self, person: Person, by: str) -> Iterator[tuple[Way, str | None]]:
        """Send the person a page that says it is a test, by every way; of each what it answered, None if it left."""
        left = []
        for way in person.ways:
            try:
                written = letter.test(person, by=by, now=utc_now())
                self._send(way, person.id, written, message_id=_id("test", str(uuid.uuid4())))
            except (TryAgain, Useless) as error:
                yield way, str(error)
            else:
                left.append(way.spoken)
                yield way, None
        reason = f"{by} had a test sent to {person.id}; it left by {', '.join(left) or 'no way'}"

        def write(tx: Tx) -> None:
            trail.append(tx, actor="pager", phase="outcome", what="person.tested", reason=reason)

        self._write(write)

    def page_directly(self, subject: str, text: str) -> bool:
        """Tell somebody about Paramedic itself, without the store: on call first. The same subject once in 5 minutes.

        True if it left, now or within those 5 minutes.
        """
        said = self._said.get(subject)
        if said is not None and self._steady() - said < _SAME_WORD_SECONDS:
            return True
        now = utc_now()
        written = letter.trouble(subject, text, now=now)
        for person in self._anybody(now):
            try:
                self._reach(person, written, message_id=_id("direct", str(uuid.uuid4())))
            except TryAgain as error:
                log.error("%s could not be told of %r: %s", person.id, subject, error)  # noqa: TRY400 - its words say it
                return False
            except Useless as error:
                log.error("%s cannot be told of %r: %s", person.id, subject, error)  # noqa: TRY400 - its words say it
            else:
                self._said[subject] = self._steady()
                return True
        return False

    # --- one message --------------------------------------------------------------------------------------------------

    def _deliver(self, message: Message, now: datetime) -> bool:
        if not self._take(message):
            return False
        reached("message_taken", _about(message))
        refusals = []
        for person in self._people(message, now):
            try:
                written = self._compose(message, person)
                if written is None:
                    self._write(lambda tx: messages.withdraw(tx, message.incident or 0, kind=message.kind))
                    return False
                how = self._reach(person, written, message_id=_id(message.id, self._store.uuid), message=message)
            except TryAgain as error:
                self._put_off(message, error)
                return False
            except Useless as error:
                refusals.append(f"{person.id} cannot be told: {error}")
            else:
                if how is None:
                    return False
                reached("message_left", _about(message))
                self._unrecorded[message.id] = _Sent(self._steady(), person.id, how)
                self._record(message, person.id, how)
                return True
        self._cannot_reach(message, "; ".join(refusals) or f"{self._tell(message)} is nobody who can be told now")
        return False

    def _take(self, message: Message) -> bool:
        sent = self._unrecorded.get(message.id)
        if sent is not None:
            self._record(message, sent.person, sent.how)
            if message.id not in self._unrecorded or self._steady() - sent.at < _SAME_WORD_SECONDS:
                return False
        if self._writable:
            try:
                with self._store.write() as tx:
                    return messages.take(tx, message.id)
            except StoreUnavailable as error:
                log.warning("message %s is sent without being taken: %s", message.id, error)
                self._writable = False
        return True

    def _record(self, message: Message, person: str, how: str) -> None:
        def write(tx: Tx) -> None:
            if messages.sent(tx, message.id, person=person):
                words = (
                    f"{person} was told: {message.subject}" if message.kind == "notice" else f"{person} was told {how}"
                )
                self._tell_trail(tx, message, words, person=person)
                # Who had acknowledged before any rung was told gets as much time as the first rung's person.
                wait = self._policy(message).wait_after(max(message.rung, 0))
                self._queue_next(tx, message, rung=message.rung + 1, wait=wait)

        if self._write(write):
            self._unrecorded.pop(message.id, None)

    def _put_off(self, message: Message, error: TryAgain) -> None:
        if message.kind == "notice":
            self._tired.add(message.recipient)
            if message.tries + 1 >= _TRIES_OF_A_NOTICE:
                self._cannot_reach(message, str(error))
                return
        log.warning("message %s did not leave: %s", message.id, error)
        policy = self._policy(message)

        def write(tx: Tx) -> None:
            pause = max(_pause(message), min(error.after or timedelta(0), _BACKOFF[-1]))
            messages.put_off(tx, message.id, error=str(error), until=tx.now + pause)
            # The last rung has no next: it goes on trying, and climbs no pile of its own repeats.
            if message.tries + 1 >= _TRIES_BEFORE_NEXT_RUNG and not _is_last(policy, message):
                self._queue_next(tx, message, rung=message.rung + 1, wait=timedelta(0))

        self._write(write)

    def _cannot_reach(self, message: Message, error: str) -> None:
        log.error("message %s reaches nobody: %s", message.id, error)
        policy = self._policy(message)
        last = _is_last(policy, message)

        def write(tx: Tx) -> None:
            self._tell_trail(tx, message, error)
            if message.kind == "trouble":  # it has no rung above: everybody was asked, and is asked again
                messages.put_off(tx, message.id, error=error, until=tx.now + policy.repeat)
                return
            messages.unreachable(tx, message.id, error=error)
            if last:  # nobody is left: after a while the whole policy again
                self._queue_next(tx, message, rung=0, wait=policy.repeat)
            else:
                self._queue_next(tx, message, rung=message.rung + 1, wait=timedelta(0))

        self._write(write)

    def _write(self, write: Callable[[Tx], None]) -> bool:
        """In one transaction with the trail. False: the store cannot be written, and is not asked again this round."""
        if not self._writable:
            return False
        try:
            with self._store.record() as tx:
                write(tx)
        except StoreUnavailable as error:
            log.warning("what became of a message could not be written: %s", error)
            self._writable = False
            return False
        return True

    def _tell_trail(self, tx: Tx, message: Message, reason: str, *, person: str | None = None) -> None:
        trail.append(
            tx,
            actor="pager",
            phase="outcome",
            what=f"{_CALLED[message.kind]}.{'told' if person else 'unreachable'}",
            incident=message.incident,
            reason=reason,
            data={"message": message.id, "rung": message.rung, "person": person},
        )

    def _queue_next(self, tx: Tx, message: Message, *, rung: int, wait: timedelta) -> None:
        """Climb, unless somebody has it meanwhile or the climbing has gone on already."""
        number = message.incident
        if message.kind != "rung" or number is None or incidents.get(tx, number).state is not State.HANDED_OVER:
            return
        if any(other.kind == "rung" and other.id > message.id for other in messages.of(tx, number)):
            return
        messages.queue_rung(
            tx,
            incident=number,
            policy=message.policy,
            severity=message.severity,
            rung=rung,
            due_at=tx.now + wait,
        )

    # --- who is on call -----------------------------------------------------------------------------------------------

    @property
    def _oncall(self) -> Oncall:
        return replace(self._shelf.oncall, overrides=self._overrides)

    def _stand_in(self, current: tuple[Override, ...]) -> None:
        """Know the store's overrides, and keep their copy on disk for who comes when the store is away."""
        if current != self._overrides:
            self._overrides = current
            overrides.keep(self._settings.data, current)

    # --- to whom ------------------------------------------------------------------------------------------------------

    def _policy(self, message: Message) -> Policy:
        return self._oncall.policy(message.policy, message.severity)

    def _tell(self, message: Message) -> str:
        if message.kind != "rung":
            return ONCALL
        return message.recipient or self._policy(message).rung(message.rung).tell

    def _people(self, message: Message, now: datetime) -> list[Person]:
        if message.kind == "trouble":
            return self._anybody(now)
        if message.kind == "approval":  # the first of the policy's people who can be told
            return self._reachable([rung.tell for rung in self._policy(message).rungs], now)
        if message.kind == "update":  # its holder; else on call, then the policy's people
            holder = [message.recipient] if message.recipient else []
            return self._reachable([*holder, ONCALL, *(rung.tell for rung in self._policy(message).rungs)], now)
        if message.kind == "notice":
            way = parse_way(message.recipient)
            return [Person(way.spoken, way.spoken, (way,))]
        tells = [self._tell(message)]
        if message.kind == "rung" and not self._writable:  # no next rung can be queued: its person is tried at once
            tells += [rung.tell for rung in self._policy(message).rungs[message.rung + 1 :]]
        return self._reachable(tells, now)

    def _anybody(self, now: datetime) -> list[Person]:
        """Whoever is on call, then the default policy's people, then everybody: one of them hears of our trouble."""
        oncall = self._oncall
        rungs = oncall.policy("default").rungs
        return self._reachable([ONCALL, *(rung.tell for rung in rungs), *oncall.people], now)

    def _reachable(self, tells: Sequence[str], now: datetime) -> list[Person]:
        found = [self._oncall.person(tell, now) for tell in tells]
        return list(dict.fromkeys(person for person in found if person is not None and person.ways))

    # --- what ---------------------------------------------------------------------------------------------------------

    def _compose(self, message: Message, person: Person) -> Letter | None:
        """The letter, or None where nobody needs it any more. A fault in composing is told in a bare one (P5)."""
        if message.incident is None:
            return letter.trouble(message.subject, message.body, now=utc_now())
        with self._store.read() as tx:
            incident = incidents.get(tx, message.incident)
            if message.kind == "rung" and incident.state is not State.HANDED_OVER:
                return None
            if message.kind == "approval":
                return self._approval(tx, incident, person)
            link = self._link(incident, person) if message.kind == "rung" else ""
            lasts = self._policy(message).acknowledged_for
            try:
                return _written(tx, message, incident, person, link, lasts)
            except Exception as error:  # a page that is bare beats one that is not sent (P5)
                log.exception("the message about %s could not be composed", name(message.incident))
                because = f"{type(error).__name__}: {error}"
                return letter.bare(message.incident, person=person, link=link, lasts=lasts, because=because, now=tx.now)

    def _link(self, incident: Incident, person: Person) -> str:
        try:
            key = settings.link_key(self._settings)
        except OSError as error:
            log.warning("%s is paged without a link, by which nobody can acknowledge: %s", person.id, error)
            return ""
        token = sign(key, Acknowledgement(incident.store, incident.number, person.id))
        return f"{self._settings.links_at()}/ack/{token}"

    def _approval(self, tx: Tx, incident: Incident, person: Person) -> Letter | None:
        asked = approvals.asked(tx, incident.number)
        if asked is None or asked.expires_at <= tx.now:
            return None
        address, digits = "", ""
        try:
            key = settings.link_key(self._settings)
        except OSError as error:
            log.warning("%s is asked without a link, and can answer on the command line: %s", person.id, error)
        else:
            token = sign_approval(key, Approving(incident.store, asked.id, person.id))
            address = f"{self._settings.links_at()}/approve/{token}"
            digits = code(key, incident.store, asked.id, person.id)
        timeline = list(trail.entries(tx, incident=incident.number))
        return letter.approval(incident, asked, person=person, link=address, code=digits, timeline=timeline, now=tx.now)

    # --- by which way -------------------------------------------------------------------------------------------------

    def _reach(self, person: Person, written: Letter, *, message_id: str, message: Message | None = None) -> str | None:
        """By which of the person's ways it left, in words; None if it is no longer ours to send.

        A way that says no is left for the next at once. One that says "later" is waited for a few times, if it does not
        ask for longer than that. Raises TryAgain if a way said so and none took it, Useless if all said no.
        """
        refusals: list[str] = []
        later: TryAgain | None = None
        for way in person.ways:
            if refusals and message is not None and not self._still_ours(message):
                return None
            try:
                self._send(way, person.id, written, message_id=message_id)
            except TryAgain as error:
                if message is not None and _waits_for(message, error):
                    raise
                later = later or error
                refusals.append(f"{way.spoken}: {error}")
            except Useless as error:
                refusals.append(f"{way.spoken}: {error}")
            else:
                return f"by {way.spoken}" + (f", after {'; '.join(refusals)}" if refusals else "")
        if later is not None:
            raise TryAgain("; ".join(refusals), after=later.after)
        raise Useless("; ".join(refusals))

    def _still_ours(self, message: Message) -> bool:
        """Several ways may take longer than a message is held: nobody else may begin with it meanwhile."""
        if not self._writable:
            return True
        try:
            with self._store.write() as tx:
                return messages.keep(tx, message.id, taken=message.tries + 1)
        except StoreUnavailable as error:
            log.warning("message %s is sent without being held: %s", message.id, error)
            self._writable = False
            return True

    def _send(self, way: Way, to: str, written: Letter, *, message_id: str) -> None:
        mark = self._mark()
        headers = {"X-Paramedic": mark} | {f"X-Paramedic-{key.title()}": said for key, said in written.marks.items()}
        if "incident" in written.marks:  # one thread per incident in the reader's mailbox
            headers["References"] = _id(written.marks["incident"], mark)
        to = way.to if way.kind == "email" else to
        teller(way.kind, self._leads(way)).send(to, written.subject, written.text, None, headers, message_id)

    def _leads(self, way: Way) -> dict[str, str]:
        """What the way's integration needs to know, from the settings alone."""
        if way.kind == "email":
            if self._settings.smtp_url is None:
                raise Useless("no smtp_url is set: no mail can leave")
            return {"url": self._settings.smtp_url.get_secret_value(), "sender": self._settings.mail_from}
        channel = self._settings.channels.get(way.to)
        if channel is None:
            raise Useless(f"the setting `channels` names no {way.to}")
        given = {"url": channel.url, "secret": channel.secret}
        return {key: said.get_secret_value() for key, said in given.items() if said is not None}

    def _mark(self) -> str:
        """Whose message it is; a store that never answered cannot say."""
        try:
            return self._store.uuid
        except (StoreUnavailable, StoreUnknown):
            return "unknown"


def _id(what: object, store: str) -> str:
    """A Message-ID: the same for a repeated message. Short enough to stand on its header's own line."""
    return f"<{what}.{store}@paramedic.invalid>"


def _about(message: Message) -> str:
    return name(message.incident) if message.incident is not None else message.kind


def _pause(message: Message) -> timedelta:
    return _BACKOFF[min(message.tries, len(_BACKOFF) - 1)]


def _waits_for(message: Message, error: TryAgain) -> bool:
    """Whether the same way is worth another try, rather than the next one at once."""
    return message.tries + 1 < _TRIES_BEFORE_NEXT_RUNG and (error.after or timedelta(0)) <= _pause(message)


def _is_last(policy: Policy, message: Message) -> bool:
    """After somebody who is told in a rung's place the rungs climb on, however high they are."""
    return message.recipient is None and message.rung + 1 >= len(policy.rungs)


def _written(  # noqa: PLR0917 - what a letter is made of
    tx: Tx, message: Message, incident: Incident, person: Person, link: str, lasts: timedelta
) -> Letter:
    timeline = list(trail.entries(tx, incident=incident.number))
    if message.kind == "notice":
        return letter.notice(incident, happened=message.subject, timeline=timeline, now=tx.now)
    if message.kind == "update":
        return letter.update(incident, subject=message.subject, body=message.body, timeline=timeline, now=tx.now)
    if message.kind == "news":
        return letter.news(incident, timeline=timeline, now=tx.now)
    blocking = acts.open_on(tx, incident.target)
    open_acts = [act for act in acts.of(tx, incident.number) if act.result is None]
    if blocking is not None and blocking not in open_acts:
        open_acts.append(blocking)
    runbook = incidents.runbook_text(tx, incident.runbook_version) if incident.runbook_version else ""
    return letter.page(
        incident,
        person=person,
        timeline=timeline,
        evidence=incidents.evidence_of(tx, incident.number),
        open_acts=[(act.words, act.incident) for act in open_acts],
        mitigation=letter.mitigations(runbook, alerts.other_runbooks(tx, incident)),
        link=link,
        lasts=lasts,
        now=tx.now,
    )
