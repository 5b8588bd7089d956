"""Zabbix's media type "Webhook" (Zabbix manual, "Macros"): what our parameters make of an event, and names that others use."""

from collections.abc import Mapping, Sequence
from typing import Any

from paramedic.alerts.alert import Status
from paramedic.alerts.draft import Draft, tags
from paramedic.alerts.payload import Fields, parsed_object
from paramedic.alerts.reading import BadPayload, Reading

NAME = "zabbix"
BODY = "Zabbix's webhook: the parameters of `paramedic source template zabbix`."
EXAMPLE = """{
  "event_id": "10528",
  "trigger_id": "14032",
  "event_value": "1",
  "event_update_status": "0",
  "event_source": "0",
  "event_name": "tracking-api answers in more than 300 ms",
  "event_nseverity": "5",
  "event_severity": "Disaster",
  "event_timestamp": "1769851800",
  "recovery_timestamp": "",
  "event_opdata": "340 ms",
  "event_tags": "[{\\"tag\\": \\"service\\", \\"value\\": \\"tracking-api\\"}]",
  "update_action": "",
  "update_message": "",
  "user": "",
  "host": "web-1",
  "host_ip": "10.0.0.7",
  "item": "p95",
  "link": "https://zabbix.example.com/tr_events.php?triggerid=14032&eventid=10528"
}"""

#: The parameters of the media type, whose script posts them as they are (docs/sources/zabbix.md).
TEMPLATE = """{
  "event_id": "{EVENT.ID}",
  "trigger_id": "{TRIGGER.ID}",
  "event_value": "{EVENT.VALUE}",
  "event_update_status": "{EVENT.UPDATE.STATUS}",
  "event_source": "{EVENT.SOURCE}",
  "event_name": "{EVENT.NAME}",
  "event_nseverity": "{EVENT.NSEVERITY}",
  "event_severity": "{EVENT.SEVERITY}",
  "event_timestamp": "{EVENT.TIMESTAMP}",
  "recovery_timestamp": "{EVENT.RECOVERY.TIMESTAMP}",
  "event_opdata": "{EVENT.OPDATA}",
  "event_tags": "{EVENT.TAGSJSON}",
  "update_action": "{EVENT.UPDATE.ACTION}",
  "update_message": "{EVENT.UPDATE.MESSAGE}",
  "user": "{USER.FULLNAME}",
  "host": "{HOST.HOST}",
  "host_ip": "{HOST.IP}",
  "item": "{ITEM.NAME}",
  "link": "{$ZABBIX.URL}/tr_events.php?triggerid={TRIGGER.ID}&eventid={EVENT.ID}"
}"""

#: Zabbix's own words, which its administrators may rename: the numbers of its severities count where they are there.
SEVERITIES: Mapping[str, str] = {
    "Disaster": "critical",
    "High": "critical",
    "Average": "warning",
    "Warning": "warning",
    "Information": "info",
    "Not classified": "warning",
}

_BY_NUMBER = {"5": "Disaster", "4": "High", "3": "Average", "2": "Warning", "1": "Information", "0": "Not classified"}

_OVER = frozenset({"ok", "resolved", "recovery", "0"})


def read(_headers: Mapping[str, str], body: bytes) -> Reading:
    """The event's alert. Raises BadPayload for what is neither by our parameters nor by names that others use."""
    fields = parsed_object(body, "Zabbix")
    name = fields.text("event_name", "trigger", "trigger_name", "subject", "alert_subject")
    word = fields.text("event_value", "status", "event_status", "trigger_status").lower()
    if not name or not word:
        raise BadPayload("event_name", "is missing, or event_value", "the parameters of our template", readable=True)
    status = Status.RESOLVED if word in _OVER else Status.FIRING
    if status is Status.FIRING and _is_acknowledgement(fields):
        status = Status.ACKNOWLEDGED
    severity = _BY_NUMBER.get(fields.text("event_nseverity")) or fields.text(
        "severity", "event_severity", "trigger_severity"
    )
    host = fields.text("host", "hostname", "host_name")
    event = fields.text("event_id", "eventid")
    over = fields.moment("recovery_timestamp") if status is Status.RESOLVED else None
    return Reading(
        (
            Draft(
                source=NAME,
                name=name,
                status=status,
                identity=("event", event) if event else (name, host),
                severity=SEVERITIES.get(severity, severity),
                starts_at=fields.moment("event_timestamp"),
                ends_at=over,
                labels={
                    **_tags(fields),
                    "host": host,
                    "instance": host or fields.text("host_ip"),
                    "trigger": fields.text("trigger_id"),
                    "priority": severity,
                },
                annotations={
                    "summary": " ".join(filter(None, (name, fields.text("event_opdata")))),
                    "item": fields.text("item"),
                    "message": fields.text("update_message", "message"),
                },
                link=fields.text("link", "url", "event_url"),
                by=fields.text("user") or None,
                notes=fields.notes,
            ).alert(),
        )
    )


def _is_acknowledgement(fields: Fields) -> bool:
    """Whether the word is of a person's update, who has acknowledged the problem by it."""
    actions = {action.strip() for action in fields.text("update_action").lower().split(",")}
    return fields.text("event_update_status") == "1" and "acknowledged" in actions


def _tags(fields: Fields) -> dict[str, str]:
    """Labels of the event's tags: JSON in a text, as Zabbix writes them, or `name:value` pairs."""
    written = fields.text("event_tags", "tags")
    pairs: Sequence[Any] = fields.list("event_tags", "tags")
    if written.startswith("["):
        try:
            pairs = parsed_object(f'{{"tags": {written}}}'.encode(), "Zabbix").list("tags")
        except BadPayload:
            return {}
    if not pairs:
        return tags(written.replace(", ", ","))
    known = [Fields(pair) for pair in pairs]
    return tags([f"{pair.text('tag')}:{pair.text('value')}" for pair in known if pair.text("tag")])
