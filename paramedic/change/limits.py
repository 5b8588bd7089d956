"""The limits of a change: those of the incident's own runbook version, and of the current file."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.catalog.library import Library, open_library
from paramedic.catalog.withdrawal import proof_of_both, withdrawn
from paramedic.change.run import PlaybookRun
from paramedic.checks.check import SOURCE
from paramedic.doors import reading
from paramedic.machine.clock import iso
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.remedy import Remedy, Verb
from paramedic.store import incident_alerts
from paramedic.text.yaml_document import BadDocument


def pinned_and_current(run: PlaybookRun, remedy: Remedy) -> tuple[Guardrails, Guardrails]:
    """The limits of the incident's own runbook version, and those of the current file.

    A release that nobody marked as reversible is crossed only with a person's approval. Reads files, so never inside a
    transaction. From here on the target counts as well only by the conditions of both versions. Raises StoreUnavailable,
    and PermanentError where a roll-back finds its release folder out of order.
    """
    pinned, current = run.runbook.guardrails.of(remedy), _current(run, remedy)
    if remedy.verb is Verb.ROLL_BACK and reading.releases(run.target).current().reversible is None:
        return pinned.asking_from(Severity.WARNING), current
    return pinned, current


def _current(run: PlaybookRun, remedy: Remedy) -> Guardrails:
    """The limits of the current file; where it is gone, broken or narrowed, nothing is allowed."""
    path = run.settings.runbooks / f"{run.own.name}.md"
    try:
        library = open_library(run.settings)
    except BadDocument as error:
        return Guardrails.nothing(f"nothing acts until this is mended: {error.problems[0]}")
    now = library.runbooks.get(run.own.name)
    if now is None:
        return Guardrails.nothing(_missing(path, library))
    if now.version != run.own.version or library.services.by_id(run.target.id) != run.target:
        with run.store.read() as tx:
            alerts = [_alert(row) for row in incident_alerts.of(tx, run.incident.number)]
        why = withdrawn(run.own, now, remedy, alerts=_firing(alerts), target=run.target, services=library.services)
        if why is not None:
            return Guardrails.nothing(f"{why} ({path.name} was written at {_written(path)})")
    run.runbook = proof_of_both(run.own, now)
    return now.guardrails.of(remedy)


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


def _alert(row: dict[str, Any]) -> Alert:
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
