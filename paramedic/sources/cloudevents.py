"""CloudEvents 1.0 about alerts (CloudEvents, "HTTP Protocol Binding"): structured, binary and in batches, of whatever sender.

CloudEvents says how an event is wrapped, and nothing of alerts: what fires and what is over is taken from the words that
senders use for it, in the type or in the data. An event without such a word is an aside.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from paramedic.alerts.alert import Alert, Status
from paramedic.alerts.draft import Draft
from paramedic.alerts.payload import Fields, each, parsed
from paramedic.alerts.reading import Aside, Bad, BadPayload, Reading

NAME = "cloudevents"
BODY = "A CloudEvent 1.0 about an alert, structured or binary, or a batch of them."
EXAMPLE = """{
  "specversion": "1.0",
  "id": "evt-550e8400-e29b-41d4-a716-446655440001",
  "source": "/monitoring/eu-1",
  "type": "com.example.alert.firing",
  "time": "2026-01-31T09:30:00Z",
  "datacontenttype": "application/json",
  "subject": "tracking-api",
  "data": {
    "fingerprint": "abc123def456",
    "status": "firing",
    "starts_at": "2026-01-31T09:30:00Z",
    "labels": {"alertname": "TrackingApiSlow", "service": "tracking-api", "severity": "critical"},
    "annotations": {"summary": "p95 of tracking-api is 340 ms"}
  }
}"""

#: Words for how an alert stands, in the data's status or as a part of the event's type.
_WORDS: Mapping[str, Status] = {
    **dict.fromkeys(
        (
            "firing",
            "fired",
            "triggered",
            "occurred",
            "alerting",
            "open",
            "opened",
            "active",
            "activated",
            "problem",
            "raised",
            "failing",
        ),
        Status.FIRING,
    ),
    **dict.fromkeys(
        (
            "resolved",
            "ok",
            "recovered",
            "recovery",
            "closed",
            "cleared",
            "finished",
            "restored",
            "deactivated",
            "inactive",
        ),
        Status.RESOLVED,
    ),
    **dict.fromkeys(("acknowledged", "acked"), Status.ACKNOWLEDGED),
}

_PART = re.compile(r"[A-Za-z]+")

#: What an event's attributes are called in headers.
_HEADER = "ce-"


def read(headers: Mapping[str, str], body: bytes) -> Reading:
    """The alerts of the body, and its other events as asides. Raises BadPayload for what is no CloudEvent."""
    if f"{_HEADER}specversion" in headers:
        return _of([_of_binary(headers, body)])
    payload = parsed(body, "a CloudEvent")
    if not isinstance(payload, (dict, list)):
        raise BadPayload("body", "is neither an object nor a list", "a CloudEvent, or a batch of them", readable=True)
    return _of(payload if isinstance(payload, list) else [payload])


def _of_binary(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    attributes = {
        name.removeprefix(_HEADER): unquote(value) for name, value in headers.items() if name.startswith(_HEADER)
    }
    return {**attributes, "data": parsed(body, "a CloudEvent's data") if body.strip() else {}}


def _of(events: list[Any]) -> Reading:
    known = [event for event in events if _status(Fields(event)) is not None]
    others = [event for event in events if _status(Fields(event)) is None]
    if not known and others and not any(Fields(event).text("specversion") for event in others):
        raise BadPayload("specversion", "is missing", "a CloudEvent 1.0", readable=True)
    alerts, bad = each(known, "events", _alert)
    asides = tuple(_aside(event) for event in others[:20])
    if len(others) > len(asides):
        bad = (*bad, Bad("[]", f"events: {len(others) - len(asides)} more of them are no alerts and were not kept", 1))
    return Reading(alerts, bad, asides=asides)


def _aside(event: Any) -> Aside:
    kind = Fields(event).text("type")
    return Aside(
        _written(event), f"is an event of the type {kind[:80] or 'none'}, which says of nothing whether it fires"
    )


def _written(event: Any) -> str:
    try:
        return json.dumps(event)
    except RecursionError:
        return "[nested too deep to be kept]"


def _status(event: Fields) -> Status | None:
    """How the alert stands: by the status where one is known, else by the last word of the type that says it."""
    data = event.fields("data")
    for holder in (data.fields("alert"), data, event):
        for name in ("status", "state"):
            if (found := _WORDS.get(holder.text(name).lower())) is not None:
                return found
    words = [word.lower() for word in _PART.findall(event.text("type"))]
    return next((_WORDS[word] for word in reversed(words) if word in _WORDS), None)


def _alert(entry: Any, at: str) -> Alert:
    event = Fields(entry, at)
    data = event.fields("data")
    alert = data.fields("alert") or data
    labels = {**event.fields("labels").values, **alert.fields("labels").values}
    status = _status(event) or Status.FIRING
    name = Fields(labels).text("alertname") or alert.text("alertname", "name", "title", "rule_name")
    name = (
        name or data.fields("problem").text("problemTitle") or data.fields("rule").text("name") or event.text("subject")
    )
    identity = alert.text("fingerprint", "alert_id", "alertId", "incident_id", "dedup_key") or event.text("ruleId")
    entity = event.text("alertEntityId") or alert.text("entity", "instance", "host")
    about = (
        event.text("source", "workspace"),
        identity or name,
        "" if identity and not entity else entity or event.text("subject"),
    )
    moment = event.moment("time", "timestamp")
    return Draft(
        source=NAME,
        name=name or event.text("type"),
        status=status,
        identity=about,
        severity=Fields(labels).text("severity")
        or alert.text("severity", "priority", "level")
        or event.text("severity"),
        starts_at=alert.moment("starts_at", "startsAt", "started_at")
        or (None if status is Status.RESOLVED else moment),
        ends_at=alert.moment("ends_at", "endsAt", "ended_at") or moment if status is Status.RESOLVED else None,
        labels={
            **{key: data.text(key) for key in ("project", "stage", "service", "module", "environment")},
            **labels,
            "entity": entity,
            "instance": Fields(labels).text("instance") or entity,
            "event_source": event.text("source"),
            "event_type": event.text("type"),
        },
        annotations={
            "summary": event.text("alertMessage")
            or data.fields("problem").text("rootCause")
            or alert.text("summary", "message"),
            **event.fields("annotations").values,
            **alert.fields("annotations").values,
        },
        link=alert.text("generator_url", "generatorURL", "url", "link") or event.text("alertHistoryUrl"),
        by=alert.text("acknowledged_by") or None,
        notes=event.notes,
    ).alert()
