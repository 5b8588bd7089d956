"""`paramedic incident`: incidents, and people's decisions about them."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from paramedic.alerts.alert import Severity
from paramedic.audit.chain import Entry
from paramedic.cli.output import (
    AsJson,
    By,
    Data,
    Limit,
    Negative,
    command_of,
    console,
    number_of,
    opened,
    safe,
    say_json,
    table,
)
from paramedic.incidents.incident import IllegalMove, Incident, State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.incidents.report import as_json as as_json_of
from paramedic.incidents.report import markdown
from paramedic.machine.clock import from_iso, iso, spoken
from paramedic.remediation.approval import Answer, Approval
from paramedic.remediation.kill_switch import Pause
from paramedic.remediation.maintenance import Window
from paramedic.store import (
    Tx,
    acts,
    approvals,
    attempts,
    claims,
    evidence,
    incident_alerts,
    incidents,
    kill_switch,
    lifecycle,
    maintenance,
    messages,
    seals,
)
from paramedic.store import trail as stored_trail
from paramedic.store.acts import Act
from paramedic.store.attempts import Attempt
from paramedic.store.incident_story import story
from paramedic.store.incidents import NoSuchIncident
from paramedic.store.messages import QueuedMessage
from paramedic.text.sanitize import visible
from paramedic.text.units import moment

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="What is wrong, and whose it is."
)

Id = Annotated[str, typer.Argument(help="INC-1, or just 1.", metavar="ID")]


@app.command("list")
def list_(
    *,
    state: Annotated[list[State] | None, typer.Option(help="Only in this state; may be repeated.")] = None,
    service: Annotated[list[str] | None, typer.Option(help="Only of this service; may be repeated.")] = None,
    severity: Annotated[list[Severity] | None, typer.Option(help="Only of this severity; may be repeated.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only opened since: -2h, 2026-01-31T22:00+01:00.", metavar="TIME")
    ] = None,
    limit: Limit = 50,
    before: Annotated[str | None, typer.Option(help="Page on from this one.", metavar="ID")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """The newest first."""
    _, store = opened(data)
    with store.read() as tx:
        found = incidents.listed(
            tx,
            states=state or (),
            services=service or (),
            severities=severity or (),
            since=_since(since, tx.now),
            limit=limit,
            before=number_of(before) if before else None,
        )
    if as_json:
        say_json([_as_json(incident) for incident in found])
        return
    rows = table("id", "state", "outcome", "severity", "service", "target", "title", "opened", "person")
    for incident in found:
        fields = (
            incident.id,
            incident.state,
            incident.ending or "",
            incident.severity,
            incident.service,
            incident.target,
            incident.title,
        )
        rows.add_row(*map(safe, fields), iso(incident.opened_at)[:19], safe(incident.acknowledged_by or ""))
    console.print(rows)
    if len(found) == limit:
        console.print(f"more: --before {found[-1].id}")


@dataclass(frozen=True, slots=True)
class _Seen:
    """Everything that the store has about one incident, read in one transaction."""

    incident: Incident
    acting: str | None
    entries: list[Entry]
    alerts: list[dict[str, Any]]
    evidence: list[dict[str, Any]]
    messages: list[QueuedMessage]
    acted: list[Act]
    questions: list[Approval]
    attempts: list[Attempt]
    paused: tuple[Pause, ...]
    window: Window | None
    segments: list[str]  # sealed parts of the trail in which its timeline begins


@app.command()
def show(incident: Id, data: Data = None, as_json: AsJson = False) -> None:
    """Show one incident: whether anything acts on it now, how to stop that, and its history."""
    _, store = opened(data)
    number = number_of(incident)
    with store.read() as tx:
        seen = _seen(tx, _got(tx, number))
    if as_json:
        say_json(_document(seen))
    else:
        _say(seen)


def _seen(tx: Tx, incident: Incident) -> _Seen:
    claim = claims.current(tx, incident.target)
    entries = list(stored_trail.entries(tx, incident=incident.number))
    whole = any(entry.what == "incident.opened" for entry in entries)
    return _Seen(
        incident=incident,
        acting=claim[0].holder if claim is not None and claim[1] and claim[0].incident == incident.number else None,
        entries=entries,
        alerts=incident_alerts.of(tx, incident.number),
        evidence=evidence.of(tx, incident.number),
        messages=messages.of(tx, incident.number),
        acted=acts.of(tx, incident.number),
        questions=approvals.listed(tx, incident.number),
        attempts=attempts.of(tx, incident.number),
        paused=kill_switch.stopping(tx, service=incident.service, runbook=incident.runbook),
        window=maintenance.covering(tx, service=incident.service, target=incident.target),
        segments=[] if whole else seals.since(tx, incident.opened_at),
    )


def _document(seen: _Seen) -> dict[str, Any]:
    window = seen.window
    return _as_json(seen.incident) | {
        "acting": seen.acting,
        "paused": [{"words": pause.words, "resume": pause.resume} for pause in seen.paused],
        "maintenance": None if window is None else {"words": window.words, "end": window.end},
        "attempts": [{"attempt": run.attempt, "state": run.state, "flow_run": run.flow_run} for run in seen.attempts],
        "acts": [{"what": act.words, "result": act.result} for act in seen.acted],
        "approvals": [asdict(question) for question in seen.questions],
        "alerts": seen.alerts,
        "evidence": seen.evidence,
        "messages": [
            {"kind": m.kind, "state": m.state, "person": m.person, "sent_at": m.sent_at} for m in seen.messages
        ],
        "timeline": [
            {"at": e.at, "actor": e.actor, "phase": e.phase, "what": e.what, "reason": e.reason} for e in seen.entries
        ],
        "segments": seen.segments,
    }


def _say(seen: _Seen) -> None:
    incident = seen.incident
    unsettled = [act for act in seen.acted if act.result is None]
    console.print(f"acting now: {safe(_acting(seen.acting, next(iter(unsettled), None)))}")
    console.print(safe(_to_stop(incident, seen.acting, seen.paused, seen.window)))
    console.print(f"\n{incident.id}  {incident.state}  {incident.ending or ''}  {incident.severity}", markup=False)
    console.print(
        f"{safe(incident.title)} on {safe(incident.target)}, service {safe(incident.service)}, since {iso(incident.opened_at)}"
    )
    if incident.reopened_at is not None:
        console.print(f"opened again {iso(incident.reopened_at)}: the cure did not last")
    if incident.because:
        console.print(f"because: {safe(incident.because)}")
    if incident.acknowledged_by:
        console.print(f"it belongs to {safe(incident.acknowledged_by)}")
    _say_waiting(incident, seen.questions)
    for act in unsettled:
        console.print(f"OPEN: {safe(act.words)}; whether it happened is not known")
    _say_story(seen)


def _say_story(seen: _Seen) -> None:
    console.print("\ntimeline")
    for file in seen.segments:
        console.print(f"  it begins in a sealed segment of the trail: {safe(file)}")
    for entry in seen.entries:
        after = spoken(from_iso(entry.at) - from_iso(seen.entries[0].at))
        console.print(f"  {after:>8}  {entry.phase:<8}  {entry.what:<24}  {safe(entry.reason)}")
    for alert in seen.alerts:
        console.print(f"\nalert {safe(alert['name'])}: {alert['status']}, said {alert['count']} times")
    for piece in seen.evidence:
        console.print(f"\n{piece['kind']}, {iso(piece['taken_at'])}")
        console.print(visible(piece["body"]), markup=False, highlight=False)


@app.command()
def report(incident: Id, data: Data = None, as_json: AsJson = False) -> None:
    """The incident's report in Markdown: what was wrong, what was done and why it was allowed, who was told, what is open."""
    _, store = opened(data)
    number = number_of(incident)
    with store.read() as tx:
        _got(tx, number)
        whole = story(tx, number)
    if as_json:
        say_json(as_json_of(whole))
    else:
        typer.echo(markdown(whole), nl=False)


