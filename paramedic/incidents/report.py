"""An incident's report: Markdown for people, plain values for programs. Pure; what came from outside stays data (P7)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from paramedic.alerts.alert import Status
from paramedic.audit.chain import Entry
from paramedic.incidents.evidence import bounded
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending
from paramedic.machine.clock import from_iso, iso, spoken
from paramedic.text.markdown import part_of
from paramedic.text.markdown_escape import block, first_words, words
from paramedic.text.redaction import redact, redact_known
from paramedic.text.sanitize import visible

#: A report is an artifact too: what is longer is cut, and says so.
TIMELINE_LIMIT = 1_000
EVIDENCE_LIMIT = 8_000  # characters of one piece
_REST = "are in `paramedic incident show --evidence`"


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that the store has about an incident, read in one transaction."""

    incident: Incident
    now: datetime
    runbook: str  # its text as it was pinned; empty where there is none
    timeline: Sequence[Entry]
    acts: Sequence[Mapping[str, Any]]
    alerts: Sequence[Mapping[str, Any]]
    evidence: Sequence[Mapping[str, Any]]
    messages: Sequence[Mapping[str, Any]]
    notes: Mapping[int, str] = field(default_factory=dict)  # what people noted, by the number of the entry


def markdown(story: Story) -> str:
    """The report as Markdown. Whatever a label, an output or a name contains, the document's structure is the same."""
    incident = story.incident
    parts = [
        f"# {incident.id}: {words(incident.title)} on {words(incident.target)}",
        "\n".join(f"- {name}: {words(value)}" for name, value in _summary(story)),
        *_quoted("Impact", part_of(story.runbook, "Impact")),
        *_quoted("What to do", part_of(story.runbook, "Mitigation") if incident.state is not State.RESOLVED else ""),
        details(story),
    ]
    return "\n\n".join(parts)


def details(story: Story) -> str:
    """The report from what was done on: each entry, alert, message and piece of evidence, and what is open."""
    parts = [
        "## What was done",
        _items(_done(story), otherwise="Nothing was changed, and nothing was refused."),
        "## Timeline",
        _items(_timeline(story), otherwise="The trail has no entry about it."),
        "## Alerts",
        _items(map(_alert, story.alerts), otherwise="No alert is kept."),
        "## Who was told",
        _items(map(_message, story.messages), otherwise="Nobody was told."),
        "## Evidence",
        *_evidence(story),
        "## Open questions",
        _items((f"- {words(question)}" for question in questions(story)), otherwise="None."),
        f"Written {iso(story.now)} by Paramedic; times are UTC.",
    ]
    return "\n\n".join(parts) + "\n"


def as_json(story: Story) -> dict[str, Any]:
    """The report as plain values; times are `datetime`."""
    incident = story.incident
    return {
        "incident": {"id": incident.id} | {name: getattr(incident, name) for name in Incident.__slots__},
        "impact": part_of(story.runbook, "Impact"),
        "spans": {name: span.total_seconds() for name, span in spans(story).items()},
        "acts": [dict(act) | {"guardrails": _agreed(story, act["id"])} for act in story.acts],
        "refusals": [
            {"at": entry.at, "what": entry.what, "reason": entry.reason} | dict(entry.data) for entry in _refused(story)
        ],
        "timeline": [
            {field: getattr(entry, field) for field in ("at", "actor", "phase", "what", "reason")}
            | {"note": story.notes.get(entry.seq)}
            for entry in story.timeline
        ],
        "alerts": [dict(alert) for alert in story.alerts],
        "messages": [dict(message) for message in story.messages],
        "evidence": [dict(piece) for piece in story.evidence],
        "questions": questions(story),
    }


def spans(story: Story) -> dict[str, timedelta]:
    """The durations from the opening to each milestone; those that have not happened are missing."""
    incident = story.incident
    sent_at = [message["sent_at"] for message in story.messages if message["sent_at"] is not None]
    moments = {
        "first change": min((act["written_at"] for act in story.acts), default=None),
        "first person told": min(sent_at, default=None),
        "acknowledgement": incident.first_acknowledged_at,
        "end": incident.ended_at,
    }
    return {name: moment - incident.opened_at for name, moment in moments.items() if moment is not None}


