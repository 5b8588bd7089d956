"""Prometheus Alertmanager's webhook (Alertmanager documentation, "webhook_config"): a group of N is N alerts."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from paramedic.alert import Alert, Severity, Status, fingerprint
from paramedic.sources import Bad, BadPayload, Reading

NAME = "alertmanager"

#: What people write for "somebody must look now". Everything else, and nothing, is a warning.
_CRITICAL = {"critical", "page", "major", "emergency", "fatal", "high", "error", "disaster", "p1", "sev1"}

_LABELS, _NAME_LENGTH, _VALUE_LENGTH = 128, 256, 16_384


def read(body: bytes) -> Reading:
    """The alerts of the body, versions 3 and 4, or one bare alert. Raises BadPayload if it is none of these.

    The sender's own fingerprint is not used: two alerts are the same if their labels are, whatever somebody claims.
    """
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadPayload("body", f"is no JSON: {error}", "Alertmanager's webhook JSON", readable=False) from error
    if not isinstance(said, dict):
        raise BadPayload("body", "is no object", "Alertmanager's webhook JSON", readable=True)
    group = said.get("alerts", [said] if "labels" in said else None)
    if not isinstance(group, list):
        raise BadPayload("alerts", "is missing or no list", "a list of alerts", readable=True)
    alerts, bad = [], []
    for number, one in enumerate(group):
        try:
            alerts.append(_alert(one, f"alerts[{number}]", said.get("status")))
        except ValueError as error:
            bad.append(Bad(json.dumps(one)[:65_536], str(error)))
    return Reading(tuple(alerts), tuple(bad))


def _alert(said: Any, at: str, group_status: Any) -> Alert:
    if not isinstance(said, dict):
        raise ValueError(f"{at}: is no object")  # noqa: TRY004 - the reader collects ValueErrors
    labels = _texts(said.get("labels"), f"{at}.labels")
    name = labels.get("alertname")
    if not name:
        raise ValueError(f"{at}.labels.alertname: is missing; every alert has a name")
    status = said.get("status", group_status)
    if status not in ("firing", "resolved"):
        raise ValueError(f"{at}.status: {status!r:.40}; allowed: firing, resolved")
    severity = Severity.CRITICAL if labels.get("severity", "").lower() in _CRITICAL else Severity.WARNING
    annotations = _texts(said.get("annotations") or {}, f"{at}.annotations")
    return Alert(
        source=NAME,
        name=name,
        severity=severity,
        status=Status(status),
        starts_at=_moment(said.get("startsAt"), f"{at}.startsAt"),
        ends_at=_end(said.get("endsAt"), f"{at}.endsAt"),
        fingerprint=fingerprint(NAME, labels),
        labels=labels,
        annotations=annotations,
        value=annotations.get("value"),
    )


def _texts(said: Any, at: str) -> Mapping[str, str]:
    if not isinstance(said, dict):
        raise ValueError(f"{at}: is missing or no object")  # noqa: TRY004
    if len(said) > _LABELS:
        raise ValueError(f"{at}: {len(said)} of them; allowed: {_LABELS}")
    for key, value in said.items():
        if not isinstance(value, str):
            raise ValueError(f"{at}.{key[:80]}: is no text")  # noqa: TRY004
        if len(key) > _NAME_LENGTH or len(value) > _VALUE_LENGTH:
            raise ValueError(f"{at}.{key[:80]}: too long; allowed: {_NAME_LENGTH} and {_VALUE_LENGTH} characters")
    return said


def _moment(said: Any, at: str) -> datetime:
    if not isinstance(said, str):
        raise ValueError(f"{at}: is missing or no text; write RFC 3339, 2026-01-31T09:30:00Z")  # noqa: TRY004
    try:
        moment = datetime.fromisoformat(said)
    except ValueError as error:
        raise ValueError(f"{at}: {said!r:.60} is no time; write RFC 3339, 2026-01-31T09:30:00Z") from error
    if moment.tzinfo is None:
        raise ValueError(f"{at}: {said!r:.60} names no time zone; write RFC 3339, 2026-01-31T09:30:00Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{at}: {said!r:.60} is no time in this age") from error


def _end(said: Any, at: str) -> datetime | None:
    if said is None or (isinstance(said, str) and said.startswith("0001-01-01")):
        return None
    return _moment(said, at)
