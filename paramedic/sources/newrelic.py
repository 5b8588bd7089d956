"""New Relic's webhooks: a workflow's (our template, or the default body), and the classic channel's, still met in templates.

An issue is one alert, from its first word to its last. An acknowledgement is no state of its own: an issue that is ACTIVATED by
a USER_ACTION has been taken by a person.
"""

import re
from collections.abc import Mapping
from typing import Any

from paramedic.alerts.alert import Status
from paramedic.alerts.draft import Draft, tags
from paramedic.alerts.payload import Fields, parsed_object
from paramedic.alerts.reading import Aside, BadPayload, Reading

NAME = "newrelic"
BODY = "New Relic's workflow webhook: the template of `paramedic source template newrelic`, its default body, or the classic one."
EXAMPLE = """{
  "id": "13bbcdca-f0b6-470d-b0be-b34583c58869",
  "issueUrl": "https://radar-api.service.newrelic.com/accounts/1/issues/13bbcdca-f0b6-470d-b0be-b34583c58869",
  "title": "p95 of tracking-api is above 0.3 for 5 minutes on 'Tracking API slow'",
  "priority": "CRITICAL",
  "impactedEntities": ["tracking-api"],
  "totalIncidents": 1,
  "state": "ACTIVATED",
  "trigger": "INCIDENT_ADDED",
  "isCorrelated": false,
  "createdAt": 1769851800000,
  "updatedAt": 1769851800000,
  "sources": ["newrelic"],
  "alertPolicyNames": ["Golden signals"],
  "alertConditionNames": ["Tracking API slow"],
  "workflowName": "paramedic",
  "owner": "",
  "acknowledgedAt": null,
  "closedAt": null,
  "runbookUrl": [],
  "tags": {"service": ["tracking-api"], "env": ["prod"]}
}"""

#: What to paste as the workflow's payload; each part is guarded, since New Relic refuses what is undefined.
TEMPLATE = """{
  "id": {{ json issueId }},
  "issueUrl": {{ json issuePageUrl }},
  "title": {{ json annotations.title.[0] }},
  "priority": {{ json priority }},
  "impactedEntities": {{#if entitiesData.names}}{{ json entitiesData.names }}{{else}}[]{{/if}},
  "totalIncidents": {{ json totalIncidents }},
  "state": {{ json state }},
  "trigger": {{ json triggerEvent }},
  "createdAt": {{ createdAt }},
  "updatedAt": {{ updatedAt }},
  "acknowledgedAt": {{#if issueAcknowledgedAt}}{{ issueAcknowledgedAt }}{{else}}null{{/if}},
  "closedAt": {{#if issueClosedAt}}{{ issueClosedAt }}{{else}}null{{/if}},
  "owner": {{#if owner}}{{ json owner }}{{else}}""{{/if}},
  "alertPolicyNames": {{#if accumulations.policyName}}{{ json accumulations.policyName }}{{else}}[]{{/if}},
  "alertConditionNames": {{#if accumulations.conditionName}}{{ json accumulations.conditionName }}{{else}}[]{{/if}},
  "runbookUrl": {{#if accumulations.runbookUrl}}{{ json accumulations.runbookUrl }}{{else}}[]{{/if}},
  "tags": {{#if accumulations.tag}}{{ json accumulations.tag }}{{else}}{}{{/if}},
  "workflowName": {{ json workflowName }}
}"""

#: New Relic's words for a severity. A warning threshold opens an issue of HIGH priority.
SEVERITIES: Mapping[str, str] = {
    "CRITICAL": "critical",
    "HIGH": "warning",
    "MEDIUM": "warning",
    "LOW": "warning",
    "WARNING": "warning",
    "INFO": "info",
}

_STATES: Mapping[str, Status] = {
    "created": Status.FIRING,
    "activated": Status.FIRING,
    "open": Status.FIRING,
    "acknowledged": Status.ACKNOWLEDGED,
    "closed": Status.RESOLVED,
    "deactivated": Status.RESOLVED,
}

