"""A dry run: what would be done about an alert, without doing it: which runbook, on which target, and what would stop it."""

from dataclasses import dataclass
from datetime import datetime

from paramedic.alerts.alert import Alert, Severity
from paramedic.catalog.library import Library
from paramedic.catalog.playbook_file import About
from paramedic.catalog.runbook import Runbook
from paramedic.catalog.services import Services
from paramedic.catalog.touched import touched_by
from paramedic.checks.check import SOURCE
from paramedic.intake.routing import place
from paramedic.remediation.target import Target
from paramedic.store import Store, dependencies, incidents, inhibitions, intents, silences

#: The verb that verifies.
VERIFIES = "stays_healthy"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The result for one alert and one runbook. `lines` are for people, one fact each; `acts`: its remedies would run now."""

    alert: str
    wanted: bool
    target: str | None
    acts: bool
    lines: tuple[str, ...]


def of_its_checks(runbook: Runbook, services: Services, at: datetime) -> tuple[Alert, ...]:
    """The alerts that the runbook's checks would raise: one for each check, target and metric, at its worst level."""
    return tuple(
        placed.alert(threshold, level, value=bound, began_at=at, ended_at=None)
        for placed in runbook.placed(services)
        for threshold in placed.check.thresholds
        for level, bound in [threshold.worst]
    )


def rehearse(
    alert: Alert, runbook: Runbook, library: Library, store: Store | None, own: About | None = None
) -> Rehearsal:
    """What the runbook would do about the alert now. `store` gives what was done before; None means nothing.

    `own`: what its playbook says of itself, where that is the team's own. Raises StoreUnavailable.
    """
    if alert.informational:
        for_nobody = ("its severity is for information: it would open nothing and page nobody",)
        return Rehearsal(alert.name, wanted=runbook.wants(alert), target=None, acts=False, lines=for_nobody)
    if not runbook.wants(alert):
        return Rehearsal(
            alert.name, wanted=False, target=None, acts=False, lines=("it is not wanted: no matcher means it",)
        )
    target = runbook.locate(alert, library.services)
    if isinstance(target, str):
        lines_for_a_person = (f"it is wanted, and {target}", f"a person would get it, by policy {runbook.policy}")
        return Rehearsal(alert.name, wanted=True, target=None, acts=False, lines=lines_for_a_person)
    lines = [*_measured(alert), f"it is wanted, and means {target.id}"]
    winner = place(alert, library).runbook
    if winner is not None and winner.name != runbook.name:
        lines.append(f"runbook {winner.name} wants it too, comes first by its name, and would get it")
    if store is not None and (instead := _instead(store, alert, runbook.service, target.id, library.services)):
        lines.append(f"{instead}; nothing else would begin")
        return Rehearsal(alert.name, wanted=True, target=target.id, acts=False, lines=tuple(lines))
    lines += _shipped(runbook) if own is None else _own(runbook, own)
    refusal = _foreseen(store, runbook, target, library, alert.severity) if store is not None else _by_mode(runbook)
    lines.append(
        f"guardrail {refusal[0]} would stop it: {refusal[1]}" if refusal else "no guardrail would stop its first change"
    )
    left = "is not verified well" if own is None else "it does not resolve"
    lines.append(f"whatever {left} goes to a person, by policy {runbook.policy}")
    return Rehearsal(alert.name, wanted=True, target=target.id, acts=refusal is None, lines=tuple(lines))


def _shipped(runbook: Runbook) -> list[str]:
    evidence = ", ".join(runbook.evidence) or "nothing"
    remedies = ", ".join(remedy.name for remedy in runbook.remedies)
    return [
        f"playbook {runbook.playbook} would look whether it is still failing, and take as evidence: {evidence}",
        f"it would try, in this order, each verified before the next: {remedies}",
    ]


def _own(runbook: Runbook, own: About) -> list[str]:
    """What is known of a team's own playbook: its own words, and its verbs as they are written."""
    verbs = ", ".join(own.verbs) or "none of tasks/"
    verified = "" if VERIFIES in own.verbs else f", and never {VERIFIES}: it does not verify what it does"
    remedies = ", ".join(remedy.name for remedy in runbook.remedies)
    plays_it = f"`paramedic playbook rehearse {runbook.playbook} --runbook {runbook.name}` plays it"
    return [
        f"playbook {runbook.playbook}, your own, would run: {own.summary or 'it says nothing of itself (its docstring)'}",
        f"it calls, in the order of its text: {verbs}{verified}",
        f"the runbook's remedies, if it uses them: {remedies}; {plays_it}",
    ]


def _measured(alert: Alert) -> list[str]:
    if alert.source != SOURCE:
        return []
    name = f"{alert.labels['runbook']}/{alert.labels['check']}"
    return [f"check {name} would raise it, {alert.severity}, on finding that {alert.annotations['summary']}"]


def _instead(store: Store, alert: Alert, service: str, target: str, services: Services) -> str | None:
    """What would become of the alert instead of a run, in the order in which triage asks; None where a run would begin."""
    with store.read() as tx:
        for silence in silences.in_force(tx):
            if silence.matches(alert):
                return f"it would be held: {silence.words}"
        if (live := incidents.live(tx, service, target)) is not None:
            return f"it would join {live.id}, which is open for its service and target"
        if (inhibited := inhibitions.inhibiting(tx, services.inhibit, alert)) is not None:
            rule, source = inhibited
            return f"it would be held: {source} fires and inhibits it, by the rule: {rule.words}"
        if (down := dependencies.down(tx, services.needs.get(service, ()))) is not None:
            return f"it would wait: {down.words}, and {service} depends on it"
    return None


def _foreseen(
    store: Store, runbook: Runbook, target: Target, library: Library, severity: Severity
) -> tuple[str, str] | None:
    """The guardrail that would refuse the first change now, and why; None where none would."""
    first = runbook.remedies[0]
    with store.read() as tx:
        refusal = intents.foreseen(
            tx,
            service=runbook.service,
            target=target.id,
            runbook=runbook.name,
            severity=severity,
            remedy=first.on_trail,
            limits=runbook.guardrails.of(first),
            touched=touched_by(target, library),
        )
    return (refusal.guardrail, refusal.reason) if refusal is not None else None


def _by_mode(runbook: Runbook) -> tuple[str, str] | None:
    return None if runbook.mode == "act" else ("mode", f"the runbook's mode is {runbook.mode}")
