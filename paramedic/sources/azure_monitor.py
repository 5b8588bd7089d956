"""Azure Monitor's action group webhooks: the common alert schema, metric alerts of version 2, classic ones, and log alerts."""

from collections.abc import Mapping
from typing import Any

from paramedic.alerts.alert import Status
from paramedic.alerts.draft import Draft, label_name
from paramedic.alerts.payload import Fields, parsed_object
from paramedic.alerts.reading import Aside, BadPayload, Reading

NAME = "azure_monitor"
BODY = "Azure Monitor's action group webhook; best with the common alert schema."
EXAMPLE = """{
  "schemaId": "azureMonitorCommonAlertSchema",
  "data": {
    "essentials": {
      "alertId": "/subscriptions/s1/providers/Microsoft.AlertsManagement/alerts/b9569717-bc32-442f-add5-83a997729330",
      "alertRule": "tracking-api is slow",
      "severity": "Sev1",
      "signalType": "Metric",
      "monitorCondition": "Fired",
      "monitoringService": "Platform",
      "alertTargetIDs": ["/subscriptions/s1/resourcegroups/shop/providers/microsoft.web/sites/tracking-api"],
      "configurationItems": ["tracking-api"],
      "originAlertId": "3f2d4487_shop_microsoft.insights_metricAlerts_tracking-api-slow_1",
      "firedDateTime": "2026-01-31T09:30:00Z",
      "description": "p95 of tracking-api",
      "essentialsVersion": "1.0",
      "alertContextVersion": "1.0"
    },
    "alertContext": {
      "condition": {
        "windowSize": "PT5M",
        "allOf": [{"metricName": "HttpResponseTime", "operator": "GreaterThan", "threshold": "0.3", "metricValue": 0.34}]
      }
    },
    "customProperties": {"service": "tracking-api"}
  }
}"""

#: Azure's words. Sev0 is the worst.
SEVERITIES: Mapping[str, str] = {
    "Sev0": "critical",
    "Sev1": "critical",
    "Sev2": "warning",
    "Sev3": "warning",
    "Sev4": "info",
}

_STATES: Mapping[str, Status] = {
    "fired": Status.FIRING,
    "activated": Status.FIRING,
    "resolved": Status.RESOLVED,
    "deactivated": Status.RESOLVED,
}


def read(_headers: Mapping[str, str], body: bytes) -> Reading:
    """The alert of the body; a service health event or an activity is an aside. Raises BadPayload for what is not Azure's."""
    whole = parsed_object(body, "Azure Monitor")
    data = whole.fields("data")
    if essentials := data.fields("essentials"):
        return _common(essentials, data, body)
    context = data.fields("context") or whole.fields("context")
    word = data.text("status") or whole.text("status")
    if context and word and (context.fields("activityLog") or not context.text("name", "id")):
        return Reading(asides=(Aside(body.decode("utf-8", "replace"), "is an activity of Azure's, and no alert"),))
    if not context or not word:
        raise BadPayload(
            "data.essentials", "is missing", "the common alert schema, or status and context", readable=True
        )
    return Reading((_old(context, word, data.fields("properties") or whole.fields("properties"), whole.notes).alert(),))


def _common(essentials: Fields, data: Fields, body: bytes) -> Reading:
    kind = essentials.text("monitoringService")
    if kind in ("ServiceHealth", "Resource Health") or kind.startswith("Activity Log"):
        return Reading(
            asides=(
                Aside(body.decode("utf-8", "replace"), f"is Azure's {kind} event, and no alert of a metric or log"),
            )
        )
    word = essentials.text("monitorCondition").lower()
    status = _STATES.get(word, Status.FIRING)
    if word not in _STATES:
        essentials.notes.append("monitorCondition: none that is known, taken as firing")
    severity = essentials.text("severity")
    items = [str(item) for item in essentials.list("configurationItems", "alertTargetIDs")]
    names = [name for item in items if (name := item.rstrip("/").rpartition("/")[2])]
    context = data.fields("alertContext")
    measured = _measured(context.fields("condition"))
    own = data.fields("customProperties").values or context.fields("properties").values
    return Reading(
        (
            Draft(
                source=NAME,
                name=essentials.text("alertRule") or "an alert of Azure without a name",
                status=status,
                identity=(essentials.text("alertId") or essentials.text("originAlertId"),),
                severity=SEVERITIES.get(severity, severity),
                starts_at=essentials.moment("firedDateTime"),
                ends_at=essentials.moment("resolvedDateTime") if status is Status.RESOLVED else None,
                labels={
                    **_labels(own),
                    "resource": ", ".join(names),
                    "instance": names[0] if len(names) == 1 else "",
                    "metric": measured.text("metricName"),
                    "priority": severity,
                },
                annotations={
                    "summary": essentials.text("description") or essentials.text("alertRule"),
                    "value": measured.text("metricValue"),
                    "target": next(iter(map(str, essentials.list("alertTargetIDs"))), ""),
                },
                link=essentials.text("investigationLink"),
                notes=essentials.notes,
            ).alert(),
        )
    )


def _old(context: Fields, word: str, properties: Fields, notes: list[str]) -> Draft:
    """A metric alert before the common schema: it has no severity, and no identity but its rule and resource."""
    status = _STATES.get(word.lower(), Status.FIRING)
    measured = _measured(context.fields("condition"))
    moment = context.moment("timestamp")
    resource = context.text("resourceName")
    return Draft(
        source=NAME,
        name=context.text("name") or "an alert of Azure without a name",
        status=status,
        identity=(context.text("id"), context.text("resourceId", "resourceName")),
        severity=properties.text("severity"),
        starts_at=moment if status is Status.FIRING else None,
        ends_at=moment if status is Status.RESOLVED else None,
        labels={
            **_labels(properties.values),
            "resource": resource,
            "instance": resource,
            "metric": measured.text("metricName"),
            "region": context.text("resourceRegion"),
        },
        annotations={
            "summary": context.text("description") or context.text("name"),
            "value": measured.text("metricValue"),
            "target": context.text("resourceId"),
        },
        link=context.text("portalLink"),
        notes=notes,
    )


def _measured(condition: Fields) -> Fields:
    """The first measurement of the condition."""
    several = condition.list("allOf")
    return Fields(several[0]) if several else condition


def _labels(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for key, value in properties.items() if (name := label_name(key))}
