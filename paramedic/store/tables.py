"""The store's tables. `test_the_tables_are_what_the_migrations_build` holds them and the migrations together."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

from paramedic.audit.chain import whole
from paramedic.text.redaction import Redacted, redact

metadata = MetaData()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """An aware datetime, kept as whole microseconds since the epoch: the same order and precision on both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the base's form
        """To the database. Naive datetimes raise TypeError."""
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database."""
        return None if value is None else _EPOCH + timedelta(microseconds=int(value))


class Words(TypeDecorator[str]):
    """Text from outside: secrets taken out, and nothing in it that a database cannot hold. Compared the same way."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To the database."""
        if value is None:
            return None
        clean: str = whole(value if isinstance(value, Redacted) else redact(value))
        return clean


#: SQLite counts up only a column that is exactly INTEGER.
Serial = BigInteger().with_variant(Integer, "sqlite")

meta = Table(
    "meta",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("store", String(36), nullable=False),
    Column("generation", Integer, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    Column("position", Serial, primary_key=True, autoincrement=True),
    Column("receipt", String(36), nullable=False, unique=True),
    Column("source", String(64), nullable=False),
    Column("sender", Words, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("alert", JSON, nullable=False),
    Column("state", String(16), nullable=False),  # new, held, triaged
    Column("look_again_at", Moment),
    Column("verdict", String(32)),
    Column("reason", Words),
    Column("incident", BigInteger),
    Column("triaged_at", Moment),
    Column("severity", String(16)),  # null: an older version's gateway wrote it
    Index("inbox_waiting", "state", "position"),
    Index(
        "inbox_critical",
        "severity",
        "position",
        sqlite_where=text("severity = 'critical' AND state <> 'triaged'"),
        postgresql_where=text("severity = 'critical' AND state <> 'triaged'"),
    ),
    Index(
        "inbox_held",
        "state",
        "look_again_at",
        sqlite_where=text("state = 'held'"),
        postgresql_where=text("state = 'held'"),
    ),
    sqlite_autoincrement=True,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("source", String(64), nullable=False),
    Column("sender", Words, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("error", Words, nullable=False),
    Column("body", Words, nullable=False),
)

fingerprints = Table(
    "fingerprints",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("starts_at", Moment, nullable=False),  # of what fires; of what is over, when it ended
    Column("heard_at", Moment),  # when that was received; NULL where it was received before this was kept
)

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
    Column("notify", JSON(none_as_null=True)),  # ways of the channels that hear of it, as its runbook named them
    # One thing wrong is one incident, whatever races: the database itself refuses a second.
    Index(
        "incidents_live",
        "service",
        "target",
        unique=True,
        sqlite_where=text("state <> 'resolved'"),
        postgresql_where=text("state <> 'resolved'"),
    ),
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

claims = Table(
    "claims",
    metadata,
    Column("target", Words, primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("incident", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("holder", Words, nullable=False),
    Column("taken_at", Moment, nullable=False),
    Column("lease_until", Moment, nullable=False),
    Column("released", Boolean, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("incident", ForeignKey("incidents.number"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("rung", Integer, primary_key=True),
    Column("target", Words, primary_key=True),
    Column("state", String(16), nullable=False),  # open, spent, revoked
)

acts = Table(
    "acts",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("incident", ForeignKey("incidents.number"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("target", Words, nullable=False),
    Column("remedy", String(64), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("holder", Words, nullable=False),
    Column("identity", JSON, nullable=False),
    Column("written_at", Moment, nullable=False),
    Column("deadline_at", Moment, nullable=False),
    Column("result", String(16)),  # null while its outcome is open
    Column("why", Words),
    Column("closed_at", Moment),
    Index("acts_target", "target", "written_at"),
    Index("acts_written", "written_at"),
    # P4: an act whose outcome is open blocks its target, and the database itself refuses a second one.
    Index(
        "acts_open",
        "target",
        unique=True,
        sqlite_where=text("result IS NULL"),
        postgresql_where=text("result IS NULL"),
    ),
    sqlite_autoincrement=True,
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("incident", ForeignKey("incidents.number"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("target", Words, nullable=False),
    Column("remedy", Words, nullable=False),
    Column("identity", JSON, nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("state", String(16), nullable=False),  # asked, granted, denied, expired
    Column("decided_by", Words),
    Column("decided_at", Moment),
    Column("how", String(16)),  # prefect, link, command line; restore: nobody's answer counts any more
    Column("flow_run", String(36), nullable=False),
    Column("resume_at", Moment),  # when Prefect is asked (again) to resume the run; null: it need not be
    Column("resumed_at", Moment),
    Column("wrong_codes", Integer, nullable=False),
    Index("approvals_rung", "incident", "attempt", "rung", unique=True),
    Index("approvals_asked", "state", "expires_at"),
    Index("approvals_resume", "resume_at"),
    sqlite_autoincrement=True,
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
    Index("evidence_incident", "incident"),
    sqlite_autoincrement=True,
)

messages = Table(
    "messages",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),  # rung, update, news, trouble, approval, notice
    Column("incident", BigInteger),
    Column("policy", Words, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("subject", Words, nullable=False),
    Column("body", Words, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("state", String(16), nullable=False),  # due, sending, sent, withdrawn, unreachable
    Column("sending_until", Moment),
    Column("tries", Integer, nullable=False),
    Column("last_error", Words),
    Column("person", Words),
    Column("sent_at", Moment),
    Column("severity", String(16), nullable=False, server_default="critical"),  # whose rungs are climbed
    Column("recipient", Words),  # whom it means, where that is not the rung's own person
    Column("repeats", Integer, nullable=False, server_default="0"),  # how many more of the same it stands for
    Column("digest", BigInteger),  # the first of the messages that left together with it as one
    Index("messages_due", "state", "due_at"),
    Index("messages_sent", "sent_at"),
    sqlite_autoincrement=True,
)

overrides = Table(
    "overrides",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("person", Words, nullable=False),
    Column("begins_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("by", Words, nullable=False),
    Column("written_at", Moment, nullable=False),
    Index("overrides_end", "ends_at"),
    sqlite_autoincrement=True,
)

pauses = Table(
    "pauses",
    metadata,
    Column("scope", Words, primary_key=True),  # all, mass, service:NAME, runbook:NAME
    Column("by", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("since", Moment, nullable=False),
)

maintenance = Table(
    "maintenance",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("service", Words, nullable=False),
    Column("target", Words),  # null: every target of the service
    Column("starts_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("by", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Index("maintenance_ends", "ends_at"),
    sqlite_autoincrement=True,
)

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

check_samples = Table(
    "check_samples",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("runbook", Words, nullable=False),
    Column("name", Words, nullable=False),
    Column("target", Words, nullable=False),
    Column("at", Moment, nullable=False),
    Column("values", JSON(none_as_null=True)),  # null: it saw nothing
    Column("why", Words, nullable=False),
    Index("check_samples_of", "runbook", "name", "target", "at"),
)

#: What `paramedic.store.write_probe` writes.
probes = Table(
    "probes",
    metadata,
    Column("name", Words, primary_key=True),
    Column("content", Words, nullable=False),
)

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("name", Words, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("sender", Words, nullable=False),
)

#: What one process at a time may do, until a moment of the database's clock.
leases = Table(
    "leases",
    metadata,
    Column("name", Words, primary_key=True),
    Column("holder", Words, nullable=False),
    Column("until", Moment, nullable=False),
)

#: When each machine was started, by the database's clock: one that goes back is seen by it.
clocks = Table(
    "clocks",
    metadata,
    Column("boot", String(36), primary_key=True),
    Column("started_at", Moment, nullable=False),
)

trail = Table(
    "trail",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("actor", Text, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("what", Text, nullable=False),
    Column("incident", String(32)),
    Column("target", Text),
    Column("reason", Text, nullable=False),
    Column("data", Text, nullable=False),  # canonical JSON, as hashed
    Column("content_digest", String(64)),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("schema", Integer, nullable=False),
    Index("trail_incident", "incident"),
)

#: How far down the trail who listens to it has heard.
told = Table(
    "told",
    metadata,
    Column("listener", String(32), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

#: What can be erased lives beside the chain, which holds its salted digest alone.
trail_contents = Table(
    "trail_contents",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=False),
    Column("content", Text, nullable=False),
)

#: Where the chain goes on from: each sealed segment that left. The last one opens the trail's triggers as far as it says.
seals = Table(
    "seals",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("first", BigInteger, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("last_at", String(32), nullable=False),
    Column("at", String(32), nullable=False),
    Column("signature", String(128), nullable=False),
    Column("file", Words, nullable=False),
)
