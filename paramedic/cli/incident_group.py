"""`paramedic incident`: of its commands only the one that is called is loaded."""

from paramedic.cli.lazy_group import group
from paramedic.cli.output import command_of

_DECISIONS = ("ack", "approve", "resolve", "note")

app = group(
    {"list": "incident_list", "show": "incident_show", "report": "incident_report", "retry": "incident_retry"}
    | dict.fromkeys(_DECISIONS, "incident"),
    about="What is wrong, and whose it is.",
)
incident_command = command_of(app)