def questions(story: Story) -> list[str]:
    """Questions that the report cannot answer, for a person."""
    return [*_unfinished(story), *_unexplained(story)]


def _unfinished(story: Story) -> Iterator[str]:
    """The questions about what is still open."""
    incident = story.incident
    if incident.state is State.ACKNOWLEDGED:
        yield f"{incident.id} is not over: {incident.acknowledged_by} has it."
    elif incident.state is not State.RESOLVED:
        yield f"{incident.id} is not over: it is {incident.state}."
    for act in story.acts:
        if act["result"] is None:
            yield f"Did the {act['remedy']} of {act['target']} at {iso(act['written_at'])} happen? Its outcome is open."
        if act["result"] in ("unknown", "decided"):
            yield f"Did the {act['remedy']} of {act['target']} happen? Nobody saw it: {act['why'] or 'no reason is known'}"
    for alert in story.alerts:
        if incident.state is State.RESOLVED and alert["status"] == Status.FIRING:
            yield f"Does {alert['name']} still fire? Its sender has not said that it is over."
    for message in story.messages:
        if message["state"] == "unreachable":
            yield f"Why did the message of rung {message['rung'] + 1} reach nobody? {message['last_error'] or ''}"


def _unexplained(story: Story) -> Iterator[str]:
    """The questions that a review has to answer: the cause, the refusals, what could not be seen."""
    incident = story.incident
    if incident.runbook is None:
        yield "Which runbook should want these alerts? None did."
    if incident.reopened_at is not None:
        yield "Why did the cure not last? It began again."
    if incident.ending is Ending.REMEDIATED:
        yield "What was the cause? A cure is none."
    elif incident.ending is not None and incident.ending.needs_a_person and incident.state is State.RESOLVED:
        yield "What was the cause, and what ended it? Nothing that Paramedic saw."
    if incident.ending is Ending.RECOVERED:
        yield "Was the alert right? It was well before anything was done."
    for guardrail in dict.fromkeys(str(entry.data["guardrail"]) for entry in _refused(story) if _by_guardrail(entry)):
        yield f"Was it right that the guardrail {guardrail} said no?"
    for piece in story.evidence:
        if piece["body"].startswith("could not be taken"):
            yield f"Why could {piece['kind']} not be taken? {piece['body']}"


# --- the parts ------------------------------------------------------------------------------------------------------


def _summary(story: Story) -> Iterator[tuple[str, str]]:
    incident = story.incident
    yield "State", incident.standing
    if incident.because:
        yield "Because", incident.because
    yield "Severity", str(incident.severity)
    yield "Service", incident.service
    yield "Target", incident.target
    yield (
        "Runbook",
        f"{incident.runbook}, version {(incident.runbook_version or '')[:12]}"
        if incident.runbook
        else "none wanted it",
    )
    yield "Opened", iso(incident.opened_at)
    if incident.reopened_at is not None:
        yield "Opened again", iso(incident.reopened_at)
    if incident.ended_at is not None:
        yield "Ended", iso(incident.ended_at)
    if incident.acknowledged_by is not None:
        yield "Person", incident.acknowledged_by
    yield "Attempts", str(incident.attempt)
    for name, span in spans(story).items():
        yield f"Until the {name}", spoken(span)


def _quoted(title: str, prose: str) -> list[str]:
    lines = [f"> {first_words(line, without=redact_known)}" if line.strip() else ">" for line in prose.split("\n")]
    return [f"## {title}", "\n".join(lines)] if prose else []


