"""Prometheus Alertmanager's webhook (Alertmanager documentation, "webhook_config"): a group of N is N alerts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from paramedic.alerts import severity_words
from paramedic.alerts.alert import LEFT_OUT, Alert, Status, fingerprint
from paramedic.alerts.draft import FIRST_ANNOTATIONS, FIRST_LABELS, plausible_start
from paramedic.alerts.payload import each, is_unknown, moment, parsed_object
from paramedic.alerts.reading import BadPayload, Reading
from paramedic.machine.clock import utc_now
from paramedic.text.bounds import Number, bounded, fit, texts

NAME = "alertmanager"
BODY = "Alertmanager's webhook, version 3 or 4, or one bare alert."
EXAMPLE = """{
  "version": "4",
  "status": "firing",
  "alerts": [
    {
      "status": "firing",
      "labels": {"alertname": "TrackingApiSlow", "severity": "critical", "instance": "web-1"},
      "annotations": {"summary": "p95 of tracking-api is 340 ms"},
      "startsAt": "2026-01-31T09:30:00Z"
    }
  ]
}"""


def read(_headers: Mapping[str, str], body: bytes) -> Reading:
    """The alerts of the body, versions 3 and 4, or one bare alert. Raises BadPayload if it is none of these.

    A partly valid alert is accepted with `notes`; bad are those without a name or that are not objects.
    The sender's own fingerprint is not used: two alerts are the same if their labels are, whatever the sender claims.
    Errors and notes name a field and repeat no value: a cut secret would no longer be recognized.
    """
    payload = parsed_object(body, "Alertmanager's webhook").values
    group = payload.get("alerts", [payload] if "labels" in payload else None)
    if not isinstance(group, list):
        raise BadPayload("alerts", "is missing or no list", "a list of alerts", readable=True)
    truncated = _count(payload.get("truncatedAlerts"))
    notes = [f"its sender left {truncated} more alerts of this group out {LEFT_OUT}"] if truncated else []
    now = utc_now()
    status = payload.get("status")
    alerts, bad = each(group, "alerts", lambda entry, at: _alert(entry, at, status, now, notes))
    return Reading(alerts, bad, truncated)


def _alert(entry: Any, at: str, group_status: Any, now: datetime, group_notes: list[str]) -> Alert:
    if not isinstance(entry, dict):
        raise ValueError(f"{at}: is not an object")  # noqa: TRY004 - the reader collects ValueErrors
    if not isinstance(entry.get("labels"), dict):
        raise ValueError(f"{at}.labels: is missing or no object")  # noqa: TRY004
    labels, notes = texts(entry["labels"], "labels")
    if not labels.get("alertname"):
        raise ValueError(f"{at}.labels.alertname: is missing; every alert has a name")
    annotations, odd = _annotations(entry.get("annotations"))
    ends_at = _end(entry.get("endsAt"), odd)
    status = _status(entry.get("status", group_status), ends_at, now, odd)
    starts_at = _start(entry.get("startsAt"), now, odd)
    fitted, cut = fit(labels, "labels", first=FIRST_LABELS)
    return Alert(
        source=NAME,
        name=fitted["alertname"] or "[cut]",
        severity=severity_words.DEFAULT.severity(labels.get(severity_words.LABEL, "")),
        status=status,
        starts_at=starts_at,
        ends_at=ends_at,
        fingerprint=fingerprint(NAME, labels),  # of all labels, whole: what is cut off still tells two alerts apart
        labels=fitted,
        annotations=annotations,
        value=annotations.get("value"),
        notes=bounded([*group_notes, *notes, *cut, *odd]),
    )


def _annotations(value: Any) -> tuple[dict[str, str], list[str]]:
    if value is None:
        return {}, []
    if not isinstance(value, dict):
        value = {"annotations": value}  # whatever it is, a person may make sense of it
    made, notes = texts(value, "annotations")
    fitted, cut = fit(made, "annotations", first=FIRST_ANNOTATIONS)
    return fitted, [*notes, *cut]


def _status(value: Any, ends_at: datetime | None, now: datetime, notes: list[str]) -> Status:
    word = value.strip().lower() if isinstance(value, str) else None
    if word in ("firing", "resolved"):
        return Status(word)
    status = Status.RESOLVED if ends_at is not None and ends_at <= now else Status.FIRING
    notes.append(f"status: neither firing nor resolved, taken as {status}")
    return status


def _start(value: Any, now: datetime, notes: list[str]) -> datetime:
    """The start. Order is by the start, so every alert has one: without a plausible one, the time of receipt."""
    start, changed = plausible_start(moment(value, "startsAt", notes), now, at="startsAt")
    notes += changed
    return start


def _end(value: Any, notes: list[str]) -> datetime | None:
    end = moment(value, "endsAt", notes)
    if end is None and not is_unknown(value):
        notes.append("endsAt: no time, left out")
    return end


def _count(value: Any) -> int:
    """The count; 0 for what is not a count."""
    try:
        return max(int(float(value)), 0) if isinstance(value, Number) else 0
    except (ValueError, OverflowError):
        return 0
