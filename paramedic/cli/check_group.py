"""`paramedic check`: of its commands only the one that is called is loaded."""

from paramedic.cli.lazy_group import group
from paramedic.cli.output import command_of

app = group({"list": "check_list", "run": "check_run"}, about="What Paramedic measures.")
check_command = command_of(app)