def _done(story: Story) -> Iterator[str]:
    for act in story.acts:
        result = "its outcome is open" if act["result"] is None else f"{act['result']}: {act['why'] or 'no reason'}"
        took = f", after {spoken(act['closed_at'] - act['written_at'])}" if act["closed_at"] else ""
        yield (
            f"- {iso(act['written_at'])[:19]}Z, attempt {act['attempt']}, {_rung(act)}: {words(act['remedy'])} of "
            f"{words(act['target'])}: {words(result)}{took}"
        )
        for measured in act.get("measured") or ():
            yield f"  - measured: {words(measured)}"
        agreed = "; ".join(_agreed(story, act["id"]))
        yield f"  - allowed by: {words(agreed or 'every guardrail')}"
    for entry in _refused(story):
        by = f" by the guardrail {entry.data['guardrail']}" if _by_guardrail(entry) else ""
        attempt = f", attempt {words(str(entry.data['attempt']))}" if "attempt" in entry.data else ""
        yield f"- {entry.at[:19]}Z{attempt}: {words(f'{entry.what}{by}: {entry.reason}')}"


def _rung(act: Mapping[str, Any]) -> str:
    return "undoing a rung" if act["remedy"] == "undo" else f"rung {act['rung']}"


def _refused(story: Story) -> list[Entry]:
    return [entry for entry in story.timeline if entry.what.endswith(".refused")]


def _by_guardrail(refusal: Entry) -> bool:
    """Whether a guardrail said no; an incident that ended refused has an entry of that name too."""
    return "guardrail" in refusal.data


def _agreed(story: Story, act: int) -> list[str]:
    """The guardrails that allowed the act, with their numbers, from its intent."""
    intents = [entry for entry in story.timeline if entry.phase == "intent" and entry.data.get("act") == act]
    return [str(guardrail) for entry in intents for guardrail in entry.data.get("guardrails", ())]


def _timeline(story: Story) -> Iterator[str]:
    entries = story.timeline[-TIMELINE_LIMIT:]
    if len(story.timeline) > len(entries):
        yield f"- {len(story.timeline) - len(entries)} earlier entries are in `paramedic audit show`"
    before = None
    runs = _runs(story.timeline)
    for entry in entries:
        at = from_iso(entry.at)
        gap = "" if before is None else f", {spoken(at - before)} later"
        who = runs.get(entry.actor, entry.actor.removeprefix("person:"))
        reason = story.notes.get(entry.seq, entry.reason)
        yield f"- {entry.at[:19]}Z{gap}: {words(entry.what)} by {words(who)}: {words(reason)}"
        before = at


def _runs(timeline: Sequence[Entry]) -> dict[str, str]:
    """What people call the runs of its attempts, by how the trail names them."""
    began = [entry for entry in timeline if entry.what in ("attempt.began", "attempt.began_again")]
    return {entry.actor: f"the run of attempt {entry.data.get('attempt')}" for entry in began}


def _alert(alert: Mapping[str, Any]) -> str:
    labels = ", ".join(f"{key}={value}" for key, value in sorted(alert["labels"].items()))
    return (
        f"- Alert {words(alert['name'])}: {words(alert['severity'])}, {words(alert['status'])}, began "
        f"{iso(alert['starts_at'])}, said {alert['count']} times; labels {words(labels or 'none')}"
    )


def _message(message: Mapping[str, Any]) -> str:
    when = message["sent_at"] or message["due_at"]
    recipient = f" to {message['person']}" if message["person"] else ""
    error = f": {message['last_error']}" if message["last_error"] and message["state"] != "sent" else ""
    what = f"rung {message['rung'] + 1}" if message["kind"] == "rung" else message["kind"]
    summary = f"{what}, {message['state']}{recipient}{error}"
    return f"- {iso(when)[:19]}Z: {words(summary)}"


def _evidence(story: Story) -> Iterator[str]:
    if not story.evidence:
        yield "None was taken."
    for piece in story.evidence:
        yield f"### {words(piece['kind'])}, {iso(piece['taken_at'])}"
        kept = bounded(
            visible(redact(piece["body"])),
            from_beginning=bool(piece.get("from_beginning")),
            characters=EVIDENCE_LIMIT,
            rest=_REST,
        )
        yield block(kept)


def _items(lines: Iterator[str], *, otherwise: str) -> str:
    return "\n".join(lines) or otherwise
