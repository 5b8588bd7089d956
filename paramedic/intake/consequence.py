"""The consequence of a decision on an alert, written in the transaction of the decision."""

from dataclasses import dataclass

from paramedic.alerts.alert import Alert, Status
from paramedic.alerts.alert_object import shown_name
from paramedic.alerts.flapping import Flapping
from paramedic.alerts.held_back import HeldBack
from paramedic.catalog.runbook import Runbook
from paramedic.catalog.services import Services
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.intake.routing import Place
from paramedic.intake.triage import Decision, Known, Verdict
from paramedic.remediation.service import ServiceFacts
from paramedic.store import (
    Tx,
    dependencies,
    held_alerts,
    incidents,
    inhibitions,
    joining,
    lifecycle,
    messages,
    silences,
)
from paramedic.store import flaps as flaps_rows
from paramedic.store.inbox import Receipt
from paramedic.store.runbook_versions import Plan

#: An alert that no runbook wants is escalated by this policy.
DEFAULT_POLICY = "default"


@dataclass(frozen=True, slots=True)
class Decided:
    """An alert with its place, the open incident there, what is known, and the decision."""

    receipt: Receipt
    alert: Alert
    at: Place
    live: Incident | None
    known: Known
    decision: Decision


@dataclass(frozen=True, slots=True)
class Kept:
    """What the inbox keeps of a decision: its reason, the incident that it is about, and what a held alert waits for."""

    reason: str
    incident: int | None
    waits_for: str | None = None
    opened: bool = False
    """Whether it was opened for an alert that is held."""


def carry_out(tx: Tx, decided: Decided, services: Services) -> Kept:
    """Write the consequence of the decision."""
    alert, at, live, decision = decided.alert, decided.at, decided.live, decided.decision
    number = live.number if live else None
    match decision.verdict:
        case Verdict.OPEN:
            number = _open(tx, decided, services.about(at.service)).number
        case Verdict.REOPEN if decided.known.cured is not None:
            again = at.runbook is not None and at.runbook.guardrails.allows_again
            number = lifecycle.reopen(tx, decided.known.cured[0], alert, reason=decision.reason, again=again).number
        case Verdict.JOIN | Verdict.MARK_RESOLVED if live is not None:
            flaps = decided.known.flaps is not None
            joining.join(tx, live.number, alert, reason=decision.reason, plan=_plan(at.runbook), flaps=flaps)
        case Verdict.ACKNOWLEDGE if live is not None:
            lifecycle.acknowledge(tx, live.number, by=_at_sender(alert), reason=f"at its sender, {alert.source}")
        case Verdict.NOTE if live is not None:
            incidents.note(tx, live.number, by=_at_sender(alert), text=decision.reason)
        case Verdict.WAIT:
            return _wait(tx, decided, services)
        case Verdict.HOLD:
            return _held(tx, decided, services)
    if alert.status is Status.RESOLVED and live is None and services.needs:
        waited = dependencies.end_affected(tx, alert)
        if waited is not None:
            return Kept(f"{decision.reason}; it waited for {waited}", number)
    return Kept(decision.reason, number)


def _held(tx: Tx, decided: Decided, services: Services) -> Kept:
    """What a held alert waits for, beside its time, by the order in which triage asks."""
    known, reason = decided.known, decided.decision.reason
    if decided.decision.held_by is HeldBack.FLAPPING and known.flaps is not None:
        return _flaps(tx, decided, known.flaps, services)
    if known.silence is not None:
        silences.hides(tx, known.silence, decided.alert)
        return Kept(reason, None, known.silence.waits_for)
    if known.window is None and known.inhibited is not None:
        return Kept(reason, None, inhibitions.waits_for(known.inhibited[0], decided.alert))
    return Kept(reason, None if known.waited is None else known.waited[0], decided.receipt.waits_for)


def _flaps(tx: Tx, decided: Decided, flaps: Flapping, services: Services) -> Kept:
    """Tell a person, once, of an alert that flaps: on its incident, which is theirs by that, or on one that is opened for it."""
    alert, at, live, reason = decided.alert, decided.at, decided.live, decided.decision.reason
    is_told = flaps.is_told(alert.severity, live.number if live else None)
    if live is not None:
        joining.join(tx, live.number, alert, reason=reason, plan=_plan(at.runbook), flaps=True)
        number = live.number
    elif is_told:
        return Kept(reason, None, flaps.waits_for)
    else:
        number = _open(tx, decided, services.about(at.service)).number
    if not is_told:
        flaps_rows.told(tx, alert, flaps, number)
        incident = incidents.get(tx, number)
        because = f"{shown_name(alert)}: {flaps.words}; a playbook would try for ever what does not last"
        if incident.state in (State.OPEN, State.WORKING):
            lifecycle.hand_over(tx, number, Outcome(Ending.HANDED_OVER, because), actor="triage")
        elif live is not None:
            holder = incident.acknowledged_by if incident.state is State.ACKNOWLEDGED else None
            subject = f"{shown_name(alert)} flaps: its turns are not told any more until it is steady"
            messages.update_holder(tx, incident, holder, subject=subject, body=flaps.words)
    return Kept(reason, number, flaps.waits_for, opened=live is None)


def _wait(tx: Tx, decided: Decided, services: Services) -> Kept:
    """Have the alert wait for the incident of what its service depends on; to look again at it is no new word of its sender."""
    down, service = decided.known.down, decided.at.service
    if down is None:
        raise ValueError("an alert waits only for a service that is down")
    waits_for = held_alerts.for_incident(down.incident)
    if decided.receipt.waits_for != waits_for:
        about, reason = services.about(service), decided.decision.reason
        dependencies.affect(tx, down.incident, decided.alert, service=service, about=about, reason=reason)
    return Kept(decided.decision.reason, down.incident, waits_for)


def _at_sender(alert: Alert) -> str:
    """Who acknowledged it there: no name that oncall.yaml could have."""
    return f"{alert.by or 'somebody'} ({alert.source})"


def _plan(runbook: Runbook | None) -> Plan | None:
    if runbook is None:
        return None
    return Plan(
        runbook.name,
        runbook.version,
        runbook.text,
        rungs=len(runbook.remedies),
        notify=tuple(map(str, runbook.notify)),
    )


def _open(tx: Tx, decided: Decided, about: ServiceFacts) -> Incident:
    """Open an incident: a playbook's, else a person's. Of what flaps it is a person's in any case, which the caller says."""
    at, plan, flaps = decided.at, _plan(decided.at.runbook), decided.decision.held_by is HeldBack.FLAPPING
    incident = lifecycle.open_incident(
        tx,
        decided.alert,
        service=at.service,
        target=at.target,
        policy=at.runbook.policy if at.runbook else DEFAULT_POLICY,
        reason=decided.decision.reason,
        plan=plan,
        about=about,
        attempts=0 if flaps else 1,
    )
    if plan is None and not flaps:
        lifecycle.hand_over(tx, incident.number, Outcome(Ending.HANDED_OVER, at.why), actor="triage")
    return incident
