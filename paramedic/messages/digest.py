"""Digests: many messages in one, the worst first, each with its current state and its link."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from paramedic.alerts.alert import Severity
from paramedic.incidents.incident import Incident, name
from paramedic.kinds.message import Link, Message
from paramedic.messages.compose import answer_links
from paramedic.messages.document import Section, message
from paramedic.messages.page import take_links
from paramedic.messages.summary import ending
from paramedic.messages.words import short
from paramedic.oncall.rotation import Person
from paramedic.text.local_time import LocalTime

#: So many are listed with their links; of the others one line each, up to as many as a person can scroll through.
_WITH_LINKS = 50
_LISTED = 500


@dataclass(frozen=True, slots=True)
class Item:
    """One message of a digest, in short."""

    head: str
    links: tuple[Link, ...] = ()  # that answers it
    severity: Severity | None = None  # of the incident that needs somebody; None: nobody need do anything


def item(incident: Incident, *, kind: str, subject: str, now: str, link: str, code: str) -> Item:
    """The item for a message about an incident; `now` is the state of its alerts in words."""
    about = f"{incident.id} ({incident.severity}) {short(incident.title)} on {short(incident.target)}"
    happened = {
        "rung": ending(incident),
        "news": ending(incident),
        "approval": f"approve {short(subject) or 'a change'}?",
    }.get(kind, short(subject))
    links = answer_links(incident.id, link, code) if kind == "approval" else ()
    links = take_links(incident.id, link) if kind == "rung" else links
    needs = incident.severity if kind in ("rung", "approval") else None
    return Item(f"{about}: {happened}{f'; {now}' if now else ''}.", links, needs)


def internal_alert(subject: str, body: str) -> Item:
    """The item for an alert about Paramedic itself."""
    return Item(f"Paramedic itself: {short(subject)}. {short(body)}")


def bare(number: int, *, because: str) -> Item:
    """The minimal item for an incident whose line could not be composed."""
    return Item(f"{name(number)} needs a look; its line could not be composed: {short(because)}")


def digest(items: Sequence[Item], *, person: Person, now: datetime) -> Message:
    """One message for all the items, which come worst first. Where it is cut, the counts still cover all of them."""
    needs = Counter(entry.severity for entry in items if entry.severity is not None)
    counts = ", ".join(
        f"{needs[severity]} {severity}" for severity in (Severity.CRITICAL, Severity.WARNING) if needs[severity]
    )
    what = f"{len(items)} messages: {counts} to be taken" if counts else f"{len(items)} messages"
    sections = [
        Section(
            lines=(
                f"{what}. So much came within a minute that it is one message; the worst comes first.",
                f"Take any of them: paramedic incident ack INC-… --by {person.id}",
                "See all: paramedic incident list",
            )
        ),
        *map(_section, items[:_WITH_LINKS]),
    ]
    if len(items) > _WITH_LINKS:
        sections.append(Section(lines=tuple(entry.head for entry in items[_WITH_LINKS:_LISTED])))
    if len(items) > _LISTED:
        sections.append(Section(lines=(f"… and {len(items) - _LISTED} more: `paramedic incident list`",)))
    sections.append(Section(lines=(f"Sent {LocalTime(person.zone).moment(now)} by Paramedic.",)))
    severity = max(needs, key=_rank).value if needs else ""
    links = tuple(link for entry in items[:_WITH_LINKS] for link in entry.links)
    subject = f"[Paramedic] {what}. First: {items[0].head}"
    return message("digest", subject, sections, severity=severity, links=links)


def _section(entry: Item) -> Section:
    return Section(lines=(entry.head, *(f"    {link.line}" for link in entry.links)))


def _rank(severity: Severity) -> bool:
    return severity is Severity.CRITICAL
