"""`paramedic silence`: of its commands only the one that is called is loaded."""

from paramedic.cli.lazy_group import group
from paramedic.cli.output import command_of

app = group(
    {"add": "silence", "list": "silence", "expire": "silence"},
    about="Alerts that match are held, and nobody is told of them, until the silence ends.",
)
silence_command = command_of(app)
