"""`paramedic alert`: of its commands only the one that is called is loaded."""

from paramedic.cli.lazy_group import group
from paramedic.cli.output import command_of

app = group(
    {
        "send": "alert_send",
        "example": "alert_example",
        "explain": "alert_explain",
        "list": "alert",
        "show": "alert_show",
        "refused": "alert",
    },
    about="Send an alert, an example of one, explain a body, list what came in.",
)
alert_command = command_of(app)
