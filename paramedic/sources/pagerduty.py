"""PagerDuty's webhooks: version 3 (signed), and versions 1 and 2, which PagerDuty ended and others imitate.

PagerDuty drops what it gets a 4xx for, and ends a subscription after three such: whatever is signed and not an alert is an aside.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from paramedic.alerts.alert import Alert, Status
from paramedic.alerts.draft import Draft
from paramedic.alerts.payload import Fields, each, parsed_object
from paramedic.alerts.reading import Aside, Reading

NAME = "pagerduty"
BODY = "PagerDuty's webhook, version 3: one event of an incident."
EXAMPLE = """{
  "event": {
    "id": "01BZYIL05THJDFF2Y08X9SVMTU",
    "event_type": "incident.triggered",
    "resource_type": "incident",
    "occurred_at": "2026-01-31T09:30:00Z",
    "agent": null,
    "client": null,
    "data": {
      "id": "PFQZPSY",
      "type": "incident",
      "html_url": "https://shop.pagerduty.com/incidents/PFQZPSY",
      "number": 9,
      "status": "triggered",
      "incident_key": "tracking-api-slow",
      "created_at": "2026-01-31T09:30:00Z",
      "title": "tracking-api is slow",
      "service": {"id": "PA2P440", "summary": "tracking-api", "html_url": "https://shop.pagerduty.com/services/PA2P440"},
      "assignees": [],
      "priority": {"summary": "P1"},
      "urgency": "high"
    }
  }
}"""

#: PagerDuty's words: an incident's priority, and where it has none its urgency.
SEVERITIES: Mapping[str, str] = {
    "P1": "critical",
    "P2": "critical",
    "P3": "warning",
    "P4": "warning",
    "P5": "warning",
    "high": "critical",
    "low": "warning",
}

#: How an incident stands. One that somebody has already taken is no alert's news.
_STATES: Mapping[str, Status] = {"triggered": Status.FIRING, "resolved": Status.RESOLVED}

#: What an event says of its incident. Any other (a note, a responder, an escalation) only repeats how the incident stands.
_EVENTS: Mapping[str, Status] = {
    "triggered": Status.FIRING,
    "trigger": Status.FIRING,
    "reopened": Status.FIRING,
    "unacknowledged": Status.FIRING,
    "unacknowledge": Status.FIRING,
    "acknowledged": Status.ACKNOWLEDGED,
    "acknowledge": Status.ACKNOWLEDGED,
    "resolved": Status.RESOLVED,
    "resolve": Status.RESOLVED,
}


def authentic(headers: Mapping[str, str], body: bytes, credential: str) -> bool:
    """Whether one of the signatures is by this secret: while a secret is replaced there are two."""
    mine = hmac.new(credential.encode(), body, hashlib.sha256).hexdigest()
    given = [part.strip() for part in headers.get("x-pagerduty-signature", "").split(",")]
    return any(hmac.compare_digest(f"v1={mine}".encode(), one.encode("utf-8", "replace")) for one in given)


def read(_headers: Mapping[str, str], body: bytes) -> Reading:
    """The incident's alert, or an aside. Raises BadPayload for what is no JSON object."""
    fields = parsed_object(body, "PagerDuty")
    messages = fields.list("messages")
    if messages:
        return _of_old(messages)
    event = fields.fields("event")
    kind = event.text("event_type")
    incident = event.fields("data")
    status = _EVENTS.get(kind.removeprefix("incident.")) or _STATES.get(incident.text("status"))
    if status is None or not kind.startswith("incident.") or not incident.text("id"):
        return Reading(asides=(_aside(body.decode("utf-8", "replace"), kind),))
    return Reading((_draft(incident, status, event).alert(),))


def _aside(body: str, kind: str) -> Aside:
    return Aside(body, f"is PagerDuty's event {kind[:60]}" if kind else "is nothing that PagerDuty's webhooks say")


def _draft(incident: Fields, status: Status, event: Fields) -> Draft:
    priority = incident.fields("priority").text("summary", "name")
    word = priority if priority in SEVERITIES else incident.text("urgency").lower()
    occurred = event.moment("occurred_at")
    service = incident.fields("service").text("summary", "name")
    title = incident.text("title", "summary") or f"incident {incident.text('number', 'id')}"
    again = event.text("event_type") == "incident.reopened"
    return Draft(
        source=NAME,
        name=title,
        status=status,
        identity=(incident.text("id"),),
        severity=SEVERITIES.get(word, word),
        starts_at=occurred if again else incident.moment("created_at", "created_on") or occurred,
        ends_at=occurred if status is Status.RESOLVED else None,
        labels={"service": service, "priority": priority, "urgency": incident.text("urgency")},
        annotations={"summary": title, "key": incident.text("incident_key")},
        link=incident.text("html_url"),
        by=event.fields("agent").text("summary") or None,
        notes=incident.notes,
    )


def _of_old(messages: Any) -> Reading:
    """The alerts of versions 1 and 2: several messages in one body."""
    known = [message for message in messages if _old_status(message) is not None]
    others = [message for message in messages if _old_status(message) is None]
    alerts, bad = each(known, "messages", _old)
    asides = tuple(_aside(json.dumps(message), _old_kind(Fields(message))) for message in others[:20])
    return Reading(alerts, bad, asides=asides)


def _old_kind(message: Fields) -> str:
    return message.text("event", "type")


def _old_status(message: Any) -> Status | None:
    kind = _old_kind(Fields(message))
    return _EVENTS.get(kind.removeprefix("incident.")) if kind.startswith("incident.") else None


def _old(entry: Any, at: str) -> Alert:
    message = Fields(entry, at)
    incident = message.fields("incident") or message.fields("data").fields("incident")
    if not incident:
        raise ValueError(f"{at}.incident: is missing or no object")
    status = _EVENTS[_old_kind(message).removeprefix("incident.")]
    subject = incident.fields("trigger_summary_data").text("subject", "description")
    who = incident.fields("last_status_change_by").text("name", "summary")
    values = {"title": subject, **incident.values}
    event = {"agent": {"summary": who}, "occurred_at": message.text("created_on")}
    return _draft(Fields(values, incident.at, message.notes), status, Fields(event, at, message.notes)).alert()
