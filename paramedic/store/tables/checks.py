"""Tables of checks and heartbeats: samples, states, last heartbeats."""

from sqlalchemy import JSON, Column, Float, Index, Integer, String, Table

from paramedic.store.tables.columns import Moment, Serial, Words, metadata

#: Where each metric of each check stands at each target.
check_states = Table(
    "check_states",
    metadata,
    Column("runbook", Words, primary_key=True),
    Column("name", Words, primary_key=True),
    Column("target", Words, primary_key=True),
    Column("metric", String(32), primary_key=True),
    Column("service", Words, nullable=False),
    Column("known", String(16), nullable=False),  # ok, warning, critical
    Column("since", Moment, nullable=False),
    Column("sampled_at", Moment, nullable=False),
    Column("unknown_since", Moment),
    Column("warning_since", Moment),  # since when the bound is passed without a break
    Column("critical_since", Moment),
    Column("value", Float),
    Column("why", Words, nullable=False),
    Column("stale_at", Moment, nullable=False),  # from then on nobody has looked for too long
    Column("alert_began_at", Moment),  # of the alert that fires, if one does
    Column("alert_severity", String(16)),
    Column("alert_said_at", Moment),
)

#: Where each subject of a metric stands, such as an address that fails to log in: only of those that are past a bound.
check_subjects = Table(
    "check_subjects",
    metadata,
    Column("runbook", Words, primary_key=True),
    Column("name", Words, primary_key=True),
    Column("target", Words, primary_key=True),
    Column("metric", String(32), primary_key=True),
    Column("subject", String(200), primary_key=True),
    Column("known", String(16), nullable=False),  # ok, warning, critical
    Column("since", Moment, nullable=False),
    Column("sampled_at", Moment, nullable=False),
    Column("unknown_since", Moment),
    Column("warning_since", Moment),  # since when the bound is passed without a break
    Column("critical_since", Moment),
    Column("value", Float),
    Column("alert_began_at", Moment),  # of the alert that fires, if one does
    Column("alert_severity", String(16)),
    Column("alert_said_at", Moment),
)

check_samples = Table(
    "check_samples",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("runbook", Words, nullable=False),
    Column("name", Words, nullable=False),
    Column("target", Words, nullable=False),
    Column("at", Moment, nullable=False),
    Column("values", JSON(none_as_null=True)),  # null: it saw nothing
    Column("each", JSON(none_as_null=True)),  # by subject, of those that are kept in check_subjects
    Column("why", Words, nullable=False),
    Index("check_samples_of", "runbook", "name", "target", "at"),
)

#: How many looks of a check with an objective there were in each minute, and in each hour, and how many of them were errors.
check_counts = Table(
    "check_counts",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),  # `at` moves with a clock that is set back
    Column("runbook", Words, nullable=False),
    Column("name", Words, nullable=False),
    Column("target", Words, nullable=False),
    Column("span", Integer, nullable=False),  # seconds: 60 or 3600
    Column("at", Moment, nullable=False),  # where the span begins
    Column("looks", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Index("check_counts_of", "runbook", "name", "target", "span", "at"),
)

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("name", Words, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("sender", Words, nullable=False),
)
