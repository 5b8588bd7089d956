"""Google Cloud Monitoring's webhook notification channel, schema versions 1.1 and 1.2, also pushed by Pub/Sub."""

import base64
import binascii
from collections.abc import Mapping

from paramedic.alerts.alert import Status
from paramedic.alerts.draft import Draft
from paramedic.alerts.payload import Fields, parsed_object
from paramedic.alerts.reading import Aside, BadPayload, Reading

NAME = "google_cloud"
BODY = "Google Cloud Monitoring's webhook, version 1.2, or Pub/Sub's push of it."
EXAMPLE = """{
  "version": "1.2",
  "incident": {
    "incident_id": "0.mteuirnn0v0k",
    "scoping_project_id": "shop-prod",
    "url": "https://console.cloud.google.com/monitoring/alerting/alerts/0.mteuirnn0v0k?project=shop-prod",
    "started_at": 1769851800,
    "ended_at": null,
    "state": "open",
    "severity": "Critical",
    "summary": "Latency of tracking-api is above the threshold of 0.3 with a value of 0.34.",
    "observed_value": "0.34",
    "threshold_value": "0.3",
    "resource": {"type": "gce_instance", "labels": {"instance_id": "8733652352636743443", "zone": "europe-west1-c"}},
    "resource_display_name": "web-1",
    "metric": {"type": "custom.googleapis.com/latency", "displayName": "Latency", "labels": {}},
    "metadata": {"system_labels": {}, "user_labels": {"env": "prod"}},
    "policy_name": "tracking-api is slow",
    "policy_user_labels": {"service": "tracking-api"},
    "condition_name": "p95 above 300 ms"
  }
}"""

#: Google's words; a policy without one is a warning.
SEVERITIES: Mapping[str, str] = {
    "Critical": "critical",
    "Error": "critical",
    "Warning": "warning",
    "No severity": "warning",
}

_STATES: Mapping[str, Status] = {
    "open": Status.FIRING,
    "acknowledged": Status.ACKNOWLEDGED,
    "closed": Status.RESOLVED,
}


def read(_headers: Mapping[str, str], body: bytes) -> Reading:
    """The incident's alert; the test of a channel is an aside. Raises BadPayload for what is not Google's."""
    whole = _unwrapped(parsed_object(body, "Google Cloud Monitoring"))
    incident = whole.fields("incident")
    if not incident:
        if whole.text("version") or whole.text("message"):
            return Reading(
                asides=(Aside(body.decode("utf-8", "replace"), "is a test of a notification channel of Google's"),)
            )
        raise BadPayload("incident", "is missing", "an incident of Google Cloud Monitoring", readable=True)
    return Reading((_draft(incident).alert(),))


def _draft(incident: Fields) -> Draft:
    word = incident.text("state").lower()
    status = _STATES.get(word, Status.FIRING)
    if word not in _STATES:
        incident.notes.append("state: none that is known, taken as firing")
    metadata, resource = incident.fields("metadata"), incident.fields("resource").fields("labels")
    metric, own = incident.fields("metric"), incident.fields("policy_user_labels")
    severity = incident.text("severity") or metadata.fields("system_labels").text("severity") or own.text("severity")
    policy = incident.text("policy_name")
    return Draft(
        source=NAME,
        name=incident.text("condition_name") or policy or "an incident of Google's without a name",
        status=status,
        identity=(incident.text("incident_id"),),
        severity=SEVERITIES.get(severity, severity),
        starts_at=incident.moment("started_at"),
        ends_at=incident.moment("ended_at") if status is Status.RESOLVED else None,
        labels={
            **resource.values,
            **metric.fields("labels").values,
            **metadata.fields("user_labels").values,
            **own.values,
            "policy": policy,
            "instance": incident.text("resource_display_name")
            or resource.text("instance_name")
            or incident.text("resource_name"),
            "project": incident.text("scoping_project_id"),
            "metric": metric.text("type"),
        },
        annotations={
            "summary": incident.text("summary"),
            "description": incident.fields("documentation").text("content", "subject"),
            "value": incident.text("observed_value"),
            "threshold": incident.text("threshold_value"),
        },
        link=incident.text("url"),
        notes=incident.notes,
    )


def _unwrapped(whole: Fields) -> Fields:
    """What Pub/Sub pushes is the same body, in base64."""
    message = whole.fields("message")
    if not message.text("data"):
        return whole
    try:
        return parsed_object(base64.b64decode(message.text("data"), validate=True), "Google Cloud Monitoring")
    except binascii.Error as error:
        raise BadPayload("message.data", "is no base64", "Pub/Sub's push of an incident", readable=True) from error
