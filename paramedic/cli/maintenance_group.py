"""`paramedic maintenance`: of its commands only the one that is called is loaded."""

from paramedic.cli.lazy_group import group
from paramedic.cli.output import command_of

app = group(
    {"add": "maintenance_add", "list": "maintenance", "end": "maintenance"},
    about="People work on it: nothing acts on it, and its alerts wait until the window ends.",
)
maintenance_command = command_of(app)
