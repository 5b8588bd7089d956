"""The full story of an incident, for its report."""

from typing import Any

from sqlalchemy import select

from paramedic.incidents.report import Story
from paramedic.remediation.figures import Figure
from paramedic.store import Tx, as_dict, evidence, incident_alerts, incidents, runbook_versions
from paramedic.store.tables import acts, messages
from paramedic.store.trail import entries

_OF_ACTS = (
    "id",
    "attempt",
    "rung",
    "target",
    "remedy",
    "holder",
    "written_at",
    "deadline_at",
    "result",
    "why",
    "closed_at",
    "figures",
)
_OF_MESSAGES = ("kind", "rung", "state", "person", "due_at", "sent_at", "last_error")


def story(tx: Tx, number: int) -> Story:
    """The whole story of the incident. Raises NoSuchIncident."""
    incident = incidents.get(tx, number)
    timeline = list(entries(tx, incident=number))
    acted = select(*(acts.c[name] for name in _OF_ACTS)).where(acts.c.incident == number).order_by(acts.c.id)
    query = select(*(messages.c[name] for name in _OF_MESSAGES)).where(messages.c.incident == number)
    return Story(
        incident=incident,
        now=tx.now,
        runbook=runbook_versions.runbook_text(tx, incident.runbook_version) if incident.runbook_version else "",
        timeline=timeline,
        notes=incidents.notes(tx, timeline),
        acts=[_act(as_dict(row)) for row in tx.conn.execute(acted)],
        alerts=incident_alerts.of(tx, number),
        evidence=evidence.of(tx, number),
        messages=[as_dict(row) for row in tx.conn.execute(query.order_by(messages.c.id))],
    )


def _act(row: dict[str, Any]) -> dict[str, Any]:
    """The act with its figures in words beside."""
    figures = row["figures"] or []
    return row | {"figures": figures, "measured": [Figure.from_json(figure).words for figure in figures]}
