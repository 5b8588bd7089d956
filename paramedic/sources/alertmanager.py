"""Prometheus Alertmanager's webhook (Alertmanager documentation, "webhook_config"): a group of N is N alerts."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from paramedic.alert import Alert, Severity, Status, fingerprint
from paramedic.clock import utc_now
from paramedic.sources import Bad, BadPayload, Reading

NAME = "alertmanager"

#: What people write for "somebody must look now". Everything else, and nothing, is a warning.
_CRITICAL = {"critical", "page", "major", "emergency", "fatal", "high", "error", "disaster", "p1", "sev1"}

#: How many labels an alert may have, and how many characters in a name, in a value, and in all of them.
_LABELS, _NAME_LENGTH, _VALUE_LENGTH, _LENGTH = 128, 256, 16_384, 65_536

#: So many bad alerts of a group are kept one by one, the others together: a flood of them must not hold the store.
_ONE_BY_ONE = 20

#: Go's zero time: the sender does not know.
_ZERO = "0001-01-01"

#: A later start is a fault: it would make every word that its sender says before then an old one.
_AHEAD = timedelta(days=1)


def read(body: bytes) -> Reading:
    """The alerts of the body, versions 3 and 4, or one bare alert. Raises BadPayload if it is none of these.

    The sender's own fingerprint is not used: two alerts are the same if their labels are, whatever somebody claims.
    Errors name a field and repeat no value: a secret that was cut would no longer be known for one.
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
    alerts: list[Alert] = []
    bad: list[Bad] = []
    flood: list[Any] = []
    for number, one in enumerate(group):
        try:
            alerts.append(_alert(one, f"alerts[{number}]", said.get("status")))
        except ValueError as error:
            if len(bad) < _ONE_BY_ONE:
                bad.append(Bad(json.dumps(one), str(error)))
            else:
                flood.append(one)
    if flood:
        bad.append(Bad(json.dumps(flood), f"alerts: {len(flood)} more of them cannot be read", len(flood)))
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
        raise ValueError(f"{at}.status: is neither; allowed: firing, resolved")
    severity = Severity.CRITICAL if labels.get("severity", "").lower() in _CRITICAL else Severity.WARNING
    annotations = _texts(said.get("annotations") or {}, f"{at}.annotations")
    return Alert(
        source=NAME,
        name=name,
        severity=severity,
        status=Status(status),
        starts_at=_start(said.get("startsAt"), f"{at}.startsAt"),
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
    if any(len(key) > _NAME_LENGTH for key in said):
        raise ValueError(f"{at}: a name is too long; allowed: {_NAME_LENGTH} characters")
    for key, value in said.items():
        if not isinstance(value, str):
            raise ValueError(f"{at}.{key}: is no text")  # noqa: TRY004
        if len(value) > _VALUE_LENGTH:
            raise ValueError(f"{at}.{key}: too long; allowed: {_VALUE_LENGTH} characters")
    if sum(len(key) + len(value) for key, value in said.items()) > _LENGTH:
        raise ValueError(f"{at}: too long together; allowed: {_LENGTH} characters")
    return said


def _start(said: Any, at: str) -> datetime:
    if isinstance(said, str) and said.startswith(_ZERO):
        raise ValueError(f"{at}: is the zero time; order is by the start, so every alert has one")
    moment = _moment(said, at)
    if moment > utc_now() + _AHEAD:
        raise ValueError(f"{at}: lies in the future; is its sender's clock right?")
    return moment


def _moment(said: Any, at: str) -> datetime:
    if not isinstance(said, str):
        raise ValueError(f"{at}: is missing or no text; write RFC 3339, 2026-01-31T09:30:00Z")  # noqa: TRY004
    try:
        moment = datetime.fromisoformat(said)
    except ValueError as error:
        raise ValueError(f"{at}: is no time; write RFC 3339, 2026-01-31T09:30:00Z") from error
    if moment.tzinfo is None:
        raise ValueError(f"{at}: names no time zone; write RFC 3339, 2026-01-31T09:30:00Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{at}: is no time in this age") from error


def _end(said: Any, at: str) -> datetime | None:
    if said is None or (isinstance(said, str) and said.startswith(_ZERO)):
        return None
    return _moment(said, at)
