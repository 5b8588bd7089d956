"""Sentry's webhooks of an internal integration: issues, issue alerts and metric alerts, signed with the client's secret."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from paramedic.alerts.alert import Status
from paramedic.alerts.draft import Draft, label_name
from paramedic.alerts.payload import Fields, parsed_object
from paramedic.alerts.reading import Aside, Reading

NAME = "sentry"
BODY = "Sentry's webhook of an internal integration: an issue, an issue alert or a metric alert."
EXAMPLE = """{
  "action": "critical",
  "installation": {"uuid": "04ff0c7e-ead5-4b0a-93d6-5b571468239d"},
  "data": {
    "metric_alert": {
      "id": "7",
      "identifier": "2",
      "organization_id": "1",
      "projects": ["tracking-api"],
      "alert_rule": {"id": "349732", "name": "Errors of tracking-api", "aggregate": "count()", "environment": "prod"},
      "date_started": "2026-01-31T09:30:00Z",
      "date_detected": "2026-01-31T09:30:00Z",
      "date_closed": null,
      "status": 20
    },
    "description_title": "Critical: Errors of tracking-api",
    "description_text": "340 events in the last minute",
    "web_url": "https://sentry.io/organizations/shop/alerts/7/"
  },
  "actor": {"type": "application", "id": "sentry", "name": "Sentry"}
}"""

#: Sentry's words: a metric alert's action, an issue's level.
SEVERITIES: Mapping[str, str] = {
    "critical": "critical",
    "fatal": "critical",
    "error": "critical",
    "warning": "warning",
    "info": "info",
    "debug": "info",
}

#: What is done to an issue, and what that says of it. Sentry tells of archived ones by `archived`, before 2023 `ignored`.
_ISSUE: Mapping[str, Status] = {
    "created": Status.FIRING,
    "unresolved": Status.FIRING,
    "resolved": Status.RESOLVED,
    "archived": Status.RESOLVED,
    "ignored": Status.RESOLVED,
}


def authentic(headers: Mapping[str, str], body: bytes, credential: str) -> bool:
    """Whether the signature is by this client secret."""
    mine = hmac.new(credential.encode(), body, hashlib.sha256).hexdigest()
    given = headers.get("sentry-hook-signature", "")
    return hmac.compare_digest(mine.encode(), given.encode("utf-8", "replace"))


def read(_headers: Mapping[str, str], body: bytes) -> Reading:
    """The alert of the body, or an aside. Raises BadPayload for what is no JSON object."""
    fields = parsed_object(body, "Sentry")
    action, data = fields.text("action").lower(), fields.fields("data")
    draft: Draft | None = None
    if metric := data.fields("metric_alert"):
        draft = _metric(action, metric, data)
    elif issue := data.fields("issue"):
        by_a_person = action == "assigned" and fields.fields("actor").text("type") == "user"
        status = Status.ACKNOWLEDGED if by_a_person else _ISSUE.get(action)
        draft = _issue(issue, status, fields) if status is not None else None
    elif event := data.fields("event"):
        draft = _event(event, data)
    if draft is None:
        what = f"is Sentry's {action[:60] or 'unnamed'} of something that is no alert"
        return Reading(asides=(Aside(body.decode("utf-8", "replace"), what),))
    return Reading((draft.alert(),))


def _metric(action: str, metric: Fields, data: Fields) -> Draft:
    rule = metric.fields("alert_rule")
    projects = [str(project) for project in metric.list("projects")]
    over = action == "resolved"
    return Draft(
        source=NAME,
        name=rule.text("name") or metric.text("title") or "a metric alert without a name",
        status=Status.RESOLVED if over else Status.FIRING,
        identity=("metric", rule.text("id") or rule.text("name"), metric.text("id") if not rule else ""),
        severity=SEVERITIES.get(action, "") if not over else "",
        starts_at=metric.moment("date_started", "date_detected", "date_created"),
        ends_at=metric.moment("date_closed") if over else None,
        labels={
            "project": ", ".join(projects),
            "service": projects[0] if len(projects) == 1 else "",
            "environment": rule.text("environment"),
        },
        annotations={
            "summary": data.text("description_title") or metric.text("title"),
            "description": data.text("description_text"),
            "query": rule.text("query"),
            "aggregate": rule.text("aggregate"),
        },
        link=data.text("web_url"),
        notes=data.notes,
    )


def _issue(issue: Fields, status: Status, whole: Fields) -> Draft:
    project = issue.fields("project").text("slug", "name", "id")
    level = issue.text("level").lower()
    return Draft(
        source=NAME,
        name=issue.text("title") or f"issue {issue.text('shortId', 'id')}",
        status=status,
        identity=("issue", issue.text("id")),
        severity=SEVERITIES.get(level, level),
        starts_at=issue.moment("firstSeen")
        if whole.text("action") == "created"
        else issue.moment("lastSeen", "firstSeen"),
        ends_at=issue.moment("lastSeen") if status is Status.RESOLVED else None,
        labels={"project": project, "service": project, "level": level, "platform": issue.text("platform")},
        annotations={"summary": issue.text("title"), "culprit": issue.text("culprit"), "issue": issue.text("shortId")},
        link=issue.text("web_url", "permalink"),
        by=whole.fields("actor").text("name") or None,
        notes=whole.notes,
    )


def _event(event: Fields, data: Fields) -> Draft:
    """An issue alert: it says that it was triggered, and never that it is over."""
    level = event.text("level").lower()
    project = event.text("project_slug", "project")
    issue = event.text("issue_id") or event.text("issue_url").rstrip("/").rpartition("/")[2]
    rule = data.text("triggered_rule") or data.fields("issue_alert").text("title")
    return Draft(
        source=NAME,
        name=event.text("title", "message")
        or event.fields("metadata").text("title", "value")
        or rule
        or "an issue alert",
        status=Status.FIRING,
        identity=("issue", issue) if issue else ("rule", rule, project, event.text("title", "message")),
        severity=SEVERITIES.get(level, level),
        starts_at=event.moment("datetime", "received", "timestamp"),
        labels={
            **_tags(event.list("tags")),
            "project": project,
            "service": "" if project.isdigit() else project,
            "level": level,
        },
        annotations={"summary": event.text("title", "message"), "culprit": event.text("culprit"), "rule": rule},
        link=event.text("web_url", "url"),
        notes=data.notes,
    )


def _tags(pairs: Sequence[Any]) -> dict[str, str]:
    """Labels of a list of pairs."""
    known = [pair for pair in pairs if isinstance(pair, list) and len(pair) == 2]
    return {name: str(value) for key, value in known if (name := label_name(str(key))) and value is not None}
