"""`paramedic oncall`: of its commands only the one that is called is loaded."""

from paramedic.cli.lazy_group import group
from paramedic.cli.output import command_of

_SCHEDULE = ("schema", "who", "schedule", "gaps", "override")

app = group(dict.fromkeys(_SCHEDULE, "oncall") | {"test": "oncall_test_page"}, about="Who is on call, and when.")
oncall_command = command_of(app)
