"""Opsgenie's webhook integration, until Opsgenie ends (2027-04-05). It signs nothing: its secret is a header or the address."""

from collections.abc import Mapping

from paramedic.alerts import opsgenie_body
from paramedic.alerts.reading import Reading

BODY = "Opsgenie's webhook: one action on one alert."
EXAMPLE = opsgenie_body.EXAMPLE

SEVERITIES: Mapping[str, str] = {"P1": "critical", "P2": "warning", "P3": "warning", "P4": "warning", "P5": "warning"}


def read(_headers: Mapping[str, str], body: bytes) -> Reading:
    """The alert of the body, or an aside. Raises BadPayload for what is not Opsgenie's."""
    return opsgenie_body.read("opsgenie", "Opsgenie", body)
