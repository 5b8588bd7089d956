"""Composes the page about an incident: how bad, what is broken, since when, what was done, what to do, whose it is. Pure."""

import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta

from paramedic.incidents.incident import Incident, State, name
from paramedic.kinds.message import Link, Message
from paramedic.machine.clock import spoken
from paramedic.messages import timeline
from paramedic.messages.document import Section, message
from paramedic.messages.summary import Summary, ending, labels_of
from paramedic.messages.words import data, evidence, short
from paramedic.oncall.rotation import Person
from paramedic.text.local_time import LocalTime
from paramedic.text.redaction import redact_known

#: A page must be readable on a phone: each piece of evidence is cut to so many characters and lines.
EVIDENCE_LIMIT = 4_000
EVIDENCE_LINES = 20

_PIECES_LIMIT = 6
_TIMELINE_LIMIT = 40
_MITIGATION_LIMIT = 8_000
_FIRST_LINES = 12  # of a checklist that come before how to take the incident
_DESCRIPTION_LIMIT = 1_000
_PROSE_LIMIT = 300
_LABELS_LIMIT = 30
_AFFECTS_LIMIT = 10

_EVERYTHING = "everything known"

#: Annotations that hold an address for a person.
_LINKS = ("runbook_url", "dashboard_url", "dashboard", "panel_url", "generator_url")


def page(summary: Summary, *, person: Person, link: str, lasts: timedelta) -> Message:
    """The page for this person. `link` acknowledges the incident (empty: none); that stops the escalation for `lasts`."""
    times = LocalTime(person.zone)
    incident = summary.incident
    first, rest = _mitigation(summary)
    sections = [
        *_what(summary, times),
        *deployed_before(summary),
        *_open_changes(summary, person.id),
        Section("What Paramedic did", tuple(_did(summary, times))),
        *first,
        Section(facts=tuple(_people(summary, times))),
        *take(incident.id, person, link, lasts),
        Section("Or", commands=tuple(commands(incident, person.id))),
        *rest,
        *_links(summary),
        *story(summary, times),
        *_evidence(summary, times),
        sent(summary, times),
    ]
    return message("page", subject(summary), sections, incident=incident, links=take_links(incident.id, link))


def overview(summary: Summary, *, by: str) -> list[Section]:
    """What a terminal shows of the incident: as the page, without a link and evidence. `by` is who reads it."""
    return [*first_screen(summary, LocalTime(""), by=by), *story(summary, LocalTime(""))]


def first_screen(summary: Summary, times: LocalTime, *, by: str) -> list[Section]:
    """The overview without its timeline."""
    first, rest = _mitigation(summary)
    return [
        *_what(summary, times),
        *deployed_before(summary),
        *_open_changes(summary, by),
        Section("What Paramedic did", tuple(_did(summary, times))),
        *([*first, *rest] if summary.incident.state is not State.RESOLVED else []),
        Section(facts=tuple(_people(summary, times))),
        *_to_do(summary.incident, by),
        *_links(summary),
    ]


def subject(summary: Summary) -> str:
    """`[critical] shop on web-1: ProbeFailed, restarted, still answered 503 (INC-16)`."""
    incident = summary.incident
    parts = [short(incident.title)]
    touched = summary.touched
    if touched:
        words = touched[-1].words.partition(f" {short(touched[-1].target)}: ")
        parts.append(words[0].removesuffix(" on"))
    if summary.proposals and not touched:
        parts.append(summary.proposals[-1].words)
    elif incident.ending is not None and (not touched or summary.finding is None):
        parts.append(ending(incident))
    if summary.is_over:
        parts.append("its alert has ended")
    elif summary.finding is not None:
        parts.append(f"still not well: {summary.finding[0]}")
    return about(incident, ", ".join(parts))


def about(incident: Incident, what: str) -> str:
    """A subject: how bad, where, what, and the incident's number, which is never cut."""
    host, _, rest = incident.target.partition("/")
    where = host if rest == incident.service else incident.target
    head, tail = f"[{incident.severity}] {short(incident.service)[:60]} on {short(where)[:60]}: ", f" ({incident.id})"
    room = 200 - len(head) - len(tail)
    return f"{head}{what if len(what) <= room else f'{what[: room - 1]}…'}{tail}"


