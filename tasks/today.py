"""Does the author still want it? The runbook's file, read at the moment before a change."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.catalog import library
from paramedic.catalog.library import Library
from paramedic.catalog.withdrawal import proof_of_both, withdrawn
from paramedic.checks.check import SOURCE
from paramedic.machine.clock import iso
from paramedic.remediation.remedy import Remedy
from paramedic.store import incident_alerts
from paramedic.store.acts import Limits
from paramedic.text.yaml_document import BadDocument
from tasks.work import Work


def today(work: Work, remedy: Remedy) -> Limits:
    """The limits that the runbook's file sets at this moment; of one that is gone, broken or narrowed, that nothing is left.

    From here on the target counts as well only by the conditions of both versions. Raises StoreUnavailable.
    """
    path = work.settings.runbooks / f"{work.own.name}.md"
    try:
        shelf = library.opened(work.settings)
    except BadDocument as error:
        return Limits.nothing(f"nothing acts until this is mended: {error.problems[0]}")
    now = shelf.runbooks.get(work.own.name)
    if now is None:
        return Limits.nothing(_missing(path, shelf))
    if now.version != work.own.version or shelf.services.by_id(work.target.id) != work.target:
        with work.store.read() as tx:
            alerts = [_alert(row) for row in incident_alerts.of(tx, work.incident.number)]
        why = withdrawn(work.own, now, remedy, alerts=_firing(alerts), target=work.target, services=shelf.services)
        if why is not None:
            return Limits.nothing(f"{why} ({path.name} was written at {_written(path)})")
    work.runbook = proof_of_both(work.own, now)
    return Limits.of(now, remedy)


def _missing(path: Path, shelf: Library) -> str:
    problem = next((one for one in shelf.problems if one.file == str(path)), None)
    if problem is None:
        return f"the runbook was withdrawn: {path} is gone"
    return f"the runbook cannot be used since {_written(path)}: {problem}"


def _written(path: Path) -> str:
    try:
        return iso(datetime.fromtimestamp(path.stat().st_mtime, UTC))
    except (OSError, ValueError, OverflowError):
        return "an unknown time"


def _firing(alerts: list[Alert]) -> list[Alert]:
    """Those that fire; all of them where none does any more."""
    return [one for one in alerts if one.status is Status.FIRING] or alerts


def _alert(row: dict[str, Any]) -> Alert:
    """As the incident keeps it. Whether a check raised it, its fingerprint shows: no sender can make one of that source."""
    said = {name: value for name, value in row["labels"].items() if name != "severity"}
    one = Alert(
        "",
        row["name"],
        Severity(row["severity"]),
        Status(row["status"]),
        row["starts_at"],
        row["fingerprint"],
        row["labels"],
    )
    return replace(one, source=SOURCE) if fingerprint(SOURCE, said) == one.fingerprint else one
