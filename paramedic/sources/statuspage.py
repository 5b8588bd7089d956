"""Atlassian Statuspage's webhook subscription: an outage of somebody whom services depend on.

Nothing here can heal it: it tells people, and stands beside what depends on it. It signs nothing; the login is in the address.
"""

from collections.abc import Mapping

from paramedic.alerts.alert import Status
from paramedic.alerts.draft import Draft
from paramedic.alerts.payload import Fields, parsed_object
from paramedic.alerts.reading import Aside, BadPayload, Reading

NAME = "statuspage"
BODY = "Statuspage's webhook to subscribers: an incident, or a component's change."
EXAMPLE = """{
  "meta": {"generated_at": "2026-01-31T09:30:00Z"},
  "page": {"id": "jb7j80lkgqvb", "status_indicator": "major", "status_description": "Partial System Outage"},
  "incident": {
    "id": "z3lct0r596n4",
    "name": "Delays of the map provider",
    "status": "identified",
    "impact": "major",
    "created_at": "2026-01-31T09:30:00Z",
    "updated_at": "2026-01-31T09:30:00Z",
    "resolved_at": null,
    "shortlink": "https://stspg.io/646947c1e",
    "incident_updates": [{"status": "identified", "body": "Requests for tiles time out."}]
  }
}"""

#: The impact of an incident, and a component's status.
SEVERITIES: Mapping[str, str] = {
    "critical": "critical",
    "major": "critical",
    "minor": "warning",
    "none": "warning",
    "major_outage": "critical",
    "partial_outage": "warning",
    "degraded_performance": "warning",
}

_STATES: Mapping[str, Status] = {
    "investigating": Status.FIRING,
    "identified": Status.FIRING,
    "monitoring": Status.FIRING,
    "resolved": Status.RESOLVED,
    "postmortem": Status.RESOLVED,
}


def read(_headers: Mapping[str, str], body: bytes) -> Reading:
    """The outage's alert; planned maintenance is an aside. Raises BadPayload for what is not Statuspage's."""
    whole = parsed_object(body, "Statuspage")
    incident, component = whole.fields("incident"), whole.fields("component")
    draft: Draft | None = None
    if incident:
        status = _STATES.get(incident.text("status").lower())
        draft = None if status is None else _incident(incident, status, whole)
    elif component and whole.fields("component_update"):
        draft = _component(component, whole)
    else:
        raise BadPayload(
            "incident", "is missing, and component_update", "Statuspage's incident or component", readable=True
        )
    if draft is None:
        return Reading(asides=(Aside(body.decode("utf-8", "replace"), "is planned maintenance of a Statuspage"),))
    return Reading((draft.alert(),))


def _incident(incident: Fields, status: Status, whole: Fields) -> Draft:
    page, impact = whole.fields("page").text("id"), incident.text("impact_override", "impact")
    news = Fields(next(iter(incident.list("incident_updates")), {})).text("body")
    components = [
        name for part in incident.list("components", "affected_components") if (name := Fields(part).text("name"))
    ]
    return Draft(
        source=NAME,
        name=incident.text("name") or "an incident without a name",
        status=status,
        identity=(page, incident.text("id")),
        severity=SEVERITIES.get(impact, "warning"),
        starts_at=incident.moment("created_at", "started_at"),
        ends_at=incident.moment("resolved_at", "updated_at") if status is Status.RESOLVED else None,
        labels={"page": page, "component": ", ".join(components), "impact": impact},
        annotations={"summary": incident.text("name"), "description": news, "state": incident.text("status")},
        link=incident.text("shortlink"),
        notes=whole.notes,
    )


def _component(component: Fields, whole: Fields) -> Draft | None:
    update, page = whole.fields("component_update"), whole.fields("page").text("id")
    word = component.text("status") or update.text("new_status")
    if word == "under_maintenance":
        return None
    status = Status.RESOLVED if word == "operational" else Status.FIRING
    moment = update.moment("created_at") or whole.fields("meta").moment("generated_at")
    return Draft(
        source=NAME,
        name=component.text("name") or f"component {component.text('id')}",
        status=status,
        identity=(page, "component", component.text("id") or update.text("component_id")),
        severity=SEVERITIES.get(word, "warning"),
        starts_at=moment if status is Status.FIRING else None,
        ends_at=moment if status is Status.RESOLVED else None,
        labels={"page": page, "component": component.text("name"), "impact": word},
        annotations={"summary": f"{component.text('name')} is {word.replace('_', ' ')}"},
        notes=whole.notes,
    )
