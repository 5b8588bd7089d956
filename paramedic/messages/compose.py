"""Composes the subject and text of each kind of message. Pure; text from outside is escaped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from paramedic.audit.chain import Entry
from paramedic.incidents.incident import Incident, name
from paramedic.kinds.message import Link, Message
from paramedic.machine.clock import iso, spoken
from paramedic.oncall.rotation import Person
from paramedic.remediation.approval import Approval, describe_instance
from paramedic.text.markdown import part_of
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line, visible

#: A page must be readable on a phone: each piece of evidence is cut to its last characters, this many.
EVIDENCE_LIMIT = 4_000

_PIECES_LIMIT = 6
_LINES_LIMIT = 40
_SUBJECT_LIMIT = 200
_WORDS_LIMIT = 500  # characters of a title, of a reason, of a line of the timeline
_BODY_LIMIT = 8_000  # characters of a checklist, of a word about ourselves


@dataclass(frozen=True, slots=True)
class Condition:
    """The state of an incident's alerts at the moment when a message about it is composed."""

    firing: int = 0  # how many of them fire
    of: int = 0
    said_at: datetime | None = None  # when one that fires was last said
    ended_at: datetime | None = None  # when the last of them ended, if none fires

    @property
    def words(self) -> str:
        """The condition as a sentence; empty without alerts."""
        if self.ended_at is not None:
            which = "its alert has" if self.of == 1 else f"all {self.of} alerts have"
            return f"Now: {which} ended, at {iso(self.ended_at)}, by its sender's word."
        if self.said_at is not None:
            which = "its alert fires" if self.of == 1 else f"{self.firing} of {self.of} alerts fire"
            return f"Now: {which}, last said at {iso(self.said_at)}."
        return ""


#: Nothing is known about its alerts.
UNKNOWN = Condition()


def page(
    incident: Incident,
    *,
    person: Person,
    timeline: Sequence[Entry],
    evidence: Sequence[Mapping[str, Any]],
    open_acts: Sequence[tuple[str, int]],
    mitigation: str,
    link: str,
    lasts: timedelta,
    now: datetime,
    condition: Condition = UNKNOWN,
) -> Message:
    """A page: what is wrong, why it is this person's, what to do, what was done and seen, and the link that stops the escalation.

    `open_acts` are acts without an outcome, in words, each with the number of its incident. Our own text starts at the
    margin; text from outside is on one line, or indented. `lasts` is how long an acknowledgement stops the escalation.
    """
    over = condition.ended_at is not None
    wrong = f"{short(incident.title)} on {short(incident.target)}"
    parts = [
        f"{wrong} ({incident.severity}), {'begun' if over else 'since'} {iso(incident.opened_at)}.",
        *_now(condition),
        f"It is yours because: {short(incident.because or 'nobody else has it')}",
        *_taken_before(incident, person, now),
        _take_it(incident.number, person, link, lasts),
        *[
            f"OPEN: {short(words)}. Nobody knows whether it happened; nothing else is done to its target meanwhile.\n"
            f"Look at the target before you act. Once you know, and it is over:\n"
            f"paramedic incident resolve {name(number)} --by {person.id}"
            for words, number in open_acts
        ],
    ]
    if mitigation:
        what_to_do = "What to do, if it is not well" if over else "What to do"
        parts.append(f"{what_to_do}:\n{_data(mitigation, first=_BODY_LIMIT)}")
    parts.append(_done(timeline))
    if len(evidence) > _PIECES_LIMIT:
        parts.append(f"{len(evidence) - _PIECES_LIMIT} older pieces of evidence are in `paramedic incident show`.")
    parts += [
        f"{short(piece['kind'])}, {iso(piece['taken_at'])}:\n{_data(piece['body'], last=EVIDENCE_LIMIT)}"
        for piece in evidence[-_PIECES_LIMIT:]
    ]
    parts.append(f"Sent {iso(now)} by Paramedic.")
    subject = f"{_about(incident)}: {ending(incident)}{_over(condition)}"
    return _message("page", incident, subject, parts, take_links(incident.id, link))


