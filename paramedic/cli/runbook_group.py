"""`paramedic runbook`: of its commands only the one that is called is loaded."""

from paramedic.cli.lazy_group import group
from paramedic.cli.output import command_of

app = group(
    {
        "list": "runbook",
        "show": "runbook",
        "lint": "runbook",
        "schema": "runbook",
        "test": "runbook_trial",
        "new": "runbook",
        "record": "runbook_record",
    },
    about="What authors write.",
)
runbook_command = command_of(app)
