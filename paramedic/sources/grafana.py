"""Grafana's webhook contact point (unified alerting, version 1), and the webhook channel of legacy alerting."""

import re
from collections.abc import Mapping
from typing import Any

from paramedic.alerts.alert import LEFT_OUT, Alert, Status
from paramedic.alerts.draft import Draft
from paramedic.alerts.payload import Fields, each, parsed_object
from paramedic.alerts.reading import Aside, BadPayload, Reading

NAME = "grafana"
BODY = "Grafana's webhook contact point, as it sends it, or the webhook of legacy alerting."
EXAMPLE = """{
  "receiver": "paramedic",
  "status": "firing",
  "orgId": 1,
  "alerts": [
    {
      "status": "firing",
      "labels": {"alertname": "TrackingApiSlow", "grafana_folder": "shop", "service": "tracking-api", "severity": "critical"},
      "annotations": {"summary": "p95 of tracking-api is 340 ms"},
      "startsAt": "2026-01-31T09:30:00Z",
      "endsAt": "0001-01-01T00:00:00Z",
      "generatorURL": "https://grafana.example.com/alerting/grafana/dd2f0260/view?orgId=1",
      "fingerprint": "e6349a25f5ef0e9e",
      "silenceURL": "https://grafana.example.com/alerting/silence/new",
      "dashboardURL": "",
      "panelURL": "",
      "values": {"A": 0.34}
    }
  ],
  "groupLabels": {"alertname": "TrackingApiSlow", "grafana_folder": "shop"},
  "commonLabels": {"alertname": "TrackingApiSlow", "grafana_folder": "shop"},
  "commonAnnotations": {},
  "externalURL": "https://grafana.example.com/",
  "version": "1",
  "groupKey": "{}:{alertname=\\"TrackingApiSlow\\"}",
  "truncatedAlerts": 0,
  "title": "[FIRING:1] TrackingApiSlow shop",
  "state": "alerting"
}"""

#: The states of legacy alerting that are about an alert; "pending", "paused" and "unknown" are not yet, or not any more.
_LEGACY: Mapping[str, Status] = {
    "alerting": Status.FIRING,
    "alert": Status.FIRING,
    "no_data": Status.FIRING,
    "ok": Status.RESOLVED,
}

_PREFIX = re.compile(r"\[[A-Za-z _]{1,20}(?::\d{1,9})?(?:, [A-Z]{1,20}:\d{1,9}){0,5}\]\s*")


def read(_headers: Mapping[str, str], body: bytes) -> Reading:
    """The alerts of the body. Raises BadPayload for what is neither of the two."""
    fields = parsed_object(body, "Grafana")
    if isinstance(fields.values.get("alerts"), list):
        return _unified(fields)
    if fields.text("state") and fields.text("ruleName", "title"):
        return _legacy(fields, body)
    raise BadPayload("alerts", "is missing", "Grafana's alerts, or legacy alerting's ruleName and state", readable=True)


def _unified(fields: Fields) -> Reading:
    left_out = _count(fields.text("truncatedAlerts"))
    notes = [f"its sender left {left_out} more alerts of this group out {LEFT_OUT}"] if left_out else []
    own = _without_prefix(fields.text("title"))
    fallback = fields.fields("groupLabels").text("alertname") or fields.fields("commonLabels").text("alertname") or own
    status = fields.text("status")
    alerts, bad = each(fields.list("alerts"), "alerts", lambda entry, at: _alert(entry, at, fallback, status, notes))
    return Reading(alerts, bad, left_out)


def _alert(entry: Any, at: str, fallback: str, group_status: str, group_notes: list[str]) -> Alert:
    if not isinstance(entry, dict):
        raise ValueError(f"{at}: is not an object")  # noqa: TRY004 - the reader collects ValueErrors
    fields = Fields(entry, at, [*group_notes])
    labels = fields.fields("labels")
    name = labels.text("alertname")
    if not name:
        fields.notes.append("labels.alertname: is missing, taken from the group")
    word = (fields.text("status") or group_status).lower()
    if word not in ("firing", "resolved"):
        fields.notes.append("status: neither firing nor resolved, taken as firing")
    status = Status.RESOLVED if word == "resolved" else Status.FIRING
    link = next((page for key in ("panelURL", "generatorURL", "dashboardURL") if (page := fields.text(key))), "")
    return Draft(
        source=NAME,
        name=name or fallback or "an alert of Grafana without a name",
        status=status,
        identity=() if labels else (fields.text("fingerprint"), fallback),
        severity=labels.text("severity"),
        starts_at=fields.moment("startsAt"),
        ends_at=fields.moment("endsAt") if status is Status.RESOLVED else None,
        labels=labels.values,
        annotations={
            **fields.fields("annotations").values,
            "value": _value(fields),
            "silence_url": fields.text("silenceURL"),
        },
        link=link,
        notes=fields.notes,
    ).alert()


def _value(fields: Fields) -> str:
    """The rule's values, as `A=0.34, B=1`; of an older Grafana its own text of them."""
    values = fields.fields("values").values
    return ", ".join(f"{name}={values[name]}" for name in sorted(values)) or fields.text("valueString")


def _legacy(fields: Fields, body: bytes) -> Reading:
    state = fields.text("state").lower()
    if state in ("pending", "paused", "unknown"):
        return Reading(asides=(Aside(body.decode("utf-8", "replace"), f"is an alert that is {state} at Grafana"),))
    status = _LEGACY.get(state, Status.FIRING)
    if state not in _LEGACY:
        fields.notes.append("state: none that is known, taken as firing")
    matches = [Fields(match) for match in fields.list("evalMatches")]
    measured = matches[0].fields("tags").values if len(matches) == 1 else {}
    own = fields.fields("tags").values
    name = fields.text("ruleName") or _without_prefix(fields.text("title"))
    rule = fields.text("ruleId")
    return Reading(
        (
            Draft(
                source=NAME,
                name=name,
                status=status,
                identity=("legacy", fields.text("orgId"), rule or name),
                severity=Fields(own).text("severity"),
                labels={**measured, **own},
                annotations={
                    "summary": fields.text("message") or fields.text("title"),
                    "value": ", ".join(f"{match.text('metric')}={match.text('value')}" for match in matches),
                },
                link=fields.text("ruleUrl"),
                notes=fields.notes,
            ).alert(),
        )
    )


def _without_prefix(title: str) -> str:
    found = _PREFIX.match(title)
    return title[found.end() :] if found else title


def _count(text: str) -> int:
    """The count; 0 for what is not a count."""
    try:
        return max(int(float(text)), 0)
    except (ValueError, OverflowError):
        return 0
