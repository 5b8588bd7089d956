"""Composes each message but the page: resolutions, updates, questions, news for channels, alerts about Paramedic itself."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from paramedic.kinds.message import Link, Message
from paramedic.messages.document import Section, message
from paramedic.messages.page import about, deployed_before, sent, story, what_and_now
from paramedic.messages.summary import Summary, ending
from paramedic.messages.words import data, short
from paramedic.oncall.rotation import Person
from paramedic.remediation.approval import Approval, describe_instance
from paramedic.text.local_time import LocalTime
from paramedic.text.markdown import part_of

_BODY_LIMIT = 8_000  # characters of a checklist, of a word about ourselves


def resolution(summary: Summary, *, person: Person) -> Message:
    """A resolution: the incident is over, and how it ended."""
    times, incident = LocalTime(person.zone), summary.incident
    sections = [
        Section(
            headline=f"{_where(summary)}: {ending(incident)}",
            lines=(short(incident.because),) if incident.because else (),
            facts=tuple(what_and_now(summary, times)),
        ),
        Section("What Paramedic did", tuple(summary.did(times))),
        *story(summary, times),
        Section(lines=("Nothing is left to do.",)),
        sent(summary, times),
    ]
    return message("news", about(incident, f"{short(incident.title)}, {ending(incident)}"), sections, incident=incident)


def update(summary: Summary, *, subject: str, body: str, person: Person) -> Message:
    """An update for whoever holds the incident: something changed, and it continues."""
    times, incident = LocalTime(person.zone), summary.incident
    sections = [
        Section(
            headline=f"{_where(summary)} ({incident.severity}): {short(subject)}",
            data=data(body, first=_BODY_LIMIT) if body else "",
        ),
        Section(facts=tuple(what_and_now(summary, times))),
        *story(summary, times),
        sent(summary, times),
    ]
    return message("update", about(incident, f"{short(incident.title)}, {short(subject)}"), sections, incident=incident)


def approval(summary: Summary, asked: Approval, *, person: Person, link: str, code: str) -> Message:
    """A question: may this change be made? To which instance of which target, until when, and how to answer."""
    times, incident = LocalTime(person.zone), summary.incident
    instance = f"{short(asked.target)} ({short(describe_instance(asked.identity))})"
    sections = [
        Section(
            headline=f"Paramedic asks you before it does this: {short(asked.remedy)}",
            facts=(
                ("On", instance),
                ("Until", times.moment(asked.expires_at)),
                ("For", f"{incident.id}: {_where(summary)} ({incident.severity})"),
                *what_and_now(summary, times),
            ),
        ),
        *(Section("It touches", data=data(words, first=_BODY_LIMIT)) for words in [asked.touches] if words),
        *(Section("The alert says", summary.alert_words) for _ in summary.alert_words[:1]),
        *deployed_before(summary),
        Section(lines=("Without an approval nothing is done, and the incident goes to a person.",)),
        *_answers(incident.id, person, link, code),
        *story(summary, times),
        sent(summary, times),
    ]
    what = f"approve {short(asked.with_touches)}?"
    return message(
        "approval", about(incident, what), sections, incident=incident, links=answer_links(incident.id, link, code)
    )


def channel_update(summary: Summary, *, happened: str, person: Person) -> Message:
    """A message for a channel that follows the incident: what happened, without a request to act."""
    times, incident = LocalTime(person.zone), summary.incident
    because = (short(incident.because),) if incident.because and happened != "opened" else ()
    sections = [
        Section(
            headline=f"{_where(summary)} ({incident.severity}): {short(happened)}",
            lines=(*because, *summary.alert_words),
            facts=tuple(what_and_now(summary, times)),
        ),
        *deployed_before(summary),
        *story(summary, times),
        Section(lines=("Whoever is on call is told apart from this.",)),
        sent(summary, times),
    ]
    return message("news", about(incident, f"{short(incident.title)}, {short(happened)}"), sections, incident=incident)


def internal_alert(subject: str, body: str, *, now: datetime, person: Person | None = None) -> Message:
    """An alert about Paramedic itself."""
    times = LocalTime(person.zone if person else "UTC")
    sections = [Section(lines=tuple(data(body, first=_BODY_LIMIT).split("\n"))), _sent(now, times, "about itself")]
    return message("trouble", f"[Paramedic] {short(subject)}", sections)


def test(person: Person, *, by: str, now: datetime) -> Message:
    """A test message that travels like a page."""
    words = (
        f"This is a test, for {short(person.name)}, sent by {short(by)}. Nothing is wrong, and nothing is to be done."
    )
    return message(
        "test", "[Paramedic] this is a test", [Section(lines=(words,)), _sent(now, LocalTime(person.zone), "")]
    )


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


def answer_links(incident: str, url: str, code: str) -> tuple[Link, ...]:
    """The link that answers a question about the incident; none without a URL."""
    return (Link("answer it", url, code, incident),) if url else ()


def _where(summary: Summary) -> str:
    return f"{short(summary.incident.title)} on {short(summary.incident.target)}"


def _answers(incident: str, person: Person, link: str, code: str) -> Iterator[Section]:
    by_hand = f"paramedic incident approve {incident} --by {person.id}"
    for answer in answer_links(incident, link, code):
        yield Section("Approve or deny it", link=answer)
    commands = (("approve", by_hand), ("deny", f"{by_hand} --deny"))
    yield Section("" if link else "Approve or deny it", facts=commands)


def _sent(now: datetime, times: LocalTime, about_what: str) -> Section:
    return Section(lines=(f"Sent {times.moment(now)} by Paramedic{f', {about_what}' if about_what else ''}.",))