def resolution(
    incident: Incident, *, timeline: Sequence[Entry], now: datetime, condition: Condition = UNKNOWN
) -> Message:
    """A resolution: the incident is over, and how it ended."""
    parts = [
        f"{short(incident.title)} on {short(incident.target)}: {ending(incident)}. {short(incident.because or '')}",
        *_now(condition),
        _done(timeline),
        f"Nothing is left to do. Sent {iso(now)} by Paramedic.",
    ]
    return _message("news", incident, f"{_about(incident)}: {ending(incident)}", parts)


def update(
    incident: Incident,
    *,
    subject: str,
    body: str,
    timeline: Sequence[Entry],
    now: datetime,
    condition: Condition = UNKNOWN,
) -> Message:
    """An update for whoever holds the incident: something changed, and it continues."""
    parts = [
        f"{short(incident.title)} on {short(incident.target)} ({incident.severity}): {short(subject)}.",
        *([_data(body, first=_BODY_LIMIT)] if body else []),
        *_now(condition),
        _done(timeline),
        f"Sent {iso(now)} by Paramedic.",
    ]
    return _message("update", incident, f"{_about(incident)}: {short(subject)}", parts)


def approval(
    incident: Incident,
    asked: Approval,
    *,
    person: Person,
    link: str,
    code: str,
    timeline: Sequence[Entry],
    now: datetime,
    condition: Condition = UNKNOWN,
) -> Message:
    """A question: may this change be made? To which instance of which target, until when, and how to answer."""
    by_hand = f"paramedic incident approve {incident.id} --by {person.id}"
    ways = [by_hand, f"{by_hand} --deny"]
    if link:
        ways = [link, f"Your code there: {code}", f"or: {ways[0]}", f"or: {ways[1]}"]
    parts = [
        f"Paramedic asks you before it does this: {short(asked.remedy)}",
        f"On {short(asked.target)} ({short(describe_instance(asked.identity))}),\nuntil {iso(asked.expires_at)}.",
        f"For {incident.id}: {short(incident.title)} ({incident.severity}), since {iso(incident.opened_at)}.",
        *_now(condition),
        "Without an approval nothing is done, and the incident goes to a person.",
        "\n".join(["Approve or deny it:", *ways]),
        _done(timeline),
        f"Sent {iso(now)} by Paramedic.",
    ]
    subject = f"{_about(incident)}: approve {short(asked.remedy)}?"
    return _message("approval", incident, subject, parts, answer_links(incident.id, link, code))


def channel_update(
    incident: Incident, *, happened: str, timeline: Sequence[Entry], now: datetime, condition: Condition = UNKNOWN
) -> Message:
    """A message for a channel that follows the incident: what happened, without a request to act."""
    parts = [
        f"{short(incident.title)} on {short(incident.target)} ({incident.severity}): {short(happened)}.",
        *([short(incident.because)] if incident.because and happened != "opened" else []),
        *_now(condition),
        _done(timeline),
        f"Whoever is on call is told apart from this. Sent {iso(now)} by Paramedic.",
    ]
    return _message("news", incident, f"{_about(incident)}: {short(happened)}", parts)


def bare(number: int, *, person: Person, link: str, lasts: timedelta, because: str, now: datetime) -> Message:
    """The minimal page about an incident whose message could not be composed."""
    parts = [
        f"{name(number)} needs a look. Its message could not be composed: {short(because)}",
        f"What is known: paramedic incident show {name(number)}",
        _take_it(number, person, link, lasts),
        f"Sent {iso(now)} by Paramedic.",
    ]
    links = take_links(name(number), link)
    return compose("page", f"[{name(number)}] needs a look", parts, incident=name(number), links=links)


def internal_alert(subject: str, body: str, *, now: datetime) -> Message:
    """An alert about Paramedic itself."""
    words = visible(redact(body))[:_BODY_LIMIT]
    parts = [words, f"Sent {iso(now)} by Paramedic, about itself."]
    return compose("trouble", f"[Paramedic] {short(subject)}", parts)


def test(person: Person, *, by: str, now: datetime) -> Message:
    """A test message that travels like a page."""
    words = (
        f"This is a test, for {short(person.name)}, sent by {short(by)}. Nothing is wrong, and nothing is to be done."
    )
    return compose("test", "[Paramedic] this is a test", [words, f"Sent {iso(now)} by Paramedic."])


def mitigation_of(runbook: str) -> str:
    """The checklist under a runbook's heading Mitigation; empty without one."""
    return part_of(runbook, "Mitigation")