def take(incident: str, person: Person, link: str, lasts: timedelta) -> list[Section]:
    """How to acknowledge it: the link, and the command."""
    by_hand = f"paramedic incident ack {incident} --by {person.id}"
    title = f"Take it (stops further pages for {spoken(lasts)}, and every further change by Paramedic)"
    if not link:
        return [Section(title, (by_hand,))]
    return [Section(title, link=Link("take it", link, incident=incident)), Section(lines=(f"or: {by_hand}",))]


def _to_do(incident: Incident, by: str) -> list[Section]:
    """As `commands`, with taking it; nothing is left to do where it is over."""
    if incident.state is State.RESOLVED:
        return []
    take_it = ("take it", f"paramedic incident ack {incident.id} --by {by}")
    others = [way for way in commands(incident, by) if way[0] != _EVERYTHING]
    return [Section("What you can do", commands=(take_it, *others))]


def commands(incident: Incident, by: str) -> Iterator[tuple[str, str]]:
    """What a person can do about it, each with its command."""
    service, target = (shlex.quote(short(words)) for words in (incident.service, incident.target))
    if incident.runbook is not None:
        yield "try it again", f"paramedic incident retry {incident.id} --by {by}"
    yield "it is over", f"paramedic incident resolve {incident.id} --by {by}"
    yield (
        "no repeats for 2 h",
        f"paramedic maintenance add --service {service} --target {target} --to +2h --because WHY --by {by}",
    )
    yield "stop all changes", f"paramedic pause --service {service} --because WHY --by {by}"
    yield _EVERYTHING, f"paramedic incident show {incident.id}"


def take_links(incident: str, url: str) -> tuple[Link, ...]:
    """The link that acknowledges the incident; none without a URL."""
    return (Link("take it", url, incident=incident),) if url else ()


def sent(summary: Summary, times: LocalTime) -> Section:
    """The last line: when, in which zone, by whom."""
    return Section(
        lines=(f"Sent {times.moment(summary.now)} by Paramedic. Times are {times.name(summary.now)}.",),
    )


def story(summary: Summary, times: LocalTime) -> list[Section]:
    """The timeline."""
    lines = timeline.lines(summary.timeline, times, near=summary.now, notes=summary.notes, limit=_TIMELINE_LIMIT)
    return [Section("Timeline", tuple(lines))]


def what_and_now(summary: Summary, times: LocalTime) -> Iterator[tuple[str, str]]:
    """Well now or not, since when, and whose trouble it is, as facts."""
    if words := summary.condition.words(times, summary.now):
        yield "Now", words
    yield "Since", summary.since(times)
    if words := summary.service_words:
        yield "Service", words
    if words := summary.customers:
        yield "Customers", words
    for number, line in enumerate(affects := summary.affects):
        if number < _AFFECTS_LIMIT:
            yield ("Affects", line) if number == 0 else ("And", line)
    if len(affects) > _AFFECTS_LIMIT:
        yield "And", f"{len(affects) - _AFFECTS_LIMIT} more services that depend on it"
    for heading in ("Meaning", "Impact"):
        if prose := " ".join(summary.part(heading).split()):
            prose = short(prose, without=redact_known)
            yield heading, prose if len(prose) <= _PROSE_LIMIT else f"{prose[:_PROSE_LIMIT]} …"


def deployed_before(summary: Summary) -> list[Section]:
    """What was deployed just before it began; nothing where nothing is known of deployments."""
    lines = tuple(summary.deployed_before)
    return [Section("Deployed before it began", lines)] if lines else []


def _what(summary: Summary, times: LocalTime) -> Iterator[Section]:
    incident = summary.incident
    yield Section(
        headline=f"{short(incident.title)} on {short(incident.target)} ({incident.severity})",
        lines=tuple(summary.alert_words),
        facts=tuple(what_and_now(summary, times)),
    )
    description = summary.annotation("description")
    if description and short(description) not in summary.alert_words:
        yield Section("The alert says", data=data(description, first=_DESCRIPTION_LIMIT))


