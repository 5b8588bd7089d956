"""Tables of incidents: their alerts, attempts, orders, evidence, and the runbook versions that they began with."""

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, false

from paramedic.store.tables.columns import Moment, Serial, Words, metadata, partial_index

runbook_versions = Table(
    "runbook_versions",
    metadata,
    Column("version", String(64), primary_key=True),
    Column("name", Words, nullable=False),
    Column("text", Text, nullable=False),
)

incidents = Table(
    "incidents",
    metadata,
    Column("number", Serial, primary_key=True, autoincrement=True),
    Column("service", Words, nullable=False),
    Column("target", Words, nullable=False),
    Column("title", Words, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("policy", Words, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("runbook", Words),
    Column("runbook_version", String(64), ForeignKey("runbook_versions.version")),
    Column("ending", String(16)),
    Column("because", Words),
    Column("ended_at", Moment),
    Column("acknowledged_by", Words),
    Column("acknowledged_at", Moment),
    Column("acknowledged_severity", String(16)),  # how bad it was then: what is worse is not covered
    Column("reopened_at", Moment),
    Column("first_acknowledged_at", Moment),  # acknowledged_at is that of the person who has it now
    Column("resolved_by", Words),  # the person who said that it is over; null: a playbook verified it
    Column("retried_attempt", Integer),  # raised by a person's retry: what was used up before it is granted anew
    Column("tier", String(16)),  # of its service when it was opened; null: an older version opened it
    Column("notify", JSON(none_as_null=True)),  # ways of the channels that hear of it, as its runbook named them
    # One thing wrong is one incident, whatever races: the database itself refuses a second.
    partial_index("incidents_live", "service", "target", where="state <> 'resolved'", unique=True),
    Index("incidents_state", "state"),
    Index("incidents_target", "target", "ended_at"),
    sqlite_autoincrement=True,
)

incident_alerts = Table(
    "incident_alerts",
    metadata,
    Column("incident", ForeignKey("incidents.number"), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("name", Words, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("starts_at", Moment, nullable=False),
    Column("ends_at", Moment),
    Column("labels", JSON, nullable=False),
    Column("annotations", JSON, nullable=False),
    Column("first_seen", Moment, nullable=False),
    Column("last_seen", Moment, nullable=False),
    Column("count", Integer, nullable=False),
    Column("source", String(64)),
    Column("object", Words),  # what it is about, by `alert_object.object_of`
    Column("runbook", Words),  # which wants it, and in which version; null: none does
    Column("runbook_version", String(64)),
    Column("affects", Words),  # the service that it is of, where it waits for this incident of what that depends on
    Index("incident_alerts_fingerprint", "fingerprint"),
    Index("incident_alerts_object", "incident", "name", "object"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("incident", ForeignKey("incidents.number"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("state", String(16), nullable=False),  # open, closed, given_up
    Column("raised_at", Moment, nullable=False),
    Column("reason", Words, nullable=False),
    Column("dispatched_at", Moment),
    Column("flow_run", String(36)),
    Column("began_at", Moment),
    Column("ended_at", Moment),
)

outbox = Table(
    "outbox",
    metadata,
    Column("incident", ForeignKey("incidents.number"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("key", String(128), nullable=False, unique=True),
    Column("state", String(16), nullable=False),  # waiting, sent, withdrawn
    Column("written_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("last_error", Words),
    Index("outbox_waiting", "state", "due_at"),
)

evidence = Table(
    "evidence",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("incident", ForeignKey("incidents.number"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("taken_at", Moment, nullable=False),
    Column("body", Words, nullable=False),
    Column("from_beginning", Boolean, nullable=False, server_default=false()),  # what is cut keeps its beginning
    Index("evidence_incident", "incident"),
    sqlite_autoincrement=True,
)
