"""Datadog's webhook (Datadog documentation, "Webhooks"): our template, Datadog's default body, and others of the same variables.

Datadog has no schema: the body is the template that was typed in, filled in with texts. Without one of ours the transition
stands in the title alone.
"""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qs

from paramedic.alerts.alert import Status
from paramedic.alerts.draft import Draft, tags
from paramedic.alerts.payload import Fields, parsed_object
from paramedic.alerts.reading import Aside, Reading

NAME = "datadog"
BODY = "Datadog's webhook: the template of `paramedic source template datadog`, or Datadog's default body."
EXAMPLE = """{
  "alert_cycle_key": "4711001122334455",
  "alert_id": "266155000",
  "alert_transition": "Triggered",
  "alert_type": "error",
  "alert_priority": "P1",
  "alert_title": "p95 of tracking-api is high",
  "alert_scope": "service:tracking-api,host:web-1",
  "alert_metric": "trace.http.request.p95",
  "alert_query": "avg(last_5m):p95:trace.http.request{service:tracking-api} > 0.3",
  "alert_status": "p95 of tracking-api was > 0.3 on average during the last 5m",
  "event_id": "8546376597550758824",
  "event_type": "query_alert_monitor",
  "hostname": "web-1",
  "tags": "env:prod,service:tracking-api",
  "text": "p95 of tracking-api is 340 ms",
  "link": "https://app.datadoghq.com/event/event?id=8546376597550758824",
  "date": "1769851800000"
}"""

#: What to type in as the webhook's payload.
TEMPLATE = """{
  "alert_cycle_key": "$ALERT_CYCLE_KEY",
  "alert_id": "$ALERT_ID",
  "alert_transition": "$ALERT_TRANSITION",
  "alert_type": "$ALERT_TYPE",
  "alert_priority": "$ALERT_PRIORITY",
  "alert_title": "$ALERT_TITLE",
  "alert_scope": "$ALERT_SCOPE",
  "alert_metric": "$ALERT_METRIC",
  "alert_query": "$ALERT_QUERY",
  "alert_status": "$ALERT_STATUS",
  "event_id": "$ID",
  "event_type": "$EVENT_TYPE",
  "hostname": "$HOSTNAME",
  "tags": "$TAGS",
  "text": "$TEXT_ONLY_MSG",
  "link": "$LINK",
  "date": "$DATE"
}"""

#: What each transition says; the title of a default body has it in brackets.
_TRANSITIONS: Mapping[str, Status] = {
    "triggered": Status.FIRING,
    "re-triggered": Status.FIRING,
    "warn": Status.FIRING,
    "re-warn": Status.FIRING,
    "no data": Status.FIRING,
    "re-no data": Status.FIRING,
    "renotify": Status.FIRING,
    "recovered": Status.RESOLVED,
}

#: Datadog's words: the monitor's priority says how it is meant; where it has none, the event's type how it stands.
SEVERITIES: Mapping[str, str] = {
    "P1": "critical",
    "P2": "critical",
    "P3": "warning",
    "P4": "warning",
    "P5": "info",
    "error": "critical",
    "warning": "warning",
    "success": "warning",
    "info": "info",
}

_PREFIX = re.compile(r"\s*\[(?P<said>[^\[\]]*)\]\s*")
_PRIORITY = re.compile(r"P[1-5]")
_ON = re.compile(r"(?P<transition>[A-Za-z -]+?)(?: on \{(?P<scope>[^{}]*)\})?")
_MONITOR = re.compile(r"https://[a-z0-9.-]+/monitors/(?P<id>\d{1,20})[^)\s]{0,1000}")


def read(headers: Mapping[str, str], body: bytes) -> Reading:
    """The alert of the body; an event of no monitor's is an aside. Raises BadPayload for what is no JSON object."""
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        body = _of_form(body)
    whole = parsed_object(body, "Datadog")
    fields = Fields({**whole.values, **whole.fields("event").values, **whole.fields("alert").values}, notes=whole.notes)
    title = _title(fields.text("alert_title", "title", "event_title"))
    transition = (fields.text("alert_transition", "transition") or title.transition).lower()
    kind = fields.text("alert_type").lower()
    status = Status.RESOLVED if transition.startswith("recovered") else _TRANSITIONS.get(transition)
    if status is None and not (title.rest and (transition or kind)):
        return Reading(
            asides=(Aside(body.decode("utf-8", "replace"), "is an event of Datadog's that is no monitor's"),)
        )
    if status is None:
        status = Status.RESOLVED if kind == "success" else Status.FIRING
        fields.notes.append(f"alert_transition: none that is known, taken as {status} by alert_type")
    return Reading((_draft(fields, title, transition, status).alert(),))


def _draft(fields: Fields, title: "_Title", transition: str, status: Status) -> Draft:
    text = fields.text("text", "text_only_msg", "event_msg", "body")
    page = _MONITOR.search(text)
    monitor = fields.text("alert_id", "monitor_id") or (page["id"] if page else "")
    scope = fields.text("alert_scope") or title.scope
    cycle = fields.text("alert_cycle_key")
    priority = (fields.text("alert_priority", "priority") or title.priority).upper()
    moment = fields.moment("date", "date_posix", "last_updated")
    return Draft(
        source=NAME,
        name=title.rest or (f"monitor {monitor}" if monitor else "a monitor without a name"),
        status=status,
        identity=(cycle,) if cycle else (monitor or title.rest, scope or fields.text("aggreg_key", "aggregate")),
        severity=_severity(transition, priority, fields.text("alert_type").lower()),
        starts_at=moment if status is Status.FIRING else None,
        ends_at=moment if status is Status.RESOLVED else None,
        labels={
            "host": fields.text("hostname", "host_name"),
            **tags(fields.text("tags")),
            **tags(scope),
            "monitor": monitor,
            "metric": fields.text("alert_metric"),
            "priority": priority,
        },
        annotations={
            "summary": fields.text("alert_status") or title.rest,
            "description": text,
            "query": fields.text("alert_query"),
            "transition": transition,
        },
        link=fields.text("link", "event_url") or (page[0] if page else ""),
        notes=fields.notes,
    )


def _of_form(body: bytes) -> bytes:
    """The JSON of a webhook with "Encode as form": its one field, or all fields as an object's."""
    fields = {
        name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True).items()
    }
    return (fields["payload"] if "payload" in fields else json.dumps(fields)).encode()


class _Title(NamedTuple):
    """A title without its prefixes, and what these say."""

    rest: str
    transition: str = ""
    scope: str = ""
    priority: str = ""


def _title(text: str) -> _Title:
    """The title taken apart. An author's own bracket stays, where none of Datadog's stands before it."""
    found = _Title(text.strip())
    while (prefix := _PREFIX.match(found.rest)) is not None:
        words = prefix["said"].strip()
        on = _ON.fullmatch(words)
        if _PRIORITY.fullmatch(words):
            found = found._replace(priority=words)
        elif on is not None and on["transition"].lower() in _TRANSITIONS and not found.transition:
            found = found._replace(transition=on["transition"], scope=on["scope"] or "")
        elif not found.transition:
            break
        found = found._replace(rest=found.rest[prefix.end() :].strip())
    return found


def _severity(transition: str, priority: str, kind: str) -> str:
    if priority in SEVERITIES:
        return SEVERITIES[priority]
    return "warning" if transition in ("warn", "re-warn") else SEVERITIES.get(kind, "")