def _open_changes(summary: Summary, by: str) -> Iterator[Section]:
    for change in summary.open_changes:
        yield Section(
            lines=(
                f"OPEN: {change.words} (by {change.incident}). Nothing else is done to its target meanwhile.",
                "Look at the target before you act. Once you know, and it is over:",
                f"paramedic incident resolve {change.incident} --by {by}",
            )
        )


def _did(summary: Summary, times: LocalTime) -> Iterator[str]:
    yield from summary.did(times)
    if summary.incident.because:
        how = "It ended" if summary.incident.state is State.RESOLVED else "It is a person's"
        yield f"{how} because: {short(summary.incident.because)}"


def _mitigation(summary: Summary) -> tuple[list[Section], list[Section]]:
    """The beginning of the checklist, and the rest of a long one."""
    if not summary.mitigation:
        return [Section("What to do", ("No runbook says what to do.",))], []
    title = "What to do, if it is not well" if summary.is_over else "What to do"
    lines = data(summary.mitigation, first=_MITIGATION_LIMIT, without=redact_known).split("\n")
    if len(lines) <= _FIRST_LINES + 3:
        return [Section(title, data="\n".join(lines))], []
    head, tail = "\n".join(lines[:_FIRST_LINES]), "\n".join(lines[_FIRST_LINES:])
    more = f"… {len(lines) - _FIRST_LINES} more lines are below"
    return [Section(title, data=f"{head}\n{more}")], [Section(title="The rest of what to do", data=tail)]


def _people(summary: Summary, times: LocalTime) -> Iterator[tuple[str, str]]:
    if summary.incident.state is State.RESOLVED:
        yield "Told", summary.knows(times)
    else:
        yield "It is", summary.owner(times)
        yield "Told so far", summary.knows(times)
        yield "Next", summary.next(times)
        yield "Acting now", summary.acts_now
    for pause in summary.paused:
        yield "Paused", f"{short(pause.words)} (`{pause.resume}`)"
    if summary.window is not None:
        yield "Maintenance", f"{short(summary.window.words)} (`{summary.window.end}`)"
    for number, line in enumerate(summary.last_time):
        yield "Last time" if number == 0 else "Before that", line


def _links(summary: Summary) -> Iterator[Section]:
    facts = [("run", summary.run_url)] if summary.run_url else []
    facts += [(name.removesuffix("_url"), short(found)) for name in _LINKS if (found := summary.annotation(name))]
    labels = list(labels_of(summary.labels))[:_LABELS_LIMIT]
    if facts:
        yield Section("Links", facts=tuple(facts))
    if labels:
        yield Section("The alert's labels", (", ".join(labels),))


def _evidence(summary: Summary, times: LocalTime) -> Iterator[Section]:
    pieces = summary.evidence
    if len(pieces) > _PIECES_LIMIT:
        more = f"{len(pieces) - _PIECES_LIMIT} older pieces of evidence are in `paramedic incident show --evidence`."
        yield Section(lines=(more,))
    for piece in pieces[-_PIECES_LIMIT:]:
        title = f"{short(piece['kind'])}, {times.day_and_clock(piece['taken_at'], near=summary.now)}"
        yield Section(title, data=evidence(piece, characters=EVIDENCE_LIMIT, lines=EVIDENCE_LINES))


def bare(number: int, *, person: Person, link: str, lasts: timedelta, because: str, now: datetime) -> Message:
    """The minimal page about an incident whose message could not be composed."""
    lines = (
        f"{name(number)} needs a look. Its message could not be composed: {short(because)}",
        f"What is known: paramedic incident show {name(number)}",
    )
    sections = [
        Section(lines=lines),
        *take(name(number), person, link, lasts),
        Section(lines=(f"Sent {LocalTime(person.zone).moment(now)} by Paramedic.",)),
    ]
    links = take_links(name(number), link)
    return message("page", f"[{name(number)}] needs a look", sections, number=number, links=links)