def mitigations(runbook: str, others: Mapping[str, tuple[str, Sequence[str]]]) -> str:
    """The checklist of the incident's runbook, then of each other runbook that matches one of its alerts (text, alert names)."""
    parts = [mitigation_of(runbook)]
    for called, (text, alerts) in others.items():
        wanted = f"{', '.join(alerts)} joined it, which runbook {called} wants. What that says:"
        parts.append(f"{wanted}\n{mitigation_of(text)}")
    return "\n\n".join(part for part in parts if part)


def _about(incident: Incident) -> str:
    host, _, rest = incident.target.partition("/")
    where = host if rest == incident.service else incident.target
    return f"[{incident.id}] {short(incident.service)} on {short(where)}"


def _now(condition: Condition) -> list[str]:
    return [condition.words] if condition.words else []


def _over(condition: Condition) -> str:
    return "" if condition.ended_at is None else ", its alert has ended"


def ending(incident: Incident) -> str:
    """How it ended, or was handed over, in words."""
    return str(incident.ending or "handed over").replace("_", " ")


def _taken_before(incident: Incident, person: Person, now: datetime) -> list[str]:
    """The line saying who had acknowledged the incident before, and for how long; for that person and for the next one."""
    if incident.acknowledged_by is None or incident.acknowledged_at is None:
        return []
    who = "You have" if incident.acknowledged_by == person.id else f"{short(incident.acknowledged_by)} has"
    return [
        f"{who} had it since {iso(incident.acknowledged_at)}, for {spoken(now - incident.acknowledged_at)}: not over."
    ]


def _take_it(number: int, person: Person, link: str, lasts: timedelta) -> str:
    ways = [f"paramedic incident ack {name(number)} --by {person.id}"]
    if link:
        ways = [link, f"or: {ways[0]}"]
    return "\n".join(
        [f"Take it (stops further pages for {spoken(lasts)}, and every further change by Paramedic):", *ways]
    )


def _done(timeline: Sequence[Entry]) -> str:
    lines = [f"{entry.at[11:19]}  {entry.what}: {short(entry.reason)}" for entry in timeline[-_LINES_LIMIT:]]
    if len(timeline) > _LINES_LIMIT:
        lines.insert(0, f"… {len(timeline) - _LINES_LIMIT} earlier entries are in `paramedic incident show`")
    return "\n".join(["What was done and found (times in UTC):", *lines])


def short(text: str) -> str:
    """Text from outside, on one line, redacted and cut to a bounded length.

    Secrets are removed before the text is cut: half a secret is no longer recognized.
    """
    words = one_line(redact(text[:65_536])[: 4 * _WORDS_LIMIT])
    return words if len(words) <= _WORDS_LIMIT else f"{words[:_WORDS_LIMIT]} …"


def _data(body: str, *, first: int | None = None, last: int | None = None) -> str:
    """The body, bounded and indented: no line of it can pass for one of ours."""
    words = visible(redact(body))
    if first is not None and len(words) > first:
        words = f"{words[:first]}\n… {len(words) - first} characters after this are left out"
    if last is not None and len(words) > last:
        words = f"… {len(words) - last} characters before this are in `paramedic incident show`\n{words[-last:]}"
    return "\n".join(f"    {line}" for line in words.split("\n"))


def take_links(incident: str, url: str) -> tuple[Link, ...]:
    """The link that acknowledges the incident; none without a URL."""
    return (Link("take it", url, incident=incident),) if url else ()


def answer_links(incident: str, url: str, code: str) -> tuple[Link, ...]:
    """The link that answers a question about the incident; none without a URL."""
    return (Link("answer it", url, code, incident),) if url else ()


def _message(
    kind: str, incident: Incident, subject: str, parts: Sequence[str], links: tuple[Link, ...] = ()
) -> Message:
    marks = {"service": short(incident.service), "target": short(incident.target)}
    severity = incident.severity.value
    return compose(kind, subject, parts, incident=incident.id, severity=severity, links=links, marks=marks)


def compose(kind: str, subject: str, parts: Sequence[str], **about: Any) -> Message:
    """A message of these parts; text from outside is escaped and bounded already."""
    return Message(subject[:_SUBJECT_LIMIT], "\n\n".join(parts) + "\n", kind, **about)
