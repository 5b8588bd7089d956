"""The limits of a change: those of the incident's own runbook version, and of the current file."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.catalog.library import Library, open_library
from paramedic.catalog.runbook import Runbook
from paramedic.catalog.withdrawal import proof_of_both, withdrawn
from paramedic.change.run import PlaybookRun
from paramedic.checks.check import SOURCE
from paramedic.doors import reading
from paramedic.incidents.incident import Incident
from paramedic.machine.clock import iso
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.remedy import Remedy, Verb
from paramedic.remediation.site_limits import BreakerLimit, FleetLimit, SiteLimits
from paramedic.remediation.target import Target
from paramedic.settings import Settings
from paramedic.store import Store, incident_alerts
from paramedic.text.yaml_document import BadDocument


def pinned_and_current(run: PlaybookRun, remedy: Remedy) -> tuple[Guardrails, Guardrails]:
    """The limits of the incident's own runbook version, and those of the current file.

    A release that nobody marked as reversible is crossed only with a person's approval, unless a person merges the roll-back.
    Reads files, so never inside a transaction. From here on the target counts as well only by the conditions of both
    versions. Raises StoreUnavailable, and PermanentError where a roll-back finds its release folder out of order.
    """
    of_ladder = remedy.undoes or remedy  # what allows a remedy allows to undo it
    current, today = current_limits(run.settings, run.store, run.incident, run.own, run.target, of_ladder)
    pinned = replace(run.runbook.guardrails.of(of_ladder), site=current.site)
    if today is not None:
        run.runbook = proof_of_both(run.own, today)
    if remedy.verb is Verb.ROLL_BACK and not reading.merged_by_people(run.target) and _unmarked(run.target):
        return pinned.asking_from(Severity.WARNING), current
    return pinned, current


def _unmarked(target: Target) -> bool:
    return reading.releases(target).current().reversible is None


def current_limits(  # noqa: PLR0917 - who asks, what for
    settings: Settings, store: Store, incident: Incident, own: Runbook, target: Target, remedy: Remedy
) -> tuple[Guardrails, Runbook | None]:
    """The limits of the file of `own`, the incident's runbook, as it is now, and that runbook.

    Where it is gone, broken or narrowed, nothing is allowed, and there is none. Reads files, so never inside a transaction.
    Raises StoreUnavailable.
    """
    path = settings.runbooks / f"{own.name}.md"
    try:
        library = open_library(settings)
    except BadDocument as error:
        return Guardrails.nothing(f"nothing acts until this is mended: {error.problems[0]}"), None
    now = library.runbooks.get(own.name)
    if now is None:
        return Guardrails.nothing(_missing(path, library)), None
    listed = library.services.by_id(target.id)
    if now.version != own.version or listed != target or listed.words != target.words:
        with store.read() as tx:
            alerts = [alert_in(row) for row in incident_alerts.of(tx, incident.number)]
        why = withdrawn(own, now, remedy, alerts=_firing(alerts), target=target, services=library.services)
        if why is not None:
            return Guardrails.nothing(f"{why} ({path.name} was written at {_written(path)})"), None
    return replace(now.guardrails.of(remedy), site=site_limits(settings, len(library.services.targets))), now


def firing_alerts(run: PlaybookRun) -> list[Alert]:
    """The incident's alerts that fire now, by their senders. Raises StoreUnavailable."""
    with run.store.read() as tx:
        rows = incident_alerts.of(tx, run.incident.number)
    return [alert for alert in map(alert_in, rows) if alert.status is Status.FIRING]


def site_limits(settings: Settings, listed: int) -> SiteLimits:
    """What the settings ask of every change, where services.yaml lists so many targets."""
    return SiteLimits(
        BreakerLimit(settings.breaker_failures, settings.breaker_within),
        FleetLimit(settings.fleet_share, settings.fleet_within, listed),
        settings.storm_cooldown,
    )


def _missing(path: Path, library: Library) -> str:
    problem = next((found for found in library.problems if found.file == str(path)), None)
    if problem is None:
        return f"the runbook was withdrawn: {path} is gone"
    return f"the runbook cannot be used since {_written(path)}: {problem}"


def _written(path: Path) -> str:
    try:
        return iso(datetime.fromtimestamp(path.stat().st_mtime, UTC))
    except (OSError, ValueError, OverflowError):
        return "an unknown time"


def _firing(alerts: list[Alert]) -> list[Alert]:
    """The firing alerts; all of them where none fires any more."""
    return [alert for alert in alerts if alert.status is Status.FIRING] or alerts


def alert_in(row: dict[str, Any]) -> Alert:
    """The alert of the incident's row. Its fingerprint shows whether a check raised it: no sender can forge that source."""
    labels = {name: value for name, value in row["labels"].items() if name != "severity"}
    alert = Alert(
        "",
        row["name"],
        Severity(row["severity"]),
        Status(row["status"]),
        row["starts_at"],
        row["fingerprint"],
        row["labels"],
    )
    return replace(alert, source=SOURCE) if fingerprint(SOURCE, labels) == alert.fingerprint else alert