_ISSUE = re.compile(r"/issues/([A-Za-z0-9-]{8,64})")


def read(_headers: Mapping[str, str], body: bytes) -> Reading:
    """The alert of the body, or an aside where it is a test of the destination. Raises BadPayload for what is neither."""
    fields = parsed_object(body, "New Relic")
    word = fields.text("state", "current_state", "status").lower()
    name = ", ".join(_texts(fields, "alertConditionNames", "condition_name")) or fields.text("title", "details")
    if not word and not name:
        if len(fields.values) > 1 or fields.text("issueId", "id", "incident_id"):
            raise BadPayload("state", "is missing", "New Relic's state and alertConditionNames or title", readable=True)
        return Reading(
            asides=(Aside(body.decode("utf-8", "replace"), "is a test of New Relic's destination, or an empty body"),)
        )
    status = _STATES.get(word, Status.FIRING)
    if word not in _STATES:
        fields.notes.append("state: none that is known, taken as firing")
    if status is Status.FIRING and _acknowledged(fields):
        status = Status.ACKNOWLEDGED
    return Reading((_draft(fields, name, status).alert(),))


def _acknowledged(fields: Fields) -> bool:
    """Whether the word is about a person who took the issue: a later incident that joins it is news again."""
    trigger = fields.text("trigger", "triggerEvent").upper()
    return trigger == "USER_ACTION" or (not trigger and bool(fields.text("acknowledgedAt", "issueAcknowledgedAt")))


def _draft(fields: Fields, name: str, status: Status) -> Draft:
    page = fields.text("issueUrl", "issuePageUrl", "incident_url")
    issue = _ISSUE.search(page)
    identity = fields.text("id", "issueId", "incident_id") or (issue[1] if issue else "")
    entities = _texts(fields, "impactedEntities", "entities") or _names(fields.list("targets"))
    priority = fields.text("priority", "severity").upper()
    began = fields.moment("createdAt", "issueCreatedAt", "timestamp")
    over = fields.moment("closedAt", "issueClosedAt", "updatedAt", "timestamp") if status is Status.RESOLVED else None
    return Draft(
        source=NAME,
        name=name,
        status=status,
        identity=(identity,) if identity else (fields.text("title"), ", ".join(entities)),
        severity=SEVERITIES.get(priority, priority),
        starts_at=None if "timestamp" in fields.values and over else began,
        ends_at=over,
        labels={
            **_tags(fields),
            "entity": ", ".join(entities),
            "instance": entities[0] if len(entities) == 1 else "",
            "policy": ", ".join(_texts(fields, "alertPolicyNames", "policy_name")),
            "priority": priority,
        },
        annotations={
            "summary": fields.text("title", "details"),
            "runbook_url": next(iter(_texts(fields, "runbookUrl", "runbook_url")), ""),
            "workflow": fields.text("workflowName"),
        },
        link=page,
        by=fields.text("owner") or None,
        notes=fields.notes,
    )


def _texts(fields: Fields, *names: str) -> list[str]:
    """The texts of the first of these fields that has any: a list of them, or one."""
    for name in names:
        value = fields.values.get(name)
        found = [str(part).strip() for part in value if part] if isinstance(value, list) else [fields.text(name)]
        if found := [part for part in dict.fromkeys(found) if part]:
            return found
    return []


def _names(targets: Any) -> list[str]:
    """The names of a classic body's targets."""
    return [name for target in targets if (name := Fields(target).text("name"))]


def _tags(fields: Fields) -> dict[str, str]:
    """Labels of the tags that our template brings, each with one value or a list, and of a text with `key: value` pairs."""
    found = fields.values.get("tags")
    if isinstance(found, str):
        return tags(found.replace(": ", ":"))
    pairs = [
        f"{key}:{value[0] if isinstance(value, list) and value else value}"
        for key, value in fields.fields("tags").values.items()
    ]
    return tags(pairs)
