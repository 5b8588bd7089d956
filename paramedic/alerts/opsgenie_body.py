"""The body that Opsgenie's webhook posts, and Jira Service Management's after it: one action on one alert."""

from paramedic.alerts.alert import Status
from paramedic.alerts.draft import Draft, tags
from paramedic.alerts.payload import parsed_object
from paramedic.alerts.reading import Aside, BadPayload, Reading

EXAMPLE = """{
  "action": "Create",
  "alert": {
    "alertId": "ec03dad6-62c8-4c94-b38b-d88f398e900f",
    "tinyId": "2",
    "alias": "tracking-api-slow",
    "message": "tracking-api is slow",
    "tags": ["service:tracking-api", "env:prod"],
    "entity": "web-1",
    "source": "prometheus",
    "priority": "P1",
    "createdAt": 1769851800000,
    "updatedAt": 1769851800000000000
  },
  "source": {"name": "web", "type": "API"},
  "integrationId": "daca46c6-e26b-4dda-8f8a-21f6db7eeaef",
  "integrationName": "paramedic",
  "integrationType": "Webhook"
}"""

#: What each action says of its alert. Any other (a note, an owner, an escalation) only repeats that it is open.
_ACTIONS = {
    "create": Status.FIRING,
    "unacknowledge": Status.FIRING,
    "acknowledge": Status.ACKNOWLEDGED,
    "close": Status.RESOLVED,
    "delete": Status.RESOLVED,
}

#: Actions after which nothing is known of an alert's state: they come for closed ones, too.
_ASIDE = frozenset(
    {"addnote", "addtags", "removetags", "customaction", "snooze", "snoozeended", "updatemessage", "updatedescription"}
)


def read(source: str, vendor: str, body: bytes) -> Reading:
    """The alert of the body, or an aside. Raises BadPayload for what is not the vendor's."""
    fields = parsed_object(body, vendor)
    action, alert = fields.text("action"), fields.fields("alert")
    identity = alert.text("alertId", "id", "alias")
    if not action or not identity:
        raise BadPayload("alert", "is missing, or the action", f"{vendor}'s action and alert.alertId", readable=True)
    word = action.lower().replace("_", "").replace(" ", "")
    if word in _ASIDE:
        return Reading(asides=(Aside(body.decode("utf-8", "replace"), f"is {vendor}'s action {action[:60]}"),))
    status = _ACTIONS.get(word, Status.FIRING)
    priority = alert.text("priority")
    severity = f"P{priority}" if priority in ("1", "2", "3", "4", "5") else priority
    entity = alert.text("entity")
    updated = alert.moment("updatedAt")
    return Reading(
        (
            Draft(
                source=source,
                name=alert.text("message") or f"alert {alert.text('tinyId', 'alias', 'alertId', 'id')}",
                status=status,
                identity=(identity,),
                severity=severity,
                starts_at=alert.moment("createdAt"),
                ends_at=updated if status is Status.RESOLVED else None,
                labels={
                    **tags(alert.list("tags")),
                    **alert.fields("details", "extraProperties").values,
                    "entity": entity,
                    "instance": entity,
                    "priority": severity,
                },
                annotations={
                    "summary": alert.text("message"),
                    "description": alert.text("description"),
                    "alias": alert.text("alias"),
                    "action": action,
                },
                by=alert.text("username") or None,
                notes=fields.notes,
            ).alert(),
        )
    )
