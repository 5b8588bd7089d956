"""What `paramedic incident show` shows of one incident, as text and as JSON."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from paramedic.cli.one_incident import fields_of
from paramedic.cli.output import console, safe
from paramedic.incidents.incident import Incident
from paramedic.machine.clock import iso
from paramedic.messages import page
from paramedic.messages.document import plain
from paramedic.messages.summary import Summary
from paramedic.oncall.on_call import Oncall
from paramedic.oncall.oncall_reload import OncallFile
from paramedic.remediation.approval import Answer, Approval
from paramedic.remediation.kill_switch import Pause
from paramedic.remediation.maintenance import Window
from paramedic.settings import Settings
from paramedic.store import Tx, acts, approvals, attempts, incident_summary, messages, seals
from paramedic.store.acts import Act
from paramedic.store.attempts import Attempt
from paramedic.store.messages import QueuedMessage
from paramedic.text.sanitize import visible
from paramedic.text.yaml_document import BadDocument


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that the store has about one incident, read in one transaction."""

    summary: Summary
    messages: list[QueuedMessage]
    acted: list[Act]
    questions: list[Approval]
    attempts: list[Attempt]
    segments: list[str]  # sealed parts of the trail in which its timeline begins


def read(tx: Tx, incident: Incident, *, oncall: Oncall | None, ui_url: str) -> Seen:
    """All of it."""
    number = incident.number
    summary = incident_summary.summary(tx, incident, oncall=oncall, ui_url=ui_url)
    whole = any(entry.what == "incident.opened" for entry in summary.timeline)
    return Seen(
        summary=summary,
        messages=messages.of(tx, number),
        acted=acts.of(tx, number),
        questions=approvals.listed(tx, number),
        attempts=attempts.of(tx, number),
        segments=[] if whole else seals.since(tx, incident.opened_at),
    )


def oncall_or_none(settings: Settings) -> Oncall | None:
    """Who is on call, by the file; None where it cannot be used: an incident is shown all the same."""
    try:
        return OncallFile(settings).oncall
    except (BadDocument, OSError):
        return None


def document(seen: Seen) -> dict[str, Any]:
    """All of it as plain values; times are `datetime`."""
    summary, window = seen.summary, seen.summary.window
    return fields_of(summary.incident) | {
        "acting": summary.acting,
        "paused": [{"words": pause.words, "resume": pause.resume} for pause in summary.paused],
        "maintenance": None if window is None else {"words": window.words, "end": window.end},
        "attempts": [{"attempt": run.attempt, "state": run.state, "flow_run": run.flow_run} for run in seen.attempts],
        "acts": [{"what": act.words, "result": act.result} for act in seen.acted],
        "approvals": [asdict(question) for question in seen.questions],
        "proposals": [
            asdict(made) | {"identity": made.identity.as_json(), "words": made.words, "judged": made.judged}
            for made in summary.proposals
        ],
        "alerts": list(summary.alerts),
        "evidence": list(summary.evidence),
        "messages": [
            {"kind": m.kind, "state": m.state, "person": m.person, "sent_at": m.sent_at} for m in seen.messages
        ],
        "timeline": [
            {field: getattr(e, field) for field in ("at", "actor", "phase", "what", "reason")}
            | {"note": summary.notes.get(e.seq)}
            for e in summary.timeline
        ],
        "segments": seen.segments,
        "next": None if summary.next_page is None else asdict(summary.next_page),
        "earlier": [past.id for past in summary.past],
        "run_url": summary.run_url or None,
    }


def say(seen: Seen, *, by: str, with_evidence: bool) -> None:
    """Print it: first whether anything acts, then what a page says, then how much was kept."""
    summary = seen.summary
    incident = summary.incident
    unsettled = next((act for act in seen.acted if act.result is None), None)
    console.print(f"acting now: {safe(_acting(summary.acting, unsettled))}")
    console.print(safe(_to_stop(incident, summary.acting, summary.paused, summary.window)))
    console.print(f"\n{incident.id}, {safe(incident.standing)}")
    _say_waiting(incident, seen.questions)
    for file in seen.segments:
        console.print(f"its timeline begins in a sealed segment of the trail: {safe(file)}")
    console.print(visible(plain(page.overview(summary, by=by))), markup=False, highlight=False, soft_wrap=True, end="")
    if with_evidence:
        for piece in summary.evidence:
            console.print(f"\n{piece['kind']}, {iso(piece['taken_at'])}", markup=False)
            console.print(visible(piece["body"]), markup=False, highlight=False, soft_wrap=True)
    elif summary.evidence:
        kinds = ", ".join(dict.fromkeys(str(piece["kind"]) for piece in summary.evidence))
        console.print(f"\nkept: {safe(kinds)}; to see it: paramedic incident show {incident.id} --evidence")


def _acting(holder: str | None, unsettled: Act | None) -> str:
    if holder is not None:
        return holder
    return "nothing" if unsettled is None else f"nobody knows: {unsettled.words} has no outcome"


def _to_stop(incident: Incident, holder: str | None, stopped: Sequence[Pause], window: Window | None) -> str:
    why = [f"acting is paused: {pause.words} (`{pause.resume}`)" for pause in stopped]
    why += [] if window is None else [f"{window.words} (`{window.end}`)"]
    if why:
        return "; ".join(["no further change is begun" if holder else "nothing to stop", *why])
    if holder is None:
        return "nothing to stop"
    return (
        f"to stop it: cancel the run in the Prefect UI, or `paramedic pause --service {shlex.quote(incident.service)}`"
    )


def _say_waiting(incident: Incident, questions: list[Approval]) -> None:
    for question in questions:
        if question.state is Answer.ASKED:
            console.print(f"it waits until {iso(question.expires_at)} for a person's word: {safe(question.what)}")
            if question.touches:
                console.print(f"it would touch: {safe(question.touches)}")
            console.print(f"to answer: `paramedic incident approve {incident.id} --by YOU`, or with --deny")