@app.command()
def ack(incident: Id, by: By, data: Data = None, as_json: AsJson = False) -> None:
    """Acknowledge: the incident is yours; pages stop, and so does every further change."""
    _, store = opened(data)
    number = number_of(incident)
    with store.record() as tx:
        _got(tx, number)
        found = _moved(lambda: lifecycle.acknowledge(tx, number, by=by, reason="on the command line"))
    if as_json:
        say_json(_as_json(found))
        return
    console.print(f"{found.id} is yours, {safe(by)}")


@app.command()
def approve(
    incident: Id,
    by: By,
    deny: Annotated[bool, typer.Option("--deny", help="It must not be done.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Approve the change that the incident asks for; with --deny, deny it."""
    _, store = opened(data)
    number = number_of(incident)
    with store.record() as tx:
        found = _got(tx, number)
        asked = approvals.newest(tx, number)
        if asked is None:
            raise Negative(f"{found.id} asks for no approval")
        done = approvals.decide(tx, asked.id, granted=not deny, by=by, how="command line")
    if isinstance(done, str):
        raise Negative(done)
    if as_json:
        say_json(asdict(done))
        return
    console.print(safe(done.decision))


@app.command()
def resolve(
    incident: Id,
    by: By,
    because: Annotated[str, typer.Option(help="What you know.")] = "a person says it is over",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Resolve: the incident is over. This also settles an act whose outcome was open, and frees its target."""
    _, store = opened(data)
    number = number_of(incident)
    with store.record() as tx:
        found = _got(tx, number)
        ending = found.ending or Ending.HANDED_OVER
        found = _moved(lambda: lifecycle.resolve(tx, number, Outcome(ending, because), actor=f"person:{by}"))
    if as_json:
        say_json(_as_json(found))
        return
    console.print(f"{found.id} is over")


@app.command()
def note(incident: Id, text: str, by: By, data: Data = None, as_json: AsJson = False) -> None:
    """Add a note to the incident's timeline."""
    _, store = opened(data)
    number = number_of(incident)
    with store.record() as tx:
        found = _got(tx, number)
        incidents.note(tx, number, by=by, text=text)
    if as_json:
        say_json(_as_json(found))
        return
    console.print("noted")


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


def _since(text: str | None, now: datetime) -> datetime | None:
    try:
        return None if text is None else moment(text, after=now)
    except ValueError as error:
        raise typer.BadParameter(f"--since {error}") from error


def _say_waiting(incident: Incident, questions: list[Approval]) -> None:
    for question in questions:
        if question.state is Answer.ASKED:
            console.print(f"it waits until {iso(question.expires_at)} for a person's word: {safe(question.what)}")
            console.print(f"to answer: `paramedic incident approve {incident.id} --by YOU`, or with --deny")


def _got(tx: Any, number: int) -> Incident:
    try:
        return incidents.get(tx, number)
    except NoSuchIncident as error:
        raise Negative(str(error)) from error


def _moved(move: Any) -> Incident:
    try:
        moved: Incident = move()
    except IllegalMove as error:
        raise Negative(str(error)) from error
    return moved


def _as_json(incident: Incident) -> dict[str, Any]:
    return {"id": incident.id} | {name: getattr(incident, name) for name in Incident.__slots__}


incident_command = command_of(app)
