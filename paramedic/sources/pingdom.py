"""Pingdom's webhook integration: uptime, transaction and page speed checks (Pingdom documentation, "Webhooks")."""

from collections.abc import Mapping

from paramedic.alerts.alert import Status
from paramedic.alerts.draft import Draft, tags
from paramedic.alerts.payload import Fields, parsed_object
from paramedic.alerts.reading import Aside, BadPayload, Reading

NAME = "pingdom"
BODY = "Pingdom's webhook: one change of a check's state."
EXAMPLE = """{
  "version": 1,
  "check_id": 803318,
  "check_name": "tracking-api",
  "check_type": "HTTP",
  "check_params": {"hostname": "tracking.example.com", "full_url": "https://tracking.example.com/health", "port": 443},
  "tags": ["service:tracking-api"],
  "previous_state": "UP",
  "current_state": "DOWN",
  "state_changed_timestamp": 1769851800,
  "state_changed_utc_time": "2026-01-31T09:30:00",
  "importance_level": "HIGH",
  "description": "HTTP Error 503",
  "long_description": "HTTP Server Error 503 Service Unavailable",
  "first_probe": {"ip": "192.0.2.1", "location": "Strasbourg 5, France"},
  "second_probe": {}
}"""

#: Pingdom's importance of a check.
SEVERITIES: Mapping[str, str] = {"HIGH": "critical", "LOW": "warning"}

_STATES: Mapping[str, Status] = {
    "down": Status.FIRING,
    "failing": Status.FIRING,
    "unconfirmed_down": Status.FIRING,
    "up": Status.RESOLVED,
    "success": Status.RESOLVED,
}


def read(_headers: Mapping[str, str], body: bytes) -> Reading:
    """The check's alert, or an aside where its state is none of a fault. Raises BadPayload for what is not Pingdom's."""
    fields = parsed_object(body, "Pingdom")
    identity, word = fields.text("check_id"), fields.text("current_state").lower()
    if not identity or not word:
        raise BadPayload(
            "check_id", "is missing, or current_state", "Pingdom's check_id and current_state", readable=True
        )
    status = _STATES.get(word)
    if status is None:
        return Reading(
            asides=(Aside(body.decode("utf-8", "replace"), f"is Pingdom's state {word[:40]}, which is no fault"),)
        )
    parameters = fields.fields("check_params")
    importance = fields.text("importance_level")
    moment = fields.moment("state_changed_timestamp")
    name = fields.text("check_name") or f"check {identity}"
    return Reading(
        (
            Draft(
                source=NAME,
                name=name,
                status=status,
                identity=(identity,),
                severity=SEVERITIES.get(importance, importance),
                starts_at=moment if status is Status.FIRING else None,
                ends_at=moment if status is Status.RESOLVED else None,
                labels={
                    **tags([Fields(tag).text("name") if isinstance(tag, dict) else tag for tag in fields.list("tags")]),
                    "instance": parameters.text("hostname") or name,
                    "url": parameters.text("full_url", "url"),
                    "monitor": identity,
                    "type": fields.text("check_type"),
                },
                annotations={
                    "summary": fields.text("description"),
                    "description": fields.text("long_description", "custom_message"),
                    "seen_from": fields.fields("first_probe").text("location"),
                },
                link=f"https://my.pingdom.com/app/reports/uptime#check={identity}" if identity.isdigit() else "",
                notes=fields.notes,
            ).alert(),
        )
    )
