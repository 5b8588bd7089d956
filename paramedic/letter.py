"""What a message says: subject and text, composed from what is known. Pure; everything from outside is made visible."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from paramedic.clock import iso
from paramedic.incident import Incident
from paramedic.secret import redact
from paramedic.trail import Entry
from paramedic.visible import one_line, visible

#: A page must be readable on a phone: each piece of evidence is cut to this many characters.
EVIDENCE_LIMIT = 4_000


@dataclass(frozen=True, slots=True)
class Letter:
    """One message, secrets taken out."""

    subject: str
    text: str


def page(
    incident: Incident,
    *,
    timeline: Sequence[Entry],
    evidence: Sequence[Mapping[str, Any]],
    open_acts: Sequence[str],
    mitigation: str,
    link: str,
    now: datetime,
) -> Letter:
    """It is yours: what is wrong, why it is yours, what was done and seen, what to do, and the link that stops the climbing."""
    parts = [
        f"{one_line(incident.title)} on {one_line(incident.target)} ({incident.severity}), since {iso(incident.opened_at)}.",
        f"It is yours because: {visible(incident.because or 'nobody else has it')}",
        f"Take it (stops further pages):\n{link}\nor: paramedic incident ack {incident.id} --by YOU",
    ]
    if open_acts:
        acts = "\n".join(f"- {one_line(act)}" for act in open_acts)
        parts.append(
            f"Still open: nobody knows whether this happened. Look at the target before you act.\n{acts}\n"
            f"Once you know: paramedic incident resolve {incident.id} --by YOU"
        )
    parts.append("What was done:\n" + "\n".join(_line(entry) for entry in timeline[-40:]))
    if mitigation:
        parts.append(f"What to do:\n{visible(mitigation)}")
    parts += [f"{piece['kind']}, {iso(piece['taken_at'])}:\n{_cut(visible(piece['body']))}" for piece in evidence[-6:]]
    parts.append(f"Sent {iso(now)} by Paramedic.")
    return _letter(f"[{incident.id}] {incident.service}: {incident.title} on {incident.target}: yours", parts)


def news(incident: Incident, *, timeline: Sequence[Entry], now: datetime) -> Letter:
    """It is over, and this is how."""
    parts = [
        f"{one_line(incident.title)} on {one_line(incident.target)}: {incident.ending}. {visible(incident.because or '')}",
        "What was done:\n" + "\n".join(_line(entry) for entry in timeline[-40:]),
        f"Nothing is left to do. Sent {iso(now)} by Paramedic.",
    ]
    return _letter(
        f"[{incident.id}] {incident.service}: {incident.title} on {incident.target}: {incident.ending}", parts
    )


def trouble(subject: str, body: str, *, now: datetime) -> Letter:
    """About Paramedic itself."""
    return _letter(f"[Paramedic] {subject}", [visible(body), f"Sent {iso(now)} by Paramedic, about itself."])


def mitigation_of(prose: str) -> str:
    """The part of a runbook's prose under the heading Mitigation."""
    found = re.search(r"(?ms)^#+\s*Mitigation\s*$(.*?)(?=^#+\s|\Z)", prose)
    return found[1].strip() if found else ""


def _line(entry: Entry) -> str:
    return f"{entry.at[11:19]}  {entry.what}: {one_line(entry.reason)}"


def _cut(body: str) -> str:
    if len(body) <= EVIDENCE_LIMIT:
        return body
    return f"… {len(body) - EVIDENCE_LIMIT} characters before this are in `paramedic incident show`\n{body[-EVIDENCE_LIMIT:]}"


def _letter(subject: str, parts: Sequence[str]) -> Letter:
    return Letter(redact(one_line(subject))[:200], redact("\n\n".join(parts)) + "\n")
