"""Prometheus Alertmanager's webhook (Alertmanager documentation, "webhook_config"): a group of N is N alerts."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from paramedic.alerts import severity_words
from paramedic.alerts.alert import Alert, Status, fingerprint
from paramedic.alerts.reading import Bad, BadPayload, Reading
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

#: Labels that runbooks and services.yaml go by, and annotations that people need: kept before the others.
_FIRST_LABELS = ("alertname", "severity", "service", "job", "instance", "namespace", "cluster", "env")
_FIRST_ANNOTATIONS = ("summary", "description", "runbook_url", "value")

#: So many bad alerts of a group are kept one by one, the others together: a flood of them must not hold the store.
_ONE_BY_ONE = 20

#: A body with more values than this is refused: each of them is many times as large in memory as in the body.
_VALUES = 1_000_000

#: Go's zero time: the sender does not know.
_ZERO = "0001-01-01"

#: A later start is a fault: it would make every word that its sender says before then an old one.
_AHEAD = timedelta(days=1)


def read(_headers: Mapping[str, str], body: bytes) -> Reading:
    """The alerts of the body, versions 3 and 4, or one bare alert. Raises BadPayload if it is none of these.

    A partly valid alert is accepted with `notes`; bad are those without a name or that are not objects.
    The sender's own fingerprint is not used: two alerts are the same if their labels are, whatever the sender claims.
    Errors and notes name a field and repeat no value: a cut secret would no longer be recognized.
    """
    if body.count(b",") + body.count(b"[") + body.count(b"{") > _VALUES:
        raise BadPayload("body", "has too many values", f"{_VALUES} commas and brackets", readable=False)
    try:
        payload = json.loads(body, parse_int=Number, parse_float=Number, parse_constant=Number)
    except (ValueError, RecursionError) as error:
        raise BadPayload("body", f"is no JSON: {error}", "Alertmanager's webhook JSON", readable=False) from error
    if not isinstance(payload, dict):
        raise BadPayload("body", "is not an object", "Alertmanager's webhook JSON", readable=True)
    group = payload.get("alerts", [payload] if "labels" in payload else None)
    if not isinstance(group, list):
        raise BadPayload("alerts", "is missing or no list", "a list of alerts", readable=True)
    truncated = _count(payload.get("truncatedAlerts"))
    notes = [f"its sender left {truncated} more alerts of this group out (truncatedAlerts)"] if truncated else []
    now = utc_now()
    alerts: list[Alert] = []
    bad: list[Bad] = []
    flood: list[Any] = []
    for number, entry in enumerate(group):
        try:
            alerts.append(_alert(entry, f"alerts[{number}]", payload.get("status"), now, notes))
        except ValueError as error:
            if len(bad) < _ONE_BY_ONE:
                bad.append(Bad(_written(entry), str(error)))
            else:
                flood.append(entry)
    if flood:
        bad.append(Bad(_written(flood), f"alerts: {len(flood)} more of them cannot be read", len(flood)))
    return Reading(tuple(alerts), tuple(bad), truncated)


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
    fitted, cut = fit(labels, "labels", first=_FIRST_LABELS)
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
    fitted, cut = fit(made, "annotations", first=_FIRST_ANNOTATIONS)
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
    moment = _moment(value, "startsAt", notes)
    if moment is None:
        notes.append("startsAt: no time, taken as the time of receipt")
    elif moment > now + _AHEAD:
        notes.append("startsAt: lies in the future, taken as the time of receipt; is its sender's clock right?")
    else:
        return moment
    return now


def _end(value: Any, notes: list[str]) -> datetime | None:
    moment = _moment(value, "endsAt", notes)
    if moment is None and not _is_unknown(value):
        notes.append("endsAt: no time, left out")
    return moment


def _is_unknown(value: Any) -> bool:
    return value is None or (isinstance(value, str) and (not value or value.startswith(_ZERO)))


def _moment(value: Any, at: str, notes: list[str]) -> datetime | None:
    """The moment in UTC, or None where the text is not a time (RFC 3339) or means unknown."""
    if not isinstance(value, str) or isinstance(value, Number) or _is_unknown(value):
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            notes.append(f"{at}: names no time zone, taken as UTC")
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _count(value: Any) -> int:
    """The count; 0 for what is not a count."""
    try:
        return max(int(float(value)), 0) if isinstance(value, Number) else 0
    except (ValueError, OverflowError):
        return 0


def _written(value: Any) -> str:
    try:
        return json.dumps(value)
    except RecursionError:
        return "[nested too deep to be kept]"
