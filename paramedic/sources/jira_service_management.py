"""The outgoing webhook of Jira Service Management's Operations: Opsgenie's body, moved."""

from collections.abc import Mapping

from paramedic.alerts import opsgenie_body
from paramedic.alerts.reading import Reading

BODY = "Jira Service Management's outgoing webhook: one action on one alert."
EXAMPLE = opsgenie_body.EXAMPLE

SEVERITIES: Mapping[str, str] = {"P1": "critical", "P2": "warning", "P3": "warning", "P4": "warning", "P5": "warning"}


def read(_headers: Mapping[str, str], body: bytes) -> Reading:
    """The alert of the body, or an aside. Raises BadPayload for what is not Jira Service Management's."""
    return opsgenie_body.read("jira_service_management", "Jira Service Management", body)
