"""The page of an incident in the Prefect UI: its report as it stands, and how to go on."""

from paramedic.incidents import report
from paramedic.incidents.incident import Incident
from paramedic.store import Tx
from paramedic.store.incident_story import story


def key(incident: Incident) -> str:
    """The key of its artifact in Prefect."""
    return f"incident-{incident.id.lower()}"


def page(tx: Tx, incident: Incident) -> str:
    """Markdown of ours, whatever is in it (P7)."""
    text = report.markdown(story(tx, incident.number))
    return f"{text}\n## How to go on\n\n{report.how_to_go_on(incident)}\n"
